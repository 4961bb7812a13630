"""Erasing an organization everywhere: ledger, facts, quarantine, runs, reports, graph.

The order is one that can be cut off anywhere: first it is on record, then nothing new comes in, then what was made of
the facts goes, then the facts. Asked again it finishes; whoever asks needs the id, since nothing remembers it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.progress import Progress, silent
from api.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from api.deciding.desk import Desk
    from graph.scrubbing import Scrub

ERASED = "erased:"


@dataclass(frozen=True)
class Erasure:
    """What was taken out. `known_as` is the name under which the audit keeps what was done."""

    known_as: str
    events: int
    mentions: int
    values: int
    quarantined: int
    files: int


def erase_organization(
    desk: Desk, org_id: str, reason: str, *, store: str | None = None, progress: Progress = silent
) -> Erasure:
    """Erase an organization. Raises Refusal unless an admin asks, and RingfenceError where a file cannot be written.

    It takes as long as reading all events once, and writing anew what holds any of it; the graph is published again.
    """
    from actions import erasure
    from detection.forgetting import forget_in_runs
    from detection.run import alone
    from graph.home import load_pepper
    from graph.scrubbing import Scrub
    from ingest.forgetting import forget_organization

    home, settings = desk.home, load_settings(desk.home)
    with desk.ledger.transaction() as tx:
        known_as = erasure.erase_organization(tx, org_id, desk.principal, reason=reason)
    written = 0

    def elsewhere(texts: frozenset[str]) -> None:
        nonlocal written
        progress("Writing runs without it", 0, None)
        scrub = Scrub(org_id, f"{ERASED}{known_as}", texts)
        written = forget_in_runs(home, scrub) + _forget_elsewhere(desk, scrub)

    with alone(home):
        found = forget_organization(
            home,
            org_id,
            settings=settings.ingest,
            pepper=load_pepper(),
            tell=progress,
            before=elsewhere,
        )
    _publish(desk, store, progress)
    erasure.overwrite(desk.ledger)
    return Erasure(known_as, found.events, found.mentions, found.values, found.quarantined, written)


def _forget_elsewhere(desk: Desk, scrub: Scrub) -> int:
    """Take it out of whatever else lies in the home: samples, backtests, inputs, the file of effects."""
    from graph.scrubbing import files

    home = desk.home
    written = 0
    apart = [home.facts, home.quarantine, home.runs]
    with _held(_effects_of(desk)):
        for path in files(home.path, apart):
            drop = path.suffix == ".parquet"
            written += scrub.parquet(path, drop=True) if drop else scrub.lines(path)
    return written


def _effects_of(desk: Desk) -> Path:
    from api.deciding.sinks import EFFECTS

    return desk.section.file or desk.home.path / EFFECTS


@contextmanager
def _held(effects: Path) -> Iterator[None]:
    """Keep the file sink from writing meanwhile."""
    from filelock import FileLock

    if not effects.exists():
        yield
        return
    with FileLock(f"{effects}.lock"):
        yield


def _publish(desk: Desk, store: str | None, progress: Progress) -> None:
    """Have the graph show the run that serves without it."""
    from api.stores import rebuild
    from detection.runs import Runs

    if Runs(desk.home).current() is not None:
        rebuild(desk.home, store, progress)
