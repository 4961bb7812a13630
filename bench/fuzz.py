"""Generated requests to every route of a real server: no 5xx, and nothing that the API's own description denies.

Three kinds: such as the description allows, such as it forbids, and allowed ones that name what earlier answers named,
so that they get past `not found`. Each cell (a share of an operation's requests) is kept: stopped, it goes on.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import requests
from schemathesis import GenerationMode
from schemathesis.core.failures import Failure, FailureGroup

from api.app import Parts
from api.auth.permissions import ROLES
from api.http.rate import Rates
from bench import cells
from bench.plan import Plan
from bench.results import Result, Target
from tests.contract import fuzzing
from tests.contract.api_server import Served, served_campaign

SERVERS = 2
EACH = 40
"""Requests of one kind to one operation in a cell."""

ROUNDS = 200
PACKAGES = ("actions", "api", "graph", "detection", "ingest", "queries")
NAMED = "named"
KINDS = (
    ("allowed", GenerationMode.POSITIVE),
    ("forbidden", GenerationMode.NEGATIVE),
    (NAMED, GenerationMode.POSITIVE),
)
SHOWN = 600


def run(plan: Plan) -> Result:
    """Half of the requests to each of two servers."""
    code = cells.digest("fuzz", packages=PACKAGES)
    each, wanted = (1, 600) if plan.quick else (EACH, plan.cases)
    until = time.monotonic() + 60 * plan.minutes
    context = get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="ringfence-fuzz-") as folder:
        sent = context.Queue()
        shares = [
            context.Process(
                target=_share,
                args=(
                    Share(number, each, wanted // SERVERS, until, code, plan.seeds[0]),
                    Path(folder, str(number)),
                    sent,
                ),
            )
            for number in range(SERVERS)
        ]
        for share in shares:
            share.start()
        tallies = [sent.get() for _ in shares]
        for share in shares:
            share.join()
    broken = [tally for tally in tallies if isinstance(tally, str)]
    if broken:
        raise RuntimeError(broken[0])
    return _result(tallies, wanted, plan.seeds[0])


@dataclass(frozen=True)
class Share:
    """What one of the servers is asked: `wanted` requests, `each` of a kind and an operation at a time."""

    number: int
    each: int
    wanted: int
    until: float
    code: str
    seed: int


@dataclass
class Tally:
    """What was asked, what was answered, and what was wrong with it: the first example of each kind of fault."""

    cases: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    faulty: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    operations: int = 0

    def fault(self, operation: Any, kind: str, wrong: dict[str, str]) -> None:
        """One faulty answer."""
        self.faulty += 1
        for title, shown in wrong.items():
            self.faults.setdefault(f"{operation.method.upper()} {operation.path} ({kind}): {title}", shown)

    def add(self, cell: cells.Cell) -> None:
        """What one cell found."""
        self.cases += cell["cases"]
        self.statuses.update(cell["statuses"])
        self.faulty += cell["faulty"]
        for name, shown in cell["faults"].items():
            self.faults.setdefault(name, shown)


def _result(tallies: list[Tally], wanted: int, seed: int) -> Result:
    statuses: Counter[str] = sum((tally.statuses for tally in tallies), Counter())
    faults = {name: shown for tally in tallies for name, shown in tally.faults.items()}
    cases = sum(tally.cases for tally in tallies)
    return Result(
        "fuzz",
        f"{wanted:,} generated requests over every route",
        {
            "cases": cases,
            "operations": max(tally.operations for tally in tallies),
            "answers_2xx": sum(count for status, count in statuses.items() if status.startswith("2")),
            "answers_4xx": sum(count for status, count in statuses.items() if status.startswith("4")),
            "answers_5xx": sum(count for status, count in statuses.items() if status.startswith("5")),
            "faulty_answers": sum(tally.faulty for tally in tallies),
            "kinds_of_fault": len(faults),
        },
        (
            Target("cases", wanted, lower=False),
            Target("answers_5xx", 0),
            Target("faulty_answers", 0),
        ),
        (seed,),
        {"organizations": 400},
        tuple(sorted(faults)) or ("no 5xx, and no answer that the description denies",),
        {"statuses": dict(sorted(statuses.items())), "faults": faults},
    )


def _share(share: Share, folder: Path, sent: Any) -> None:
    """One server and whoever asks it, in a process of their own; a text instead of a tally says what went wrong."""
    try:
        folder.mkdir()
        sent.put(_asked(share, folder))
    except Exception as error:
        sent.put(f"{type(error).__name__}: {error}")
        raise


def _asked(share: Share, folder: Path) -> Tally:
    tally = Tally()
    rates = Rates(principal_second=1_000_000, address_second=1_000_000, failures_minute=1_000_000)
    with served_campaign(folder, Parts(rates=rates)) as served:
        asking = Asking(served, share)
        tally.operations = len(asking.operations)
        for name, operation, turn in asking.turns():
            if tally.cases >= share.wanted or time.monotonic() > share.until:
                break
            cell = cells.cached(
                f"fuzz-{share.number}-{share.each}-{turn:03}-{name}",
                share.code,
                lambda operation=operation, turn=turn: asking.cell(operation, turn),  # type: ignore[misc]
                lambda _: None,
            )
            tally.add(cell)
            if cell["cases"] and tally.cases // 5_000 != (tally.cases - cell["cases"]) // 5_000:
                print(f"{tally.cases:,} requests, {len(tally.faults)} kinds of fault", flush=True)
    return tally


class Asking:
    """Somebody with every role, and what they know of the server."""

    def __init__(self, served: Served, share: Share) -> None:
        self._served, self._share = served, share
        self._known = fuzzing.Known(random.Random(share.seed * SERVERS + share.number))
        self._session = requests.Session()
        bearer = served.person("anybody", *ROLES).headers["authorization"]
        self._headers = {"Authorization": bearer}
        with served.client(*ROLES) as client:
            document = client.get("/v1/openapi.json").json()
            for path, methods in document["paths"].items():
                if "get" in methods and "{" not in path and path != fuzzing.ENDLESS:
                    answer = client.get(path)
                    if answer.headers["content-type"].startswith("application/json"):
                        self._known.learn(answer.json())
        self.operations = list(fuzzing.operations(document, served.url))

    def turns(self) -> Iterator[tuple[str, Any, int]]:
        """Every operation over and over, each time with other requests."""
        for turn in range(ROUNDS):
            for operation in self.operations:
                words = f"{operation.method}{operation.path}".replace("/v1/", "-").replace("/", "-")
                yield words.translate(str.maketrans("", "", "{}")), operation, turn

    def cell(self, operation: Any, turn: int) -> cells.Cell:
        """Requests of every kind to one operation."""
        found = Tally()
        first = (turn * SERVERS + self._share.number) * len(KINDS)
        for number, (kind, mode) in enumerate(KINDS, first):
            ask = partial(self._ask, operation, kind, found)
            fuzzing.ask_all(operation, mode, ask, self._share.each, number)
        log = self._served.log
        if "exception" in log.getvalue():
            found.fault(operation, "any", {"the server logged an exception": log.getvalue()[-SHOWN:]})
        log.seek(0)
        log.truncate()
        return dict(vars(found))

    def _ask(self, operation: Any, kind: str, found: Tally, case: Any) -> None:
        if kind == NAMED:
            self._known.fill(case)
        status, wrong = self._judged(operation, case)
        found.cases += 1
        found.statuses[status] += 1
        if wrong:
            found.fault(operation, kind, wrong)

    def _judged(self, operation: Any, case: Any) -> tuple[str, dict[str, str]]:
        """The status of an answer, and what is wrong with it."""
        try:
            answer = case.call(headers=self._headers, session=self._session, timeout=fuzzing.SECONDS)
        except requests.RequestException as error:
            return "none", {"no answer": f"{type(error).__name__}: {error}"[:SHOWN]}
        if 200 <= answer.status_code < 300 and answer.headers["content-type"][0].startswith(
            "application/json"
        ):
            with suppress(ValueError):  # an empty body is judged below
                self._known.learn(answer.json())
        try:
            case.validate_response(answer, excluded_checks=fuzzing.excluded(operation), headers=self._headers)
        except FailureGroup as group:
            return str(answer.status_code), {each.title: _shown(case, each) for each in group.exceptions}
        except Failure as failure:
            return str(answer.status_code), {failure.title: _shown(case, failure)}
        return str(answer.status_code), {}


def _shown(case: Any, failure: Failure) -> str:
    sent = f"{case.method} {case.formatted_path} query={case.query!r} body={case.body!r}"
    return f"{sent[:SHOWN]}\n{failure.message[:SHOWN]}"
