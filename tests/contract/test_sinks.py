"""What every sink promises. A new sink is a line in `SINKS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from actions.model import Effect
from actions.sinks import Sink
from actions.sinks.command import CommandSink
from actions.sinks.feed import FeedSink
from actions.sinks.file import FileSink
from tests.contract.receivers import RecipeReceiver, local_sink


@dataclass(frozen=True)
class Case:
    """A sink, and how often it brought an effect about (None: it cannot be asked)."""

    sink: Sink
    times: Callable[[Effect], int | None]
    close: Callable[[], None] = lambda: None


def _file(folder: Path) -> Case:
    path = folder / "effects.ndjson"
    return Case(FileSink(path), lambda effect: path.read_text().count(f'"{effect.effect_id}"'))


def _feed(folder: Path) -> Case:  # noqa: ARG001
    return Case(FeedSink(), lambda _: None)


def _webhook(folder: Path) -> Case:
    receiver = RecipeReceiver(folder)
    sink = local_sink(receiver.port)

    def times(effect: Effect) -> int:
        return int(receiver.state().get(effect.org_id, (0, ""))[0] == effect.generation)

    def close() -> None:
        sink.close()
        receiver.close()

    return Case(sink, times, close)


def _command(folder: Path) -> Case:
    script = folder / "keep.sh"
    script.write_text("#!/bin/sh\ncat >> effects.ndjson\n")
    script.chmod(0o700)
    written = folder / "effects.ndjson"
    sink = CommandSink(["./keep.sh"], folder)
    return Case(sink, lambda effect: written.read_text().count(f'"{effect.effect_id}"'))


SINKS: dict[str, Callable[[Path], Case]] = {
    "file": _file,
    "feed": _feed,
    "webhook": _webhook,
    "command": _command,
}
"""By name: from an empty folder to a sink that takes whatever it is given."""


@pytest.fixture(params=SINKS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    made = SINKS[request.param](tmp_path)
    yield made
    made.close()


def effect(number: int, generation: int = 1, action: str = "ban") -> Effect:
    return Effect(
        seq=number * 10 + generation,
        effect_id=f"effect-{number}-{generation}",
        plan_id="plan_1",
        subject_kind="organization",
        org_id=f'org "{number}" ☃\n',
        generation=generation,
        action=action,
        desired_state=() if action == "restore" else (action,),
        expires_at=datetime(2026, 5, 2, tzinfo=UTC),
        public_reason="policy_violation",
        key_ids=("key_1",),
        created_at=datetime(2026, 5, 1, tzinfo=UTC),
        params={"rate": 1},
    )


def test_it_answers_for_every_effect(case: Case) -> None:
    batch = [effect(number) for number in range(25)]
    receipts = case.sink.deliver(batch)
    assert {receipt.effect_id for receipt in receipts} == {each.effect_id for each in batch}
    assert {receipt.outcome for receipt in receipts} <= {"applied", "waiting"}
    assert all(case.times(each) in {1, None} for each in batch)


def test_it_declares_what_it_promises(case: Case) -> None:
    assert case.sink.promise in {"generations", "at_least_once"}
    assert case.sink.name
    assert case.sink.batch >= 1
    assert all(wait >= 0 for wait in case.sink.retries)


def test_a_late_generation_changes_nothing_where_generations_are_honoured(case: Case) -> None:
    if case.sink.promise != "generations":
        assert case.sink.promise == "at_least_once"
        return
    ban, restore = effect(1), effect(1, generation=2, action="restore")
    case.sink.deliver([restore])
    (receipt,) = case.sink.deliver([ban])
    case.sink.deliver([restore])
    assert receipt.outcome in {"applied", "waiting"}
    assert case.times(ban) in {0, None}
    assert case.times(restore) in {1, None}


def test_nothing_to_deliver_is_fine(case: Case) -> None:
    assert list(case.sink.deliver([])) == []


def test_an_effect_is_json_with_all_that_a_script_needs() -> None:
    assert effect(1).as_dict() == {
        "effect_id": "effect-1-1",
        "cursor": 11,
        "plan_id": "plan_1",
        "subject_kind": "organization",
        "org_id": 'org "1" ☃\n',
        "generation": 1,
        "action": "ban",
        "desired_state": ["ban"],
        "expires_at": "2026-05-02T00:00:00Z",
        "public_reason": "policy_violation",
        "key_ids": ["key_1"],
        "params": {"rate": 1},
        "created_at": "2026-05-01T00:00:00Z",
    }
    assert replace(effect(1), expires_at=None).as_dict()["expires_at"] is None
