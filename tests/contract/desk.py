"""A population, a clock, a sink and a desk to try plans with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from actions import approvals, outbox, planning, undo, waves
from actions.expiry import end_restrictions, expire_plans
from actions.ledger import Ledger, plans
from actions.ledger.deliveries import Lease
from actions.model import Action, Effect, Member, Plan, PlanRequest, Principal, Selector
from actions.population import Hits
from actions.settings import ActionSettings, WaveSettings
from actions.sinks import Promise, Receipt, Sink

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
RUN = "run_20260501T110000Z_0badcafe"

ALICE = Principal("user:alice", frozenset({"operator"}))
OSCAR = Principal("user:oscar", frozenset({"operator"}))
BOB = Principal("user:bob", frozenset({"approver"}))
CAROL = Principal("user:carol", frozenset({"approver", "operator"}))
ROBOT = Principal("token:cron", frozenset({"operator", "approver"}), "token")
ADMIN = Principal("user:root", frozenset({"admin", "operator"}))

FAST = ActionSettings(waves=WaveSettings(holds=(timedelta(0), timedelta(0))))


class ManualClock:
    """A clock that moves when it is told to."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """The time."""
        return self.now

    def pass_(self, **span: float) -> None:
        """Let time pass."""
        self.now += timedelta(**span)


class People:
    """A population in memory, which tests change as they like."""

    def __init__(self, *members: Member, run_id: str = RUN, active: int = 100_000) -> None:
        self.members = {member.org_id: member for member in members}
        self.run_id = run_id
        self.as_of = START - timedelta(hours=1)
        self.active_organizations = active
        self.unfit: tuple[str, ...] = ()
        self.used: dict[str, float] = {}
        self.hits: dict[str, Hits] = {}

    def cluster(self, cluster_id: str) -> Iterator[Sequence[Member]]:
        """Members of a cluster."""
        return _pages([each for each in self._sorted() if each.cluster_id == cluster_id])

    def organizations(self, org_ids: Sequence[str]) -> Iterator[Sequence[Member]]:
        """Members by id."""
        wanted = set(org_ids)
        return _pages([each for each in self._sorted() if each.org_id in wanted])

    def consumption(self, org_ids: Sequence[str], since: datetime) -> Mapping[str, float]:  # noqa: ARG002
        """What a test says that they used."""
        return {each: self.used[each] for each in org_ids if each in self.used}

    def legitimate_hits(self, entity_type: str, keys: Sequence[str]) -> Mapping[str, Hits]:  # noqa: ARG002
        """What a test says that would be hit; entities are members too, so that one can name them."""
        return {key: self.hits[key] for key in keys if key in self.hits}

    def _sorted(self) -> list[Member]:
        return sorted(self.members.values(), key=lambda each: each.org_id)


def _pages(members: list[Member]) -> Iterator[Sequence[Member]]:
    return (members[start : start + 1_000] for start in range(0, len(members), 1_000))


def ring(count: int, cluster_id: str = "cl_ring", prefix: str = "org", **facts: object) -> list[Member]:
    """Members of a cluster that may be acted on."""
    return [
        Member(
            f"{prefix}_{number:05}",
            cluster_id=cluster_id,
            member_risk=90 + number % 10,
            cluster_risk=95,
            actionable=True,
            evidence=("sign_up_burst",),
            **facts,  # type: ignore[arg-type]
        )
        for number in range(count)
    ]


def request(action: Action, selector: Selector | None = None, **more: object) -> PlanRequest:
    """A request about the ring."""
    chosen = selector or Selector("cluster", cluster_id="cl_ring")
    return PlanRequest(action, chosen, "they burn money", **more)  # type: ignore[arg-type]


class MemorySink:
    """A sink that honours generations, remembers everything, and answers as it is told."""

    retries: Sequence[float] = (1, 5)
    batch = 500

    def __init__(self, name: str = "feed", promise: Promise = "generations") -> None:
        self.name = name
        self.promise = promise
        self.received: list[Effect] = []
        self.generations: dict[str, int] = {}
        self.state: dict[str, tuple[str, ...]] = {}
        self.answer: Callable[[Effect], Receipt] = lambda effect: Receipt(effect.effect_id, "applied")

    def deliver(self, effects: Sequence[Effect]) -> Sequence[Receipt]:
        """Apply what is newer than what was seen."""
        receipts = [self.answer(effect) for effect in effects]
        for effect, receipt in zip(effects, receipts, strict=True):
            self.received.append(effect)
            if receipt.outcome == "applied" and effect.generation > self.generations.get(effect.org_id, 0):
                self.generations[effect.org_id] = effect.generation
                self.state[effect.org_id] = effect.desired_state
        return receipts


class Desk:
    """One ledger with everything that a test needs to act on it."""

    def __init__(self, ledger: Ledger, clock: ManualClock, people: People) -> None:
        self.ledger = ledger
        self.clock = clock
        self.people = people
        self.sink: Sink = MemorySink()
        self._leases: dict[str, Lease] = {}

    def plan(self, wanted: PlanRequest, by: Principal = ALICE) -> Plan:
        """Plan it."""
        with self.ledger.transaction() as tx:
            return planning.plan(tx, wanted, by, self.people)

    def approve(self, plan: Plan, *people: Principal) -> Plan:
        """Have it approved."""
        for person in people or (BOB,):
            with self.ledger.transaction() as tx:
                plan = approvals.approve(tx, plan.plan_id, person, digest=plan.digest, typed_count=plan.size)
        return plan

    def apply(self, plan: Plan, by: Principal = ALICE) -> Plan:
        """Start it and let the worker do everything that can be done without time passing."""
        waves.apply(self.ledger, plan.plan_id, by, self.people)
        self.run()
        return self.get(plan)

    def get(self, plan: Plan) -> Plan:
        """As it is now."""
        with self.ledger.reading() as reading:
            return plans.get(reading, plan.plan_id)

    def tally(self, plan: Plan) -> dict[str, int]:
        """Its members by state."""
        with self.ledger.reading() as reading:
            return plans.tally(reading, plan.plan_id)

    def run(self, *sinks: Sink, rounds: int = 200) -> None:
        """Step the worker until there is nothing to do."""
        for _ in range(rounds):
            if not self.step(*sinks):
                return
        raise AssertionError("the worker never comes to rest")

    def step(self, *sinks: Sink) -> int:
        """One round: what ends, what advances, what goes out."""
        with self.ledger.transaction() as tx:
            done = expire_plans(tx) + end_restrictions(tx)
        with self.ledger.reading() as reading:
            running = plans.at_work(reading)
        for plan in running:
            with self.ledger.transaction() as tx:
                done += waves.advance(tx, plan, self.people)
        for sink in sinks or (self.sink,):
            if sink.name not in self._leases:
                self._leases[sink.name] = outbox.begin(self.ledger, sink, "test")
            done += outbox.work(self.ledger, sink, self._leases[sink.name])
        return done

    def forget_leases(self) -> None:
        """The worker that held them is gone."""
        self._leases = {}

    def undo(self, plan: Plan, by: Principal = OSCAR) -> Plan:
        """Plan its undo and apply that."""
        with self.ledger.transaction() as tx:
            inverse = undo.undo_plan(tx, plan.plan_id, by, reason="mistake")
        return self.apply(inverse, by)
