"""A running server asked by a mixed crowd, alone and beside a run that publishes; and events in over HTTP.

Requests start at fixed moments whether or not earlier ones were answered, and their time counts from the moment at
which they were due: a server that falls behind shows it.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import pyarrow.parquet as pq

from bench.commands import RINGFENCE, ringfence, start
from bench.plan import Plan
from bench.results import Result, Target
from bench.worlds import clone, ingested, world
from detection.runs import Runs
from graph.home import Home

RATE = 200
"""Reads a second."""

SECONDS = 60
CONNECTIONS = 24
EVENTS = 400_000
CALM_MS, PUBLISHING_MS, VERDICT_MS = 50.0, 150.0, 10.0
SEEN = 2_000
"""Different clusters and pairs that are asked about."""


@dataclass
class Served:
    """A server, and what opens it."""

    host: str
    port: int
    cookie: str
    process: subprocess.Popen[bytes]


@dataclass(frozen=True)
class Question:
    """A request: a GET, or with a body a POST."""

    name: str
    path: str
    body: bytes = b""

    def sent(self, served: Served) -> bytes:
        """Its bytes."""
        lines = [f"{'POST' if self.body else 'GET'} {self.path} HTTP/1.1", f"Host: {served.host}"]
        lines += [f"Cookie: {served.cookie}"]
        if self.body:
            lines += [
                "X-Ringfence-CSRF: 1",
                "Content-Type: application/json",
                f"Content-Length: {len(self.body)}",
            ]
        return "\r\n".join((*lines, "", "")).encode() + self.body


@dataclass
class Tally:
    """Milliseconds by question, and answers by status."""

    taken: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[int] = field(default_factory=Counter)

    def percentile(self, share: float, name: str | None = None) -> float:
        """Of one question, or of all."""
        found = sorted(
            self.taken[name] if name else [each for group in self.taken.values() for each in group]
        )
        return found[min(len(found) - 1, round(share * len(found)))]

    @property
    def errors(self) -> int:
        """Answers other than 200 and 304."""
        return sum(count for status, count in self.statuses.items() if status not in (200, 304))


def run(plan: Plan) -> Result:
    """Read, read while a run publishes, and write events."""
    home = Home(clone(ingested(world(plan.large, plan.seeds[0])), "api"))
    plan.say("a run")
    ringfence("run", home=home.path)
    seconds = 5 if plan.quick else SECONDS
    figures: dict[str, float] = {}
    with serving(home) as served:
        questions = Questions(home, plan.seeds[0])
        asyncio.run(_crowd(served, questions, 2))
        plan.say("reads alone")
        _add(figures, "alone", asyncio.run(_crowd(served, questions, seconds)))
        plan.say("verdicts")
        asyncio.run(_crowd(served, Door(home, plan.seeds[0]), 3))  # what it knows of the run loads meanwhile
        _add(figures, "verdicts", asyncio.run(_crowd(served, Door(home, plan.seeds[0]), seconds)))
        plan.say("reads beside a run")
        publisher = start(["nice", "-n", "10", *RINGFENCE, "run", "--home", str(home.path)])
        tally = asyncio.run(_crowd(served, questions, seconds, until=publisher))
        _add(figures, "publishing", tally)
        publisher.wait()
        plan.say("events")
        rows = 5_000 if plan.quick else EVENTS
        figures["events_per_s"] = _events(served, rows)
    return Result(
        name="api",
        title=f"HTTP: {RATE} mixed reads a second, events in",
        figures=figures,
        targets=(
            Target("alone_p99_ms", CALM_MS),
            Target("publishing_p99_ms", PUBLISHING_MS),
            Target("verdicts_p99_ms", VERDICT_MS),
            Target("verdicts_errors", 0),
            Target("alone_errors", 0),
            Target("publishing_errors", 0),
            Target("events_per_s", 20_000, lower=False),
        ),
        seeds=plan.seeds[:1],
        sizes={"organizations": plan.large},
    )


def _add(figures: dict[str, float], name: str, tally: Tally) -> None:
    figures[f"{name}_p50_ms"] = tally.percentile(0.5)
    figures[f"{name}_p99_ms"] = tally.percentile(0.99)
    for question in sorted(tally.taken):
        figures[f"{name}_{question}_p99_ms"] = tally.percentile(0.99, question)
    figures[f"{name}_requests"] = sum(tally.statuses.values())
    figures[f"{name}_errors"] = tally.errors


@contextmanager
def serving(home: Home) -> Iterator[Served]:
    """`ringfence serve` on a free port with an open session."""
    command = [*RINGFENCE, "serve", "--port", "0", "--json", "--home", str(home.path)]
    process = start(command, stdout=subprocess.PIPE)
    try:
        lines = iter(process.stdout.readline, b"")
        said = b"".join(line for line in _object(lines))
        opened = urlsplit(json.loads(said)["open"])
        with urllib.request.urlopen(opened.geturl(), timeout=60) as answer:  # noqa: S310 - our own address
            cookie = answer.headers["Set-Cookie"].partition(";")[0]
        yield Served(str(opened.hostname), int(opened.port or 0), cookie, process)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _object(lines: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of the one JSON object that it prints."""
    for line in lines:
        yield line
        if line.rstrip() == b"}":
            return


class Questions:
    """What the crowd asks, drawn from the run that is served: list, detail, neighbourhood, why."""

    def __init__(self, home: Home, seed: int) -> None:
        self._random = random.Random(seed)
        run = Runs(home).open()
        clusters = run.table("clusters", ["cluster_id"])["cluster_id"].to_pylist()
        members = run.table("members", ["org_id"])["org_id"].to_pylist()
        ties = pq.read_table(run.path("ties"), columns=["a", "b"]).slice(0, 200_000).to_pylist()
        self._clusters = self._random.sample(clusters, min(SEEN, len(clusters)))
        self._organizations = self._random.sample(members, min(SEEN, len(members)))
        self._ties = self._random.sample(ties, min(SEEN, len(ties)))

    def next(self) -> Question:
        """What is asked next."""
        name = self._random.choices(("list", "detail", "members", "near", "why"), (30, 25, 10, 20, 15))[0]
        ask = {"list": self._list, "detail": self._detail, "members": self._members_of, "near": self._near}
        return Question(name, ask.get(name, self._why)())

    def _list(self) -> str:
        sort = self._random.choice(("risk", "size", "cost", "change"))
        return f"/v1/clusters?sort={sort}&min_risk={self._random.randrange(0, 90, 10)}&limit=50"

    def _detail(self) -> str:
        return f"/v1/clusters/{self._random.choice(self._clusters)}"

    def _members_of(self) -> str:
        return f"/v1/clusters/{self._random.choice(self._clusters)}/members"

    def _near(self) -> str:
        return f"/v1/expand?node=org:{quote(self._random.choice(self._organizations), safe='')}"

    def _why(self) -> str:
        tie = self._random.choice(self._ties)
        other = tie["b"] if self._random.random() < 0.8 else self._random.choice(self._organizations)
        return f"/v1/why?a={quote(tie['a'], safe='')}&b={quote(other, safe='')}"


class Door:
    """Somebody at the door: an organization of the run, with a card, a mailbox, a device and an address."""

    def __init__(self, home: Home, seed: int) -> None:
        self._random = random.Random(seed)
        members = Runs(home).open().table("members", ["org_id"])["org_id"].to_pylist()
        self._organizations = self._random.sample(members, min(SEEN, len(members)))

    def next(self) -> Question:
        """Who comes next."""
        draw = self._random
        shown = {
            "at": draw.choice(("signup", "trial", "promo", "payment", "first_inference")),
            "org_id": draw.choice(self._organizations),
            "payment_method": f"card {draw.randrange(100_000)}",
            "email": f"somebody{draw.randrange(100_000)}@mail.example",
            "device_id": f"device {draw.randrange(100_000)}",
            "ip": f"198.51.100.{draw.randrange(256)}",
        }
        return Question(shown["at"], "/v1/verdicts", json.dumps(shown).encode())


async def _crowd(
    served: Served, questions: Questions | Door, seconds: float, until: subprocess.Popen[bytes] | None = None
) -> Tally:
    """Ask at a steady rate for so long, or until a process has ended."""
    tally = Tally()
    due: asyncio.Queue[tuple[float, Question] | None] = asyncio.Queue()
    crowd = [asyncio.create_task(_one(served, due, tally)) for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    count = 0
    while until.poll() is None if until is not None else count < seconds * RATE:
        moment = began + count / RATE
        await asyncio.sleep(max(0.0, moment - time.perf_counter()))
        due.put_nowait((moment, questions.next()))
        count += 1
    for _ in crowd:
        due.put_nowait(None)
    await asyncio.gather(*crowd)
    return tally


async def _one(served: Served, due: asyncio.Queue[tuple[float, Question] | None], tally: Tally) -> None:
    """One connection that is kept open."""
    reader, writer = await asyncio.open_connection(served.host, served.port)
    try:
        while (asked := await due.get()) is not None:
            moment, question = asked
            writer.write(question.sent(served))
            status = await _answer(reader)
            tally.taken[question.name].append(1000 * (time.perf_counter() - moment))
            tally.statuses[status] += 1
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length or 0))
    return int(head.split(b" ", 2)[1])


def _events(served: Served, rows: int) -> float:
    """Rows a second, in bodies of 100,000."""
    bodies = [_body(range(first, min(first + 100_000, rows))) for first in range(0, rows, 100_000)]
    began = time.perf_counter()
    for body in bodies:
        request = urllib.request.Request(
            f"http://{served.host}:{served.port}/v1/events?source=bench",
            data=body,
            headers={
                "Content-Type": "application/x-ndjson",
                "Cookie": served.cookie,
                "X-Ringfence-CSRF": "1",
            },
        )
        with urllib.request.urlopen(request, timeout=600) as answer:  # noqa: S310
            said: dict[str, Any] = json.load(answer)
        assert said["quarantined"] == 0, said
    return rows / (time.perf_counter() - began)


def _body(numbers: Sequence[int]) -> bytes:
    rows = (
        f'{{"event_id":"h{n}","event_type":"inference","occurred_at":"2026-03-04T12:{n // 60 % 60:02}:{n % 60:02}Z",'
        f'"org_id":"http_{n % 50_000}","ip":"198.51.{n % 200}.{n % 250}","api_key":"sk-{n % 60_000}",'
        f'"model":"m","tokens":{n % 1000},"cost_usd":"0.0012","user_agent":"py/1"}}\n'
        for n in numbers
    )
    return "".join(rows).encode()
