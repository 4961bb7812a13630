"""`Idempotency-Key`: the same request gets the same answer, and is done once."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from actions.model import Principal
from actions.refusals import Refusal
from api.http.problems import Problem

HEADER = "idempotency-key"
REPLAYED = "Idempotency-Replayed"
LONGEST = 255
KEPT_S = 7 * 24 * 3600
MOST = 10_000


@dataclass(frozen=True)
class Reply:
    """An answer as it was given."""

    status: int
    media_type: str | None
    body: bytes


class Replies(Protocol):
    """Where answers are kept by principal, route and key. Asked on the event loop: an answer must be quick."""

    def begin(self, place: tuple[str, str, str], digest: str) -> Reply | None:
        """The answer of before; None for a new request, which from now on runs.

        Raises Refusal: `key_reused` for another body under the same key, `still_running` while the first one runs.
        """

    def finish(self, place: tuple[str, str, str], reply: Reply) -> None:
        """Keep an answer."""

    def abandon(self, place: tuple[str, str, str]) -> None:
        """Nothing was done: the key may be used again."""


class RepliesInMemory:
    """Answers of this process, the latest ten thousand, for seven days."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, str], tuple[str, float, Reply | None]] = OrderedDict()

    def begin(self, place: tuple[str, str, str], digest: str) -> Reply | None:
        """See `Replies.begin`."""
        now = time.monotonic()
        known = self._kept.get(place)
        if known is not None and known[1] > now:
            if known[0] != digest:
                raise Refusal(
                    "key_reused", "this idempotency key was used for another request", "Use a new key."
                )
            if known[2] is None:
                raise Refusal(
                    "still_running", "the first request with this key still runs", "Try again shortly."
                )
            return known[2]
        self._kept[place] = (digest, now + KEPT_S, None)
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)
        return None

    def finish(self, place: tuple[str, str, str], reply: Reply) -> None:
        """See `Replies.finish`."""
        known = self._kept.get(place)
        if known is not None:
            self._kept[place] = (known[0], known[1], reply)

    def abandon(self, place: tuple[str, str, str]) -> None:
        """See `Replies.abandon`."""
        self._kept.pop(place, None)


async def once(
    request: Request,
    principal: Principal,
    route: str,
    replies: Replies,
    run: Callable[[], Awaitable[Response]],
) -> Response:
    """Run a mutation, or give its answer of before. A token has to send a key; a person may."""
    key = request.headers.get(HEADER)
    if key is None:
        if principal.kind == "token":
            raise Problem(
                "key_required",
                "a token has to send an Idempotency-Key with this",
                "Send a new UUID with each request.",
            )
        return await run()
    if not 0 < len(key) <= LONGEST or not (key.isascii() and key.isprintable()):
        raise Problem("bad_request", "the Idempotency-Key is empty, too long or not printable", "Use a UUID.")
    place = (principal.id, f"{request.method} {route} {request.url.query}", key)
    digest = hashlib.sha256(request.url.path.encode() + b"\0" + await request.body()).hexdigest()
    before = replies.begin(place, digest)
    if before is not None:
        return Response(before.body, before.status, {REPLAYED: "true"}, before.media_type)
    try:
        answer = await run()
    except BaseException:
        replies.abandon(place)
        raise
    replies.finish(place, Reply(answer.status_code, answer.headers.get("content-type"), bytes(answer.body)))
    return answer
