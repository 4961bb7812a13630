"""The door of one home: keeps what it knows fresh in a thread of its own, and answers from memory and the ledger."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog

from actions import standing
from actions.ledger import Ledger
from actions.refusals import Refusal
from api.door.entities import Entities
from api.door.recent import Recent
from api.door.rings import Rings
from api.door.rules import Decision, Known, Situation, decide
from api.door.shown import Shown
from detection.runs import Runs
from graph.errors import RingfenceError
from graph.home import Home
from graph.identifiers import Keyer

EVERY_S = 0.4
"""Between two looks at what is new: with the look itself, events are known within a second."""


@dataclass(frozen=True)
class Answer:
    """A decision, and which parts it had to do without: without any it lets in."""

    decision: Decision
    run_id: str | None
    degraded: tuple[str, ...]


@dataclass(frozen=True)
class _Seen:
    """What is known at one moment: replaced as a whole, so that an answer never mixes two."""

    rings: Rings | None
    recent: Recent
    entities: Entities
    missing: frozenset[str]


class Door:
    """Answers from any thread. `start` keeps it fresh until `stop`."""

    def __init__(self, home: Home, ledger: Ledger, pepper: bytes, log: structlog.stdlib.BoundLogger) -> None:
        self._home, self._ledger, self._log = home, ledger, log
        self._keyer = Keyer(pepper)
        self._runs = Runs(home)
        self._seen = _Seen(None, Recent(home, None), Entities(), frozenset({"run", "events"}))
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look for what is new."""
        self._thread = threading.Thread(target=self._keep_fresh, name="door", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def answer(self, at: Situation, fields: Mapping[str, str]) -> Answer:
        """What to do with somebody who shows these fields."""
        seen = self._seen
        shown = Shown(self._keyer, fields)
        known = Known(
            entities=seen.entities.about(shown),
            rings=frozenset()
            if seen.rings is None
            else frozenset(shown.strong[key] for key in seen.rings.among(shown.strong)),
            newcomers=seen.recent.others(shown.strong, shown.organization),
        )
        missing = seen.missing
        if "org_id" in fields:
            try:
                with self._ledger.reading() as reading:
                    mine = standing.of(reading, fields["org_id"])
                known = replace(known, restrictions=mine.restrictions, protected=mine.protected)
            except Refusal:
                missing |= {"ledger"}
        run_id = None if seen.rings is None else seen.rings.run_id
        return Answer(decide(at, known), run_id, tuple(sorted(missing)))

    def refresh(self) -> None:
        """Look for what is new: another run, events, entities."""
        seen, missing = self._seen, set()
        rings, recent, entities = seen.rings, seen.recent, seen.entities
        try:
            run_id = self._runs.current()
            if run_id is not None and (rings is None or rings.run_id != run_id):
                files = self._runs.open(run_id)
                rings, recent = Rings.of(files), Recent(self._home, files.manifest.created_at)
        except RingfenceError:
            pass  # the run before still says something
        if rings is None:
            missing.add("run")
        try:
            recent.refresh()
        except (RingfenceError, OSError):
            missing.add("events")
        if recent.full:
            missing.add("events")
        try:
            with self._ledger.reading() as reading:
                entities = Entities.of(standing.entities(reading), self._keyer)
        except Refusal:
            missing.add("ledger")
        self._seen = _Seen(rings, recent, entities, frozenset(missing))

    def _keep_fresh(self) -> None:
        told = ""
        while not self._stop.is_set():
            try:
                self.refresh()
                told = ""
            except Exception as error:  # whatever it is, the door goes on with what it knows, and says so
                self._seen = replace(self._seen, missing=self._seen.missing | {"events"})
                if told != repr(error):
                    told = repr(error)
                    self._log.exception("door")
            self._stop.wait(EVERY_S)
