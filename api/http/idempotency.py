"""`Idempotency-Key`: the same request gets the same answer, and is done once."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from actions import idempotency
from actions.idempotency import Ticket
from actions.ledger import Ledger
from actions.model import Principal
from api.http.problems import Problem

HEADER = "idempotency-key"
REPLAYED = "Idempotency-Replayed"
KEY = r"^[!-~]{1,255}$"
"""A key: visible ASCII."""


class Replies:
    """Answers by principal, route and key, for seven days, in the ledger: any process gives them the second time."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def begin(self, principal: Principal, route: str, key: str, request: bytes) -> Ticket | Response:
        """The answer of before; else a ticket: the request runs from now on.

        Raises Refusal: `key_reused` for another body under the same key, `still_running` while the first one runs.
        """
        with self._ledger.transaction() as tx:
            found = idempotency.begin(tx, principal, route, key, request)
        if isinstance(found, Ticket):
            return found
        media_type, body = orjson.loads(found.answer)
        return Response(body.encode(), found.status, {REPLAYED: "true"}, media_type)

    def finish(self, ticket: Ticket, answer: Response) -> None:
        """Keep an answer."""
        kept = orjson.dumps([answer.headers.get("content-type"), bytes(answer.body).decode()]).decode()
        with self._ledger.transaction() as tx:
            idempotency.finish(tx, ticket, answer.status_code, kept)

    def abandon(self, ticket: Ticket) -> None:
        """Nothing was done: the key may be used again."""
        with self._ledger.transaction() as tx:
            idempotency.abandon(tx, ticket)


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
    if not re.fullmatch(KEY, key):
        raise Problem(
            "bad_request", "the Idempotency-Key is empty, too long or not visible ASCII", "Use a UUID."
        )
    asked = request.url.path.encode() + b"\0" + await request.body()
    where = f"{request.method} {route} {request.url.query}"
    found = await run_in_threadpool(replies.begin, principal, where, key, asked)
    if isinstance(found, Response):
        return found
    try:
        answer = await run()
    except BaseException:
        await run_in_threadpool(replies.abandon, found)
        raise
    await run_in_threadpool(replies.finish, found, answer)
    return answer
