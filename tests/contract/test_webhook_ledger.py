"""Webhooks in the ledger, and through the outbox, on both databases."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from actions import outbox, waves, webhooks
from actions.ledger import chain
from actions.model import Action, PlanState, Principal
from actions.refusals import Refusal
from actions.sinks.egress import EgressRules
from actions.sinks.webhook import SECONDS
from tests.contract.desk import ADMIN, ALICE, OSCAR, Desk, request
from tests.contract.receivers import OK, local_rules, receiving, says, status
from tests.contract.test_webhook import BATCH, only

pytest_plugins = ("tests.contract.ledgers",)


def put(desk: Desk, port: int, path: str = "hook") -> webhooks.Opened:
    with desk.ledger.transaction() as tx:
        return webhooks.put(tx, "crm", f"http://127.0.0.1:{port}/{path}", ADMIN, local_rules(port))


def test_a_batch_that_is_too_large_comes_in_smaller_ones(desk: Desk) -> None:
    with receiving(status(413)) as receiver:
        put(desk, receiver.port)
        (sink,) = webhooks.open_sinks(desk.ledger, local_rules(receiver.port))
        plan = desk.plan(request(Action.THROTTLE, sinks=("webhook:crm",)))
        waves.apply(desk.ledger, plan.plan_id, ALICE, desk.people)
        desk.run(sink)
        receiver.behave = says(OK)
        desk.clock.pass_(seconds=SECONDS[0])
        desk.run(sink)
        assert [len(json.loads(body)["data"]["effects"]) for _, body in receiver.requests] == [200, 100, 100]
        assert desk.tally(plan) == {"applied": 200}
        sink.close()


def test_410_disables_until_an_admin_enables(desk: Desk) -> None:
    with receiving(status(410)) as receiver:
        put(desk, receiver.port)
        (sink,) = webhooks.open_sinks(desk.ledger, local_rules(receiver.port))
        plan = desk.plan(request(Action.THROTTLE, sinks=("webhook:crm",)))
        waves.apply(desk.ledger, plan.plan_id, ALICE, desk.people)
        desk.run(sink)
        assert len(receiver.requests) == 1
        assert desk.get(plan).state is PlanState.PAUSED
        assert desk.tally(plan) == {"failed": 200}
        assert only(sink.deliver(BATCH)).outcome == "failed"
        again = webhooks.open_sink(desk.ledger, "crm", local_rules(receiver.port))
        assert only(again.deliver(BATCH)).error.startswith("the webhook is disabled")
        assert len(receiver.requests) == 1
        receiver.behave = says(OK)
        with desk.ledger.transaction() as tx:
            assert webhooks.enable(tx, "crm", ADMIN, reason="it is back").disabled_at is None
            waves.resume(tx, plan.plan_id, ALICE, "it is back")
            assert outbox.retry(tx, plan.plan_id, ALICE) == 200
        desk.run(sink)
        assert desk.tally(plan) == {"applied": 200}
        sink.close()
    with desk.ledger.reading() as reading:
        verbs = [json.loads(body)["verb"] for _, body, _ in chain.everything(reading)]
    assert [verbs.count(f"webhook.{each}") for each in ("set", "gone", "enabled")] == [1, 1, 1]


def test_an_outage_is_waited_out_by_the_outbox(desk: Desk) -> None:
    with receiving(status(503)) as receiver:
        put(desk, receiver.port)
        (sink,) = webhooks.open_sinks(desk.ledger, local_rules(receiver.port))
        plan = desk.plan(request(Action.THROTTLE, sinks=("webhook:crm",), duration=timedelta(hours=12)))
        waves.apply(desk.ledger, plan.plan_id, ALICE, desk.people)
        for wait in (0, *SECONDS[:3]):
            desk.clock.pass_(seconds=wait)
            desk.run(sink)
        assert len(receiver.requests) == 4
        assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == 1
        assert len({headers["webhook-timestamp"] for headers, _ in receiver.requests}) == 4
        receiver.behave = says(OK)
        desk.clock.pass_(seconds=SECONDS[3])
        if desk.get(plan).state is PlanState.PAUSED:
            with desk.ledger.transaction() as tx:
                waves.resume(tx, plan.plan_id, ALICE, "it is back")
        desk.run(sink)
        assert desk.tally(plan) == {"applied": 200}
        sink.close()


def test_the_tenth_failure_is_the_last(desk: Desk) -> None:
    with receiving(status(500)) as receiver:
        put(desk, receiver.port)
        (sink,) = webhooks.open_sinks(desk.ledger, local_rules(receiver.port))
        plan = desk.approve(
            desk.plan(request(Action.BAN, permanent=True, controls=False, sinks=("webhook:crm",)))
        )
        waves.apply(desk.ledger, plan.plan_id, ALICE, desk.people)
        for wait in (0, *SECONDS, *SECONDS):
            desk.clock.pass_(seconds=wait)
            desk.run(sink)
        assert len(receiver.requests) == 10
        assert desk.tally(plan)["failed"] == 2
        sink.close()


def test_a_rotation_signs_under_both_for_a_day(desk: Desk) -> None:
    old = put(desk, 9000).secret
    with desk.ledger.transaction() as tx:
        new = webhooks.rotate(tx, "crm", ADMIN).secret
    assert old != new
    with receiving(says(OK)) as receiver:
        moved = put(desk, receiver.port).secret
        assert moved not in {old, new}
        with desk.ledger.transaction() as tx:
            latest = webhooks.rotate(tx, "crm", ADMIN).secret
        sink = webhooks.open_sink(desk.ledger, "crm", local_rules(receiver.port))
        sink.deliver(BATCH)
        desk.clock.pass_(hours=24)
        sink.deliver(BATCH)
        sink.close()
    both, one = (headers["webhook-signature"].split() for headers, _ in receiver.requests)
    for secret, signatures in ((latest, both), (moved, both), (latest, one)):
        headers, body = receiver.requests[0 if signatures is both else 1]
        at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        assert Webhook(secret).sign(headers["webhook-id"], at, body.decode()) in signatures
    assert (len(both), len(one)) == (2, 1)


def test_only_admins_say_where_to_send_and_only_where_it_is_allowed(desk: Desk) -> None:
    robot = Principal("token:x", frozenset({"admin"}), "token")
    rules = EgressRules.of(["hooks.example.com"])
    for who, url, code in (
        (ALICE, "https://hooks.example.com/", "forbidden"),
        (robot, "https://hooks.example.com/", "not_a_person"),
        (ADMIN, "https://evil.example/", "bad_url"),
        (ADMIN, "https://169.254.169.254/", "bad_url"),
    ):
        with pytest.raises(Refusal) as caught, desk.ledger.transaction() as tx:
            webhooks.put(tx, "crm", url, who, rules)
        assert caught.value.code == code
    with desk.ledger.transaction() as tx:
        webhooks.put(tx, "crm", "https://hooks.example.com/?key=s3cret", ADMIN, rules)
        webhooks.disable(tx, "crm", OSCAR, reason="it leaks")
    for do, code in ((webhooks.rotate, "not_found"), (webhooks.disable, "not_found")):
        with pytest.raises(Refusal) as caught, desk.ledger.transaction() as tx:
            do(tx, "none", ADMIN, reason="x")
        assert caught.value.code == code
    with desk.ledger.reading() as reading:
        assert "s3cret" not in "".join(body for _, body, _ in chain.everything(reading))
        (entry,) = webhooks.listed(reading, ADMIN)
        assert (entry.sink, entry.disabled_why) == ("webhook:crm", "it leaks")
        with pytest.raises(Refusal):
            webhooks.listed(reading, ALICE)
