"""What decisions ask of the facts: fulfilled by whoever may write events, each at least once.

`actions` cannot write facts itself (they are above it). A request names its organization, the plan and the appeal
it comes from; `kind` says what is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from actions.ledger import Reading, Tx, verdicts

WishKind = Literal["not_linked", "label_legitimate", "dispute_evidence", "rescore_mates"]
GRANTED: tuple[WishKind, ...] = ("not_linked", "label_legitimate", "dispute_evidence", "rescore_mates")
"""What a granted appeal asks: keep it apart from its cluster, say that it is legitimate, mark the evidence against it
as disputed, look at the plan's other members again."""


@dataclass(frozen=True)
class Wish:
    """One request. `cluster_id`: the cluster that the organization is not linked with."""

    seq: int
    kind: WishKind
    org_id: str
    plan_id: str | None
    appeal_id: str | None
    cluster_id: str | None
    body: Mapping[str, Any]


def ask(
    tx: Tx,
    kinds: Sequence[WishKind],
    subject_id: int,
    *,
    plan_id: str | None,
    appeal_id: str | None,
    cluster_id: str | None,
) -> None:
    """Ask, in the transaction of the decision."""
    verdicts.ask(
        tx,
        [
            {
                "kind": kind,
                "subject_id": subject_id,
                "plan_id": plan_id,
                "appeal_id": appeal_id,
                "body": {"cluster_id": cluster_id},
            }
            for kind in kinds
        ],
    )


def open_wishes(reading: Reading, limit: int = 100) -> list[Wish]:
    """What nobody fulfilled yet, the oldest first."""
    return [
        Wish(
            row["seq"],
            row["kind"],
            row["name"],
            row["plan_id"],
            row["appeal_id"],
            row["body"].get("cluster_id"),
            row["body"],
        )
        for row in verdicts.asked(reading, limit)
    ]


def fulfilled(tx: Tx, seqs: Sequence[int]) -> None:
    """These were written to the facts. Say so after they are on the disk: they may then be written twice, never not."""
    verdicts.fulfil(tx, seqs)
