"""Moves detectors from draft to shadow, from shadow to active, and out: by a named person, with a reason, for good."""

from __future__ import annotations

from datetime import UTC, datetime

from detection.lifecycle.definition import HomeDetector
from detection.lifecycle.files import Standing, standings, usable
from detection.lifecycle.records import Move, Record, State, changing
from detection.runs import Runs
from graph.errors import RingfenceError
from graph.home import Home


def promote(home: Home, name: str, by: str, reason: str) -> Move:
    """Move a detector one step on: a draft (or a retired one) to shadow, one in shadow to active.

    Raises RingfenceError when these bytes were not backtested since they last moved, the backtest found problems, or,
    for active, it found doubts or no run has had them in shadow yet.
    """
    found, detector = usable(home, name)
    if found.state == "active":
        raise RingfenceError(
            f"{name} is active already", "There is no step after that but retire.", exit_code=2
        )
    after: State = "active" if found.state == "shadow" else "shadow"
    _require_backtest(found, detector, after)
    if after == "active":
        _require_shadow(home, found, detector)
    return _move(home, found, detector.digest, by, reason, after)


def retire(home: Home, name: str, by: str, reason: str) -> Move:
    """Take a detector out of runs. Raises RingfenceError when it is unknown, or retired already."""
    for found in standings(home):
        if found.id == name:
            break
    else:
        raise RingfenceError(f"there is no detector {name!r}", "See: ringfence detectors list", exit_code=2)
    if found.state == "retired":
        raise RingfenceError(f"{name} is retired already", "See: ringfence detectors list", exit_code=2)
    digest = found.detector.digest if found.detector is not None else found.record.digest
    return _move(home, found, digest, by, reason, "retired")


def _require_backtest(found: Standing, detector: HomeDetector, after: State) -> None:
    tested = found.record.backtest
    again = f"Run: ringfence detectors backtest {found.id}"
    if tested is None or tested.digest != detector.digest:
        what = "was not backtested" if tested is None else "was changed since its backtest"
        raise RingfenceError(f"{found.id} {what}", again)
    if found.state == "retired" and tested.at < found.record.history[-1].at:
        raise RingfenceError(f"{found.id} was retired after its backtest", again)
    if tested.problems:
        raise RingfenceError(
            f"the backtest of {found.id} failed: {'; '.join(tested.problems)}", f"Correct it. {again}"
        )
    if after == "active" and tested.doubts:
        raise RingfenceError(
            f"the backtest of {found.id} leaves doubts: {'; '.join(tested.doubts)}",
            f"It may stay in shadow while more is known. {again} --days 30",
        )


def _require_shadow(home: Home, found: Standing, detector: HomeDetector) -> None:
    """Some finished run must have had exactly these bytes in shadow, properly."""
    for manifest in reversed(Runs(home).list()):
        ran = manifest.detectors.get(found.id, {})
        if ran.get("digest") == detector.digest and ran.get("state") == "shadow":
            if ran.get("failure"):
                raise RingfenceError(
                    f"{found.id} failed in shadow: {ran['failure']}", "Correct it, then start again."
                )
            return
    raise RingfenceError(f"no run has had {found.id} in shadow yet", "Run first: ringfence run")


def _move(home: Home, found: Standing, digest: str, by: str, reason: str, after: State) -> Move:
    move = Move(
        at=datetime.now(UTC),
        by=_said(by, "--by"),
        reason=_said(reason, "--reason"),
        before=found.state,
        after=after,
        digest=digest,
    )
    with changing(home) as records:
        record = records.get(found.id, Record())
        if record != found.record:
            raise RingfenceError(f"somebody else has just changed {found.id}", "Look again, then decide.")
        records[found.id] = record.model_copy(
            update={"state": after, "digest": digest, "history": (*record.history, move)}
        )
    return move


def _said(text: str, option: str) -> str:
    """A name or reason as others will read it. Raises RingfenceError when there is nothing to read."""
    clean = " ".join(text.split())
    if not clean or not clean.isprintable():
        raise RingfenceError(f"{option} is empty or cannot be read", "Others will read it.", exit_code=2)
    return clean
