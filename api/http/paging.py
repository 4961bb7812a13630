"""Cursors: where a page ended, signed, so that only what a list gave is ever asked of it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson

from api.http.problems import Problem

T = TypeVar("T")
MAC_BYTES = 16
LONGEST = 2_000


class Cursors:
    """Makes and reads cursors under a secret that all processes of an installation share."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"ringfence cursor", "sha256")

    def make(self, asked: Sequence[Any], place: Any) -> str:
        """The cursor for what follows `place` in the list that `asked` (name, order, filters) describes."""
        body = orjson.dumps([_digest(asked), place])
        return base64.urlsafe_b64encode(self._mac(body) + body).decode().rstrip("=")

    def cut(
        self, asked: Sequence[Any], found: Sequence[T], limit: int, place: Callable[[T], Any]
    ) -> tuple[Sequence[T], str | None]:
        """A page of what was found (one more than `limit` was asked for), and the cursor of the next; None: no next."""
        page = found[:limit]
        return page, self.make(asked, place(page[-1])) if len(found) > limit else None

    def read(self, asked: Sequence[Any], cursor: str) -> Any:
        """The place. Raises Problem for what this list, asked this way, did not give."""
        try:
            if len(cursor) > LONGEST:
                raise ValueError
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
            body = raw[MAC_BYTES:]
            if not hmac.compare_digest(raw[:MAC_BYTES], self._mac(body)):
                raise ValueError
            digest, place = orjson.loads(body)
            if digest != _digest(asked):
                raise ValueError
        except (ValueError, TypeError):
            raise Problem(
                "bad_cursor",
                "this cursor was not given by this list with these filters",
                "Give `next` of the page before, with the same filters and order; or none, to begin.",
            ) from None
        return place

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")[:MAC_BYTES]


def _digest(asked: Sequence[Any]) -> str:
    return hashlib.blake2b(orjson.dumps(list(asked)), digest_size=8).hexdigest()
