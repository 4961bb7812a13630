"""From effects to facts and to the graph: what was applied becomes events and statuses, what was asked for is written.

Nothing that is applied waits for it. Facts and graph are each followed up to a cursor of their own, kept in the home
beside what it describes; whatever was interrupted is done again, and means the same again.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from filelock import FileLock, Timeout

from actions import wishes
from actions.ledger import Reading, deliveries
from actions.model import ORGANIZATION, UNSETTLED, Delivered, Effect
from actions.sinks.feed import pull
from actions.wishes import Wish
from api import decisions
from api.deciding.desk import Desk
from api.settings import RECORDS, load_settings
from api.stores import chosen
from graph.durable import write_atomically
from graph.errors import RingfenceError
from graph.facts import FactsReader
from graph.home import load_pepper
from graph.lookup import organization_ref

log = logging.getLogger(__name__)
STATE = "records.json"
PAGE = 5_000
ERASED = "erased:"
"""How the ledger calls an organization whose name it forgot: nothing is written about it."""
STRONGEST = ("ban", "honeypot", "clawback", "hold_payout", "freeze_credit", "verify", "throttle")
"""Of several restrictions the graph shows the first of these."""
APART = 5
"""From how many members of its cluster, those it is tied to the most, an organization is kept apart."""


@dataclass
class Place:
    """How far one follower is: `late` are effects before the cursor that were still on their way."""

    cursor: int = 0
    late: list[int] = field(default_factory=list)


class Records:
    """Writes to one home what its ledger decided."""

    def __init__(self, desk: Desk, store: str | None = None) -> None:
        self._desk = desk
        self._store = chosen(store)
        self._state = desk.home.path / STATE

    def turn(self) -> int:
        """Do what there is to do, unless another process is at it; how many effects and requests it was."""
        try:
            with FileLock(f"{self._state}.lock", timeout=0):
                return (
                    self._granted()
                    + self._follow("facts", self._to_facts)
                    + self._follow("graph", self._to_graph)
                )
        except Timeout:
            return 0

    def _follow(self, name: str, write: Callable[[Sequence[Effect]], bool]) -> int:
        """Hand on the effects that arrived since the last time; how many."""
        places = self._places()
        place = places.setdefault(name, Place())
        with self._desk.ledger.reading() as reading:
            ready, after = _arrived(reading, place)
        if after == place:
            return 0
        try:
            if ready and not write(ready):
                return 0
        except RingfenceError as error:
            log.warning("the %s cannot be written yet: %s", name, error.message)
            return 0
        places[name] = after
        write_atomically(self._state, orjson.dumps({each: vars(at) for each, at in places.items()}))
        return len(ready)

    def _places(self) -> dict[str, Place]:
        try:
            kept: dict[str, Any] = orjson.loads(self._state.read_bytes())
            return {name: Place(**place) for name, place in kept.items()}
        except FileNotFoundError:
            return {}
        except (orjson.JSONDecodeError, TypeError, AttributeError) as error:
            raise RingfenceError(
                f"{self._state} cannot be read", "Remove it: everything is then recorded once more."
            ) from error

    def _to_facts(self, effects: Sequence[Effect]) -> bool:
        """Events of organizations that were restricted or restored, at most as late as the latest event."""
        latest = FactsReader(self._desk.home).latest() or datetime.now(UTC)
        store_events(self._desk, [_event(effect, latest) for effect in effects])
        return True

    def _to_graph(self, effects: Sequence[Effect]) -> bool:
        """Statuses in the graph store; False before anything was published there."""
        from graph.stores import open_store

        pepper = load_pepper()
        last = {effect.org_id: effect for effect in effects}
        alike: dict[tuple[str | None, datetime], list[str]] = {}
        for org_id, effect in last.items():
            alike.setdefault((status_of(effect), effect.created_at), []).append(org_id)
        store = open_store(self._store, self._desk.home)
        try:
            if store.run_id() is None:
                return False
            for (status, at), org_ids in alike.items():
                store.set_status([organization_ref(each, pepper) for each in org_ids], status, at)
        finally:
            store.close()
        return True

    def _granted(self) -> int:
        """Write what granted appeals ask of the facts; how many requests were fulfilled."""
        with self._desk.ledger.reading() as reading:
            asked = wishes.open_wishes(reading)
        done = []
        for wish in asked:
            try:
                if not wish.org_id.startswith(ERASED):
                    self._fulfil(wish)
            except RingfenceError as error:
                log.warning("a granted appeal cannot be written yet: %s", error.message)
                continue
            done.append(wish.seq)
        if done:
            with self._desk.ledger.transaction() as tx:
                wishes.fulfilled(tx, done)
        return len(done)

    def _fulfil(self, wish: Wish) -> None:
        """That evidence is disputed is said by the label, and mates are scored anew by the next run, which reads it."""
        reason = f"{wish.appeal_id} was granted"
        home = self._desk.home
        if wish.kind == "label_legitimate":
            label = {
                "org_id": wish.org_id,
                "label": "legitimate",
                "reason": f"{reason}; its evidence is disputed",
            }
            decisions.record(home, decisions.LABEL, [label])
        if wish.kind == "not_linked" and wish.cluster_id is not None:
            others = self._closest(wish.org_id, wish.cluster_id)
            pairs = [{"org_id": wish.org_id, "other_org_id": other, "reason": reason} for other in others]
            if pairs:
                decisions.record(home, decisions.NOT_LINKED, pairs)

    def _closest(self, org_id: str, cluster_id: str) -> list[str]:
        """The members of its cluster that it is tied to the most, the strongest first."""
        from detection.runs import Runs

        files = Runs(self._desk.home).open()
        ties = files.table("ties", ["a", "b", "weight"], [("cluster_id", "=", cluster_id)]).to_pylist()
        mine = [tie for tie in ties if org_id in (tie["a"], tie["b"])]
        mine.sort(key=lambda tie: (-tie["weight"], tie["a"], tie["b"]))
        return [tie["b"] if tie["a"] == org_id else tie["a"] for tie in mine[:APART]]


def store_events(desk: Desk, events: Sequence[dict[str, Any]]) -> None:
    """Store events of the source `decisions`; those that are there already stay as they are."""
    from ingest.job import ingest

    settings = load_settings(desk.home).ingest.model_copy(update={"workers": 0})
    with tempfile.TemporaryDirectory(prefix="ringfence-records-") as folder:
        file = Path(folder) / "records.ndjson"
        file.write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in events))
        ingest(desk.home, [str(file)], source=decisions.SOURCE, settings=settings, pepper=load_pepper())


def status_of(effect: Effect) -> str | None:
    """What the graph shows of an organization once this effect is in force."""
    return next((each for each in STRONGEST if each in effect.desired_state), None)


def _event(effect: Effect, latest: datetime) -> dict[str, Any]:
    """An applied effect as an event. Its id is the effect's, so that it is stored once.

    A decision taken long after the events must not move the time from which every '24 h' counts.
    """
    restricted = bool(effect.desired_state)
    action = effect.action if effect.action in effect.desired_state or not restricted else status_of(effect)
    return {
        "event_id": f"effect-{effect.effect_id}",
        "event_type": "organization_restricted" if restricted else "organization_restored",
        "occurred_at": min(latest, effect.created_at).isoformat(),
        "org_id": effect.org_id,
        "action": action,
        "reason": effect.public_reason,
    }


def _arrived(reading: Reading, place: Place) -> tuple[list[Effect], Place]:
    """Effects on organizations that some sink applied since `place`, and the place after them."""
    late = set(place.late)
    ready: list[Effect] = []
    waiting: list[int] = []
    cursor = place.cursor
    for page in _pages(reading, min(late, default=cursor + 1) - 1):
        fresh = [effect for effect in page if effect.seq > place.cursor or effect.seq in late]
        states = deliveries.statuses(reading, [effect.seq for effect in fresh])
        for effect in fresh:
            elsewhere = [state for sink, state in states.get(effect.seq, {}).items() if sink != RECORDS]
            cursor = max(cursor, effect.seq)
            if any(state in UNSETTLED for state in elsewhere):
                waiting.append(effect.seq)
            elif _named(effect) and _applied(elsewhere):
                ready.append(effect)
    return ready, Place(cursor, waiting)


def _named(effect: Effect) -> bool:
    """Whether it is about an organization that still has its name."""
    return effect.subject_kind == ORGANIZATION and not effect.org_id.startswith(ERASED)


def _applied(states: Iterable[str]) -> bool:
    """Whether any sink applied it; an effect that goes to no other sink is applied by being recorded."""
    known = list(states)
    return not known or Delivered.APPLIED in known


def _pages(reading: Reading, after: int) -> Iterator[list[Effect]]:
    while page := pull(reading, after=after, limit=PAGE, sink=RECORDS):
        yield page
        after = page[-1].seq
