"""Where a page of clusters ended, as a text that the next question gives back."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

from graph.errors import RingfenceError
from graph.store import ClusterOrder


@dataclass(frozen=True)
class Cursor:
    """The last cluster of a page."""

    value: float
    cluster_id: str

    def text(self, order: ClusterOrder) -> str:
        """Opaque, safe in URLs."""
        return base64.urlsafe_b64encode(json.dumps([order, self.value, self.cluster_id]).encode()).decode()

    @classmethod
    def of(cls, text: str, order: ClusterOrder) -> Cursor:
        """Raises RingfenceError for what no page of this order gave."""
        try:
            of_order, value, cluster_id = json.loads(base64.b64decode(text.encode(), b"-_", validate=True))
        except (ValueError, TypeError):
            of_order, value, cluster_id = None, None, None
        if not isinstance(value, int | float) or not isinstance(cluster_id, str) or of_order != order:
            raise RingfenceError(
                f"{text!r} is not where a page of clusters by {order} ended",
                "Give the cursor of the page before, with the same order; or none, to begin.",
                exit_code=2,
            )
        return cls(value, cluster_id)
