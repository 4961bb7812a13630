"""Effects on their way: waves, failures, generations, leases, the feed, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from actions import honeypots, killswitch, outbox, undo, waves
from actions.ledger import deliveries, plans
from actions.model import Action, Effect, PlanState, Principal, exit_code
from actions.refusals import Refusal
from actions.settings import ActionSettings
from actions.sinks import Receipt
from actions.sinks.feed import FeedSink, acknowledge, pull, state
from actions.sinks.file import FileSink
from tests.contract.desk import ADMIN, ALICE, OSCAR, Desk, MemorySink, People, request, ring

pytest_plugins = ("tests.contract.ledgers",)


def memory(desk: Desk) -> MemorySink:
    assert isinstance(desk.sink, MemorySink)
    return desk.sink


def test_waves_hold_ten_and_thirty_minutes(desk: Desk) -> None:
    desk.ledger.settings = ActionSettings()
    plan = desk.approve(desk.plan(request(Action.BAN, controls=False)))
    assert desk.apply(plan).hold_until is not None
    assert desk.tally(plan) == {"applied": 2, "pending": 198}
    desk.clock.pass_(minutes=9, seconds=59)
    desk.run()
    assert desk.tally(plan) == {"applied": 2, "pending": 198}
    desk.clock.pass_(seconds=1)
    desk.run()
    assert desk.tally(plan) == {"applied": 20, "pending": 180}
    desk.clock.pass_(minutes=30)
    desk.run()
    assert desk.tally(plan) == {"applied": 200}
    assert desk.get(plan).state is PlanState.COMPLETED


def test_a_wave_waits_for_its_deliveries(desk: Desk) -> None:
    plan = desk.approve(desk.plan(request(Action.BAN, controls=False)))
    memory(desk).answer = lambda effect: Receipt(effect.effect_id, "retry", "503")
    desk.apply(plan)
    assert desk.tally(plan) == {"sending": 2, "pending": 198}
    memory(desk).answer = lambda effect: Receipt(effect.effect_id, "applied")
    desk.clock.pass_(seconds=1)
    desk.run()
    assert desk.tally(plan) == {"applied": 200}


def test_more_than_a_twentieth_of_failures_pause(desk: Desk) -> None:
    plan = desk.approve(desk.plan(request(Action.BAN, controls=False)))
    memory(desk).answer = lambda effect: Receipt(effect.effect_id, "failed", "no such organization")
    paused = desk.apply(plan)
    assert (paused.state, paused.paused_reason) == (PlanState.PAUSED, "2 of 2 deliveries failed")
    assert [exit_code(each) for each in (plan, paused)] == [0, 6]
    memory(desk).answer = lambda effect: Receipt(effect.effect_id, "applied")
    with desk.ledger.transaction() as tx:
        waves.resume(tx, plan.plan_id, ALICE, "two were gone already")
    desk.run()
    assert desk.get(plan).state is PlanState.COMPLETED_WITH_FAILURES
    assert desk.tally(plan) == {"applied": 198, "failed": 2}
    assert exit_code(desk.get(plan)) == 7
    with desk.ledger.transaction() as tx:
        assert outbox.retry(tx, plan.plan_id, ALICE) == 2
    desk.run()
    assert (desk.get(plan).state, desk.tally(plan)) == (PlanState.COMPLETED, {"applied": 200})


def test_a_sink_that_fails_holds_up_no_other(desk: Desk) -> None:
    good, bad = MemorySink("good"), MemorySink("bad")

    def raise_(effect: Effect) -> Receipt:
        raise OSError(f"no route for {effect.action}")

    bad.answer = raise_
    plan = desk.plan(request(Action.THROTTLE, sinks=("bad", "good")))
    waves.apply(desk.ledger, plan.plan_id, ALICE, desk.people)
    desk.run(bad, good)
    assert len(good.state) == 200
    assert desk.tally(plan) == {"sending": 200}
    desk.clock.pass_(seconds=1)
    desk.run(bad, good)
    desk.clock.pass_(seconds=5)
    desk.run(bad, good)
    assert desk.tally(plan) == {"failed": 200}
    with desk.ledger.reading() as reading:
        assert outbox.backlog(reading) == {"bad": {"failed": 200}}


def test_a_restore_overtakes_a_late_ban(desk: Desk) -> None:
    desk.people = People(*ring(1))
    sink = memory(desk)
    plan = desk.approve(desk.plan(request(Action.BAN)))
    waves.apply(desk.ledger, plan.plan_id, ALICE, desk.people)
    lease = outbox.begin(desk.ledger, sink, "slow")
    with desk.ledger.transaction() as tx:
        waves.advance(tx, desk.get(plan), desk.people)
    late = outbox.claim(desk.ledger, sink, lease)
    assert [effect.generation for effect in late.effects] == [1]
    desk.undo(plan)
    assert (sink.state, sink.generations) == ({"org_00000": ()}, {"org_00000": 2})
    outbox.send(sink, late)
    assert (sink.state, sink.generations) == ({"org_00000": ()}, {"org_00000": 2})
    with pytest.raises(Refusal) as error:
        outbox.settle(desk.ledger, sink, lease, late, [Receipt(late.effects[0].effect_id, "applied")])
    assert error.value.code == "lease_lost"


def test_an_effect_that_a_newer_one_replaced_is_never_sent(desk: Desk) -> None:
    sink = memory(desk)
    plan = desk.plan(request(Action.THROTTLE))
    waves.apply(desk.ledger, plan.plan_id, ALICE, desk.people)
    with desk.ledger.transaction() as tx:
        waves.advance(tx, plan, desk.people)
        inverse = undo.undo_plan(tx, plan.plan_id, OSCAR, reason="wrong cluster")
    desk.apply(inverse, OSCAR)
    assert {effect.action for effect in sink.received} == {"restore"}
    assert desk.tally(plan) == {"skipped": 200}
    assert desk.tally(inverse) == {"applied": 200}


def test_what_a_dead_worker_was_sending_is_sent_again_or_in_doubt(desk: Desk) -> None:
    script = MemorySink("script", "at_least_once")
    sink = MemorySink("feed")
    plan = desk.plan(request(Action.THROTTLE, sinks=("feed", "script")))
    waves.apply(desk.ledger, plan.plan_id, ALICE, desk.people)
    with desk.ledger.transaction() as tx:
        waves.advance(tx, plan, desk.people)
    for each in (sink, script):
        outbox.claim(desk.ledger, each, outbox.begin(desk.ledger, each, "dies"))
    desk.run(sink, script)
    assert (len(sink.received), len(script.received)) == (200, 0)
    assert desk.tally(plan) == {"unknown": 200}
    with desk.ledger.transaction() as tx:
        effects = deliveries.of_plan(tx, plan.plan_id, 0, 1_000)
        for effect in effects:
            outbox.settle_unknown(tx, effect.effect_id, "script", ALICE, applied=True, note="looked")
    assert desk.tally(plan) == {"applied": 200}


def test_the_feed_is_pulled_by_cursor_and_acknowledged_by_id(desk: Desk) -> None:
    desk.sink = FeedSink(acknowledged=True)
    plan = desk.plan(request(Action.THROTTLE))
    desk.apply(plan)
    assert desk.tally(plan) == {"sending": 200}
    with desk.ledger.reading() as reading:
        first = pull(reading, limit=120)
        rest = pull(reading, after=first[-1].seq)
    assert (len(first), len(rest)) == (120, 80)
    robot = Principal("token:bouncer", frozenset({"operator"}), "token")
    with desk.ledger.transaction() as tx:
        assert acknowledge(tx, [each.effect_id for each in (*first, *rest)], robot) == 200
        assert acknowledge(tx, [first[0].effect_id, "unknown"], robot) == 0
    desk.run()
    assert (desk.get(plan).state, desk.tally(plan)) == (PlanState.COMPLETED, {"applied": 200})


def test_a_bouncer_that_starts_asks_for_the_state(desk: Desk) -> None:
    desk.apply(desk.plan(request(Action.THROTTLE)))
    with desk.ledger.reading() as reading:
        page = state(reading, limit=150)
        more = state(reading, after=page["next"], limit=150)
    assert (len(page["restricted"]), len(more["restricted"]), more["next"]) == (150, 50, None)
    assert page["restricted"][0] == {
        "subject_kind": "organization",
        "org_id": "org_00000",
        "generation": 1,
        "desired_state": ["throttle"],
    }
    with desk.ledger.reading() as reading:
        assert pull(reading, after=page["cursor"]) == []


def test_a_file_holds_every_effect_once(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "effects.ndjson"
    desk.sink = FileSink(path)
    plan = desk.apply(desk.plan(request(Action.THROTTLE, sinks=("file",))))
    assert len(path.read_text().splitlines()) == 200
    with path.open("a") as file:
        file.write('{"half a li')
    with desk.ledger.reading() as reading:
        again = deliveries.of_plan(reading, plan.plan_id, 0, 1_000)
    FileSink(path).deliver([*again, replace(again[0], seq=999, generation=2)])
    lines = path.read_text().splitlines()
    assert len(lines) == 201
    assert '"generation":2' in lines[-1]


def test_the_kill_switch_pauses_all_but_restores(desk: Desk) -> None:
    done = desk.apply(desk.plan(request(Action.THROTTLE)))
    desk.people = People(*ring(50, prefix="more"))
    plan = desk.plan(request(Action.VERIFY))
    waves.apply(desk.ledger, plan.plan_id, ALICE, desk.people)
    with desk.ledger.transaction() as tx:
        assert killswitch.engage(tx, OSCAR, reason="our data is wrong") == [plan.plan_id]
    desk.run()
    assert desk.tally(plan) == {"pending": 50}
    for attempt in (
        lambda: desk.apply(desk.plan(request(Action.FREEZE_CREDIT))),
        lambda: _resume(desk, plan.plan_id),
    ):
        with pytest.raises(Refusal) as error:
            attempt()
        assert error.value.code in {"kill_switch", "nothing_to_do"}
    assert desk.undo(done).state is PlanState.COMPLETED
    with desk.ledger.transaction() as tx:
        killswitch.release(tx, OSCAR, reason="repaired")
    _resume(desk, plan.plan_id)
    desk.run()
    assert desk.tally(plan) == {"applied": 50}


def _resume(desk: Desk, plan_id: str) -> None:
    with desk.ledger.transaction() as tx:
        waves.resume(tx, plan_id, ALICE)


def test_an_aborted_plan_keeps_what_it_did_until_it_is_undone(desk: Desk) -> None:
    desk.ledger.settings = ActionSettings()
    plan = desk.approve(desk.plan(request(Action.BAN, controls=False)))
    desk.apply(plan)
    with desk.ledger.transaction() as tx:
        waves.pause(tx, plan.plan_id, ALICE, "looks odd")
        waves.abort(tx, plan.plan_id, ALICE, "it was odd")
    assert desk.tally(plan) == {"applied": 2, "skipped": 198}
    undone = desk.undo(plan)
    assert desk.tally(undone) == {"applied": 2}
    assert set(memory(desk).state.values()) == {()}


def test_controls_are_acted_on_when_their_time_or_budget_is_over(desk: Desk) -> None:
    desk.people = People(*ring(300))
    plan = desk.approve(desk.plan(request(Action.BAN)))
    assert desk.apply(plan).state is PlanState.COMPLETED
    assert desk.tally(plan) == {"applied": 294, "control": 6}
    shown = honeypots.controls(desk.ledger, plan.plan_id, ADMIN, desk.people)
    with pytest.raises(Refusal):
        honeypots.controls(desk.ledger, plan.plan_id, ALICE, desk.people)
    assert (len(shown.honeypots), len(shown.holdouts)) == (3, 3)
    desk.people.used = {shown.honeypots[0].org_id: 51.0, shown.honeypots[1].org_id: 49.0}
    desk.run()
    assert desk.tally(plan) == {"applied": 295, "control": 5}
    desk.clock.pass_(hours=24)
    desk.run()
    assert desk.tally(plan) == {"applied": 298, "control": 2}
    assert honeypots.end_date(shown.honeypots) == desk.clock.now + timedelta(days=13)
    desk.clock.pass_(days=13)
    desk.run()
    assert desk.tally(plan) == {"applied": 300}


def test_controls_of_an_undone_plan_are_left_alone(desk: Desk) -> None:
    desk.people = People(*ring(300))
    plan = desk.approve(desk.plan(request(Action.BAN)))
    desk.apply(plan)
    desk.undo(plan)
    desk.clock.pass_(days=30)
    desk.run()
    assert desk.tally(plan) == {"applied": 294, "skipped": 6}
    assert set(memory(desk).state.values()) == {()}


def test_leases_change_hands_by_epoch(desk: Desk) -> None:
    sink = memory(desk)
    old = outbox.begin(desk.ledger, sink, "old")
    new = outbox.begin(desk.ledger, sink, "new")
    assert new.epoch == old.epoch + 1
    desk.clock.pass_(hours=-3)
    with desk.ledger.transaction() as tx, pytest.raises(Refusal) as error:
        deliveries.hold(tx, old)
    assert error.value.code == "lease_lost"
    with desk.ledger.transaction() as tx:
        deliveries.hold(tx, new)


def test_a_ban_lists_the_keys_that_it_revokes(desk: Desk) -> None:
    desk.people = People(replace(ring(1)[0], key_ids=("key_1", "key_2")))
    plan = desk.approve(desk.plan(request(Action.BAN)))
    desk.apply(plan)
    desk.undo(plan)
    assert [effect.key_ids for effect in memory(desk).received] == [("key_1", "key_2"), ()]


def test_a_page_of_plans_is_keyed_by_id(desk: Desk) -> None:
    made = []
    for number in range(5):
        desk.clock.pass_(seconds=1)
        desk.people = People(*ring(3, prefix=f"r{number}"))
        made.append(desk.plan(request(Action.THROTTLE)).plan_id)
    with desk.ledger.reading() as reading:
        first = [plan.plan_id for plan in plans.listed(reading, limit=3)]
        rest = [plan.plan_id for plan in plans.listed(reading, before=first[-1], limit=3)]
    assert first + rest == made[::-1]
