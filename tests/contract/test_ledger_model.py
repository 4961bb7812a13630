"""The life of plans against a small reference: whatever people do in whatever order, both agree."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from actions import appeals, audit, killswitch, outbox, protections, undo, waves
from actions.ledger import Ledger, plans
from actions.ledger.tables import subjects
from actions.model import Action, Plan, Principal, Selector, restrictions
from actions.refusals import Refusal
from actions.settings import ActionSettings, WaveSettings
from actions.sinks import Receipt
from tests.contract.desk import ALICE, BOB, CAROL, OSCAR, Desk, ManualClock, MemorySink, People, request, ring
from tests.contract.plan_model import Modelled, No, Reference
from tests.contract.postgres_server import BACKENDS, empty

pytest_plugins = ("tests.contract.ledgers",)
EXAMPLES = int(os.environ.get("RINGFENCE_MODEL_EXAMPLES", "6"))
STEPS = 40
RULES = ActionSettings(waves=WaveSettings(shares=(1.0,), holds=(), failing_attempts=10**6))
ORGS = tuple(member.org_id for member in ring(4))
CUSTOMER = Principal("user:customer")
some = st.lists(st.sampled_from(ORGS), min_size=1, unique=True).map(lambda ids: tuple(sorted(ids)))
which = st.integers(0, 3)
"""Of the latest plans."""


class PlansMachine(RuleBasedStateMachine):
    """Rules are what people and time can do."""

    fresh: ClassVar[Callable[[], str]]

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.ledger = Ledger.open(type(self).fresh(), RULES, self.clock)
        self.desk = Desk(self.ledger, self.clock, People(*ring(len(ORGS))))
        self.sink = MemorySink()
        self.sink.retries = (1,) * 1_000
        self.desk.sink = self.sink
        self.ref = Reference(self.clock.now, ORGS)

    def teardown(self) -> None:
        """At the end everything settles, the sink is as the reference, and the audit is whole."""
        self.work(up=True)
        self.work(up=True)
        for org, generation in self.ref.generation.items():
            assert self.sink.generations[org] == generation
            assert self.sink.state[org] == restrictions(self.ref.mask(org))
        applied = [(e.org_id, e.generation) for e in self.sink.received]
        assert len(applied) >= len(set(applied))
        assert audit.verify(self.ledger).problems == []
        self.ledger.close()

    @rule(action=st.sampled_from([Action.THROTTLE, Action.VERIFY, Action.BAN, Action.HOLD_PAYOUT]), orgs=some)
    def plan(self, action: Action, orgs: tuple[str, ...]) -> None:
        """Plan something on some."""
        wanted = request(action, Selector("members", ids=orgs), controls=False)
        entries = self.both(lambda: self.ref.acted_on(action, orgs), lambda: self.desk.plan(wanted))
        self.keep(entries, action)

    @rule(action=st.sampled_from([Action.THROTTLE, Action.BAN]), orgs=some, up=st.booleans())
    def act_at_once(self, action: Action, orgs: tuple[str, ...], *, up: bool) -> None:
        """Plan, approve, start and work without anything in between: so that there is something to undo."""
        before = set(self.ref.plans)
        self.plan(action, orgs)
        for plan_id in set(self.ref.plans) - before:
            plan = self.ref.plans[plan_id]
            if action is Action.BAN:
                self._approve(plan)
            self._start(plan)
            self.work(up=up)

    @rule(number=which)
    def undo_at_once(self, number: int) -> None:
        """Undo one, and start that."""
        before = set(self.ref.plans)
        self.undo(number)
        for plan_id in set(self.ref.plans) - before:
            self._start(self.ref.plans[plan_id])

    @rule(number=which)
    def approve(self, number: int) -> None:
        """Approve one."""
        plan = self.pick(number)
        if plan is not None:
            self._approve(plan)

    def _approve(self, plan: Modelled) -> None:
        self.both(lambda: self.ref.approve(plan), lambda: self.desk.approve(self.real(plan), BOB))

    @rule(number=which)
    def start(self, number: int) -> None:
        """Start one."""
        plan = self.pick(number)
        if plan is not None:
            self._start(plan)

    def _start(self, plan: Modelled) -> None:
        self.both(
            lambda: self.ref.start(plan),
            lambda: waves.apply(self.ledger, plan.plan_id, ALICE, self.desk.people),
        )

    @rule(number=which, what=st.sampled_from(["pause", "resume", "abort"]))
    def steer(self, number: int, what: str) -> None:
        """Pause, resume or abort one."""
        plan = self.pick(number)
        if plan is None:
            return
        real: dict[str, Callable[[Any], Plan]] = {
            "pause": lambda tx: waves.pause(tx, plan.plan_id, ALICE, "wait"),
            "resume": lambda tx: waves.resume(tx, plan.plan_id, ALICE),
            "abort": lambda tx: waves.abort(tx, plan.plan_id, ALICE, "enough"),
        }
        self.both(lambda: getattr(self.ref, what)(plan), lambda: self.within(real[what]))

    @rule(number=which)
    def undo(self, number: int) -> None:
        """Plan the undo of one."""
        plan = self.pick(number)
        if plan is None:
            return
        entries = self.both(
            lambda: self.ref.undo(plan),
            lambda: self.within(lambda tx: undo.undo_plan(tx, plan.plan_id, OSCAR, reason="mistake")),
        )
        self.keep(entries, Action.RESTORE)

    @rule(orgs=some)
    def restore(self, orgs: tuple[str, ...]) -> None:
        """Plan to lift whatever is on some."""
        held = {
            org: frozenset(plan for _, plan in self.ref.claims[org])
            for org in orgs
            if self.ref.claims.get(org)
        }
        entries = self.both(
            lambda: self.ref.restored(held),
            lambda: self.within(lambda tx: undo.restore(tx, orgs, OSCAR, reason="customers")),
        )
        self.keep(entries, Action.RESTORE)

    @rule(org=st.sampled_from(ORGS))
    def appeal(self, org: str) -> None:
        """An organization appeals."""
        found = self.both(
            lambda: self.ref.open_appeal(org),
            lambda: self.within(lambda tx: appeals.open_appeal(tx, org, CUSTOMER, statement="no")),
        )
        if found is not None:
            self.ref.appeals[found[1].appeal_id] = (org, found[0])

    @rule(grant=st.booleans())
    def decide(self, *, grant: bool) -> None:
        """The oldest appeal is decided."""
        if not self.ref.appeals:
            return
        appeal_id = min(self.ref.appeals)
        org, about = self.ref.appeals.pop(appeal_id)
        decided = self.within(lambda tx: appeals.decide(tx, appeal_id, CAROL, grant=grant, reason="looked"))
        if not grant:
            self.ref.denied.append((org, about, self.clock.now))
        held = frozenset(plan for _, plan in self.ref.claims.get(org, {}))
        assert (decided.restored_by is not None) == (grant and bool(held))
        if decided.restored_by is not None:
            self.keep((self.ref.restored({org: held}), self.real_by_id(decided.restored_by)), Action.RESTORE)
            kept = self.ref.plans[decided.restored_by]
            kept.state, kept.started = "executing", self.clock.now

    @rule(org=st.sampled_from(ORGS))
    def protect(self, org: str) -> None:
        """Protect one, or end that."""
        if org in self.ref.protected:
            self.ref.protected.remove(org)
            self.within(lambda tx: protections.unprotect(tx, org, BOB, reason="over"))
        else:
            self.ref.protected.add(org)
            self.within(lambda tx: protections.protect(tx, org, BOB, reason="partner"))

    @rule()
    def switch(self) -> None:
        """The kill switch goes on or off."""
        if self.ref.killed:
            self.ref.killed = False
            self.within(lambda tx: killswitch.release(tx, OSCAR, reason="safe"))
        else:
            self.ref.kill()
            self.within(lambda tx: killswitch.engage(tx, OSCAR, reason="danger"))

    @rule(hours=st.sampled_from([1, 1, 6, 13, 25]))
    def pass_time(self, hours: int) -> None:
        """Time passes."""
        self.clock.pass_(hours=hours)
        self.ref.now = self.clock.now

    @rule(up=st.booleans())
    def work(self, *, up: bool) -> None:
        """The worker works; the sink may be down."""
        self.clock.pass_(seconds=10)
        self.ref.now = self.clock.now
        outcome = "applied" if up else "retry"
        self.sink.answer = lambda effect: Receipt(effect.effect_id, outcome)  # type: ignore[arg-type]
        self.ref.work(up=up)
        self.desk.run()

    @rule()
    def crash(self) -> None:
        """The worker dies with a batch in its hands, which may or may not have arrived."""
        self.clock.pass_(seconds=10)
        self.ref.now = self.clock.now
        lease = outbox.begin(self.ledger, self.sink, "dies")
        outbox.send(self.sink, outbox.claim(self.ledger, self.sink, lease))
        self.desk.forget_leases()
        for plan in self.ref.plans.values():
            for org, entry in plan.entries.items():
                if entry.state == "sending" and entry.generation != self.ref.generation[org]:
                    entry.state = "skipped"

    @invariant()
    def agree(self) -> None:
        """Masks, generations, plans and members are the same in both."""
        with self.ledger.reading() as reading:
            rows = reading.conn.execute(
                select(subjects.c.name, subjects.c.mask, subjects.c.generation).where(
                    subjects.c.kind == "organization"
                )
            )
            for row in rows:
                assert row.mask == self.ref.mask(row.name)
                assert row.generation == self.ref.generation.get(row.name, 0)
            for plan in self.ref.plans.values():
                assert plans.get(reading, plan.plan_id).state == plan.state
                tally = plans.tally(reading, plan.plan_id)
                tally.pop("spared", None)
                states = [entry.state for entry in plan.entries.values()]
                assert tally == {state: states.count(state) for state in set(states)}

    def both(self, expected: Callable[[], Any], real: Callable[[], Any]) -> tuple[Any, Any] | None:
        """Do it in both; None when both refuse for the same reason."""
        try:
            wanted, code = expected(), None
        except No as no:
            wanted, code = None, no.code
        if code is not None:
            with pytest.raises(Refusal) as error:
                real()
            assert error.value.code == code
            return None
        return wanted, real()

    def keep(self, made: tuple[Any, Any] | None, action: Action) -> None:
        """Remember a plan that both made."""
        if made is not None:
            entries, plan = made
            self.ref.plans[plan.plan_id] = Modelled(plan.plan_id, action, "planned", plan.expires_at, entries)

    def pick(self, number: int) -> Modelled | None:
        """One of the latest plans."""
        latest = sorted(self.ref.plans)[-4:]
        return self.ref.plans[latest[number % len(latest)]] if latest else None

    def real(self, plan: Modelled) -> Plan:
        """The same in the ledger."""
        return self.real_by_id(plan.plan_id)

    def real_by_id(self, plan_id: str) -> Plan:
        """A plan of the ledger."""
        with self.ledger.reading() as reading:
            return plans.get(reading, plan_id)

    def within(self, do: Callable[[Any], Any]) -> Any:
        """Do something in one transaction."""
        with self.ledger.transaction() as tx:
            return do(tx)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_ledger_agrees_with_the_reference(
    backend: str, request: pytest.FixtureRequest, blank: Path, tmp_path: Path
) -> None:
    def sqlite() -> str:
        path = Path(tempfile.mkdtemp(dir=tmp_path)) / "ledger.sqlite"
        shutil.copy(blank, path)
        return str(path)

    def postgres() -> str:
        url: str = request.getfixturevalue("database")
        empty(url)
        return url

    class Machine(PlansMachine):
        fresh = staticmethod(sqlite if backend == "sqlite" else postgres)

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
