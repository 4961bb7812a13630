"""The command sink: an argument list, a fixed folder, bounded time and output, acknowledged only on exit 0."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from actions import outbox, waves
from actions.model import Action
from actions.refusals import Refusal
from actions.sinks import Receipt
from actions.sinks.command import OUTPUT, CommandSink, program, run
from tests.contract.desk import ALICE, OSCAR, Desk, request
from tests.contract.test_sinks import effect

pytest_plugins = ("tests.contract.ledgers",)
BATCH = [effect(number) for number in range(3)]


def script(folder: Path, text: str, name: str = "block.sh") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return path


def only(receipts: Sequence[Receipt]) -> Receipt:
    (same,) = {(each.outcome, each.error) for each in receipts}
    assert [each.effect_id for each in receipts] == [each.effect_id for each in BATCH]
    return Receipt("", *same)


def test_it_gets_a_line_of_json_for_each_effect(tmp_path: Path) -> None:
    script(tmp_path, 'cat > got; printf "%s|" "$@" > arguments')
    sink = CommandSink(["./block.sh", "a b", "$(touch hacked)", "; touch hacked", "`touch hacked`"], tmp_path)
    assert only(sink.deliver(BATCH)).outcome == "applied"
    lines = (tmp_path / "got").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [each.as_dict() for each in BATCH]
    assert (tmp_path / "arguments").read_text() == "a b|$(touch hacked)|; touch hacked|`touch hacked`|"
    assert not (tmp_path / "hacked").exists()


def test_its_environment_is_minimal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGFENCE_PEPPER", "secret")
    monkeypatch.setenv("LD_PRELOAD", "")
    script(tmp_path, "env > seen; pwd > where")
    CommandSink(["block.sh"], tmp_path).deliver(BATCH)
    seen = dict(line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines())
    assert seen.keys() - {"PWD", "SHLVL", "_", "OLDPWD"} == {"PATH", "LANG", "HOME", "RINGFENCE_SINK"}
    assert Path((tmp_path / "where").read_text().strip()) == tmp_path.resolve()


@pytest.mark.parametrize(
    ("text", "outcome", "error"),
    [
        ("exit 0", "applied", ""),
        ("echo no such customer >&2; exit 3", "retry", "exit 3: no such customer"),
        ("exec 0<&-; exit 1", "retry", "exit 1: "),
        ("kill -9 $$", "unknown", "killed by signal 9: "),
        ("head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero; exit 0", "applied", ""),
    ],
)
def test_only_exit_0_acknowledges(tmp_path: Path, text: str, outcome: str, error: str) -> None:
    script(tmp_path, text)
    assert only(CommandSink(["block.sh"], tmp_path).deliver(BATCH)) == Receipt("", outcome, error)  # type: ignore[arg-type]


def test_what_takes_too_long_is_killed_with_its_children_and_unknown(tmp_path: Path) -> None:
    script(tmp_path, "sleep 60 & echo $! > child; echo began >&2; wait")
    sink = CommandSink(["block.sh"], tmp_path, timeout=0.3)
    receipt = only(sink.deliver(BATCH))
    assert (receipt.outcome, receipt.error) == ("unknown", "killed after 0.3 s: began")
    child = int((tmp_path / "child").read_text())
    status = Path(f"/proc/{child}/status")
    assert not status.exists() or "Z (zombie)" in status.read_text()


def test_its_words_are_bounded(tmp_path: Path) -> None:
    script(tmp_path, "head -c 1000000 /dev/zero | tr '\\0' 'x' >&2; exit 1")
    ran = run(["block.sh"], tmp_path, b"")
    assert (ran.code, len(ran.said)) == (1, OUTPUT)


def test_only_files_of_the_folder_that_nobody_else_may_write_are_run(tmp_path: Path) -> None:
    folder, outside = tmp_path / "commands", tmp_path / "outside"
    folder.mkdir(mode=0o700)
    outside.mkdir(mode=0o700)
    good = script(folder, "exit 0")
    script(outside, "exit 0")
    (folder / "link.sh").symlink_to(outside / "block.sh")
    (folder / "within.sh").symlink_to("block.sh")
    script(folder, "exit 0", "open.sh").chmod(0o722)
    script(folder, "exit 0", "plain.sh").chmod(0o600)
    (folder / "sub").mkdir()
    script(folder / "sub", "exit 0")
    assert program(["./block.sh"], folder) == good.resolve()
    program(["within.sh"], folder)
    for argv in (
        [],
        [""],
        ["/bin/sh", "-c", "id"],
        ["../outside/block.sh"],
        ["sub/block.sh"],
        ["."],
        [".."],
        ["none.sh"],
        ["link.sh"],
        ["open.sh"],
        ["plain.sh"],
        ["block.sh", "a\0b"],
    ):
        with pytest.raises(Refusal):
            program(argv, folder)
    folder.chmod(0o777)
    with pytest.raises(Refusal):
        CommandSink(["block.sh"], folder)


def test_a_command_that_vanished_was_not_started(tmp_path: Path) -> None:
    path = script(tmp_path, "exit 0")
    sink = CommandSink(["block.sh"], tmp_path)
    path.unlink()
    assert only(sink.deliver(BATCH)).outcome == "retry"
    script(tmp_path, "exit 0").write_text("#!/no/such/interpreter\n")
    assert only(sink.deliver(BATCH)).outcome == "retry"


def test_doubtful_members_are_unknown_and_settled_by_a_person(desk: Desk, tmp_path: Path) -> None:
    script(tmp_path, "kill -9 $$")
    sink = CommandSink(["block.sh"], tmp_path, batch=200)
    plan = desk.plan(request(Action.THROTTLE, sinks=("command",)))
    waves.apply(desk.ledger, plan.plan_id, ALICE, desk.people)
    desk.run(sink)
    assert desk.tally(plan) == {"unknown": 200}
    script(tmp_path, "exit 0")
    desk.clock.pass_(hours=1)
    desk.run(sink)
    assert desk.tally(plan) == {"unknown": 200}
    with desk.ledger.transaction() as tx:
        outbox.retry(tx, plan.plan_id, OSCAR)
    desk.run(sink)
    assert desk.tally(plan) == {"applied": 200}
