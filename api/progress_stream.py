"""What is going on, as server-sent events: states, not a log, so whoever connects again has missed nothing.

Each topic is the whole state of one matter; it is sent when it changes. One look a second serves all who listen.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any

import orjson
from starlette.concurrency import run_in_threadpool

from actions import cases
from actions.ledger import plans, verdicts
from actions.model import RUNNING
from actions.refusals import Refusal
from api.deciding import answers
from api.deciding.desk import Desk
from api.http.problems import Problem
from detection.runs import Runs

EVERY_S = 1.0
HEARTBEAT_S = 15.0
"""Silence after which proxies take a connection for dead is longer."""
EACH = 4
"""Streams of one principal: a browser has a tab or two."""
ALL = 200
MOST_PLANS = 200

State = dict[str, bytes]


class Stream:
    """Who listens, and what there is to hear."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._runs = Runs(desk.home)
        self._listeners: Counter[str] = Counter()
        self._looking = asyncio.Lock()
        self._looked = float("-inf")
        self._state: State = {}

    def enter(self, principal: str) -> Callable[[], None]:
        """Take a place for one more stream of a principal; what to call when it ends. Raises Problem (429)."""
        if self._listeners[principal] >= EACH or self._listeners.total() >= ALL:
            raise Problem(
                "too_many_requests",
                "too many streams are open",
                "Close one, then open another.",
                headers={"Retry-After": "5"},
            )
        self._listeners[principal] += 1
        return partial(self._leave, principal)

    def _leave(self, principal: str) -> None:
        self._listeners[principal] -= 1
        if not self._listeners[principal]:
            del self._listeners[principal]

    async def events(self, known: str | None) -> AsyncIterator[bytes]:
        """Topics as they change; all of them at first, unless `known` says that they have not changed."""
        sent: State = {}
        spoken = time.monotonic()
        while True:
            state = await self._now()
            news = {topic: value for topic, value in state.items() if sent.get(topic) != value}
            name = _name(state)
            if not sent and known == name:
                news = {}
            sent = state
            for topic, value in news.items():
                yield b"event: " + topic.encode() + b"\nid: " + name.encode() + b"\ndata: " + value + b"\n\n"
            if news or time.monotonic() - spoken >= HEARTBEAT_S:
                spoken = time.monotonic()
                if not news:
                    yield b": still here\n\n"
            await asyncio.sleep(EVERY_S)

    async def _now(self) -> State:
        async with self._looking:
            if time.monotonic() - self._looked >= EVERY_S:
                self._state = await run_in_threadpool(self._look)
                self._looked = time.monotonic()
            return self._state

    def _look(self) -> State:
        found: Mapping[str, Any] = {"run": {"run_id": self._runs.current()}}
        try:
            found = {**found, **self._decisions()}
        except Refusal as refusal:
            found = {**found, "ledger": {"unavailable": refusal.message}}
        return {topic: orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS) for topic, value in found.items()}

    def _decisions(self) -> dict[str, Any]:
        """What the ledger has to say. Who waits as a honeypot is not said."""
        with self._desk.ledger.reading() as reading:
            running = plans.listed(reading, states=RUNNING, limit=MOST_PLANS)
            return {
                "plans": [
                    {
                        "plan_id": each.plan_id,
                        "action": each.action,
                        "state": each.state,
                        "wave": each.wave,
                        "waves": len(each.waves),
                        "size": each.size,
                        "members": plans.tally(reading, each.plan_id),
                    }
                    for each in running
                ],
                "queue": {
                    "cases": {each.state: each.cases for each in cases.figures(reading)},
                    "open_appeals": verdicts.count_open_appeals(reading),
                    "plans_awaiting_approval": plans.count_awaiting(reading),
                },
                "banner": answers.banner(reading),
            }


def _name(state: State) -> str:
    """What the whole state is called: the id of its events."""
    digest = hashlib.blake2b(digest_size=8)
    for topic in sorted(state):
        digest.update(topic.encode() + b"\0" + state[topic] + b"\0")
    return digest.hexdigest()
