"""A small reference of a plan's life, in memory and with nothing clever: what the ledger has to agree with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from actions.model import Action, Kind

WAITING = ("planned", "approved")
RUNNING = ("executing", "paused")
DAY = timedelta(hours=24)


class No(Exception):  # noqa: N818
    """The reference refuses, with this code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Entry:
    """One member of a plan."""

    prior: int
    state: str = "pending"
    generation: int | None = None
    targets: frozenset[str] = frozenset()


@dataclass
class Modelled:
    """One plan."""

    plan_id: str
    action: Action
    state: str
    expires: datetime
    entries: dict[str, Entry] = field(default_factory=dict)
    started: datetime | None = None


@dataclass
class Reference:
    """Everything there is."""

    now: datetime
    orgs: tuple[str, ...]
    plans: dict[str, Modelled] = field(default_factory=dict)
    claims: dict[str, dict[tuple[Action, str], datetime | None]] = field(default_factory=dict)
    generation: dict[str, int] = field(default_factory=dict)
    appeals: dict[str, tuple[str, frozenset[str]]] = field(default_factory=dict)
    denied: list[tuple[str, frozenset[str], datetime]] = field(default_factory=list)
    protected: set[str] = field(default_factory=set)
    killed: bool = False

    def mask(self, org: str) -> int:
        """Restrictions in force."""
        return sum({action.bit for action, _ in self.claims.get(org, {})})

    def appealed(self, org: str) -> bool:
        """Whether an appeal is open."""
        return any(each == org for each, _ in self.appeals.values())

    def acted_on(self, action: Action, orgs: tuple[str, ...]) -> dict[str, Entry]:
        """Who a new plan would act on."""
        found = {}
        for org in orgs:
            live = [a for (a, _), end in self.claims.get(org, {}).items() if end is None or end > self.now]
            already = action.kind is Kind.LASTING and action in live
            if not (self.appealed(org) or self._busy(org, action) or already or org in self.protected):
                found[org] = Entry(self.generation.get(org, 0))
        if not found:
            raise No("nothing_to_do")
        return found

    def _busy(self, org: str, action: Action) -> bool:
        for plan in self.plans.values():
            open_ = plan.state in WAITING + RUNNING and plan.action.kind is not Kind.RESTORE
            gives_way = (
                action.kind is Kind.CONTAINMENT and plan.action.kind is Kind.LASTING and plan.state in WAITING
            )
            entry = plan.entries.get(org)
            if open_ and not gives_way and entry is not None and entry.state in {"pending", "sending"}:
                return True
        return False

    def approve(self, plan: Modelled) -> None:
        """One person suffices here."""
        if plan.state != "planned":
            raise No("wrong_state")
        if plan.expires <= self.now:
            raise No("expired")
        if plan.action.kind is not Kind.LASTING:
            raise No("wrong_state")
        plan.state, plan.expires = "approved", self.now + DAY

    def start(self, plan: Modelled) -> None:
        """Start it, or find it stale."""
        if plan.state == "planned" and plan.action.kind is Kind.LASTING:
            raise No("awaiting_approval")
        if plan.state in {"paused", "stale"}:
            raise No(plan.state)
        if plan.state not in WAITING:
            raise No("wrong_state")
        if plan.expires <= self.now:
            raise No("expired")
        if plan.action.kind is not Kind.RESTORE:
            if self.killed:
                raise No("kill_switch")
            waiting = [entry for entry in plan.entries.values() if entry.state == "pending"]
            moved = self._moved(plan)
            if waiting and len(moved) / len(waiting) > 0.05:
                self._end(plan, "stale")
                raise No("stale")
        plan.state, plan.started = "executing", self.now

    def _moved(self, plan: Modelled) -> list[Entry]:
        return [
            entry
            for org, entry in plan.entries.items()
            if entry.state == "pending" and entry.prior != self.generation.get(org, 0)
        ]

    def _end(self, plan: Modelled, state: str) -> None:
        plan.state = state
        for entry in plan.entries.values():
            if entry.state == "pending":
                entry.state = "skipped"

    def abort(self, plan: Modelled) -> None:
        """End it early."""
        if plan.state not in RUNNING:
            raise No("wrong_state")
        self._end(plan, "aborted")

    def resume(self, plan: Modelled) -> None:
        """Go on."""
        if plan.state != "paused":
            raise No("wrong_state")
        if plan.action.kind is not Kind.RESTORE and self.killed:
            raise No("kill_switch")
        for entry in self._moved(plan):
            entry.state = "skipped"
        plan.state = "executing"

    def pause(self, plan: Modelled) -> None:
        """Wait."""
        if plan.state != "executing":
            raise No("wrong_state")
        plan.state = "paused"

    def kill(self) -> None:
        """Stop everything that restricts."""
        self.killed = True
        for plan in self.plans.values():
            if plan.state == "executing" and plan.action.kind is not Kind.RESTORE:
                plan.state = "paused"

    def restored(self, wanted: dict[str, frozenset[str]]) -> dict[str, Entry]:
        """Entries of a plan that ends these claims."""
        if not wanted:
            raise No("nothing_to_do")
        return {org: Entry(self.generation.get(org, 0), targets=plans) for org, plans in wanted.items()}

    def held_by(self, plan_id: str) -> dict[str, frozenset[str]]:
        """Organizations on which a plan has a claim."""
        return {
            org: frozenset({plan_id})
            for org, claims in self.claims.items()
            if any(each == plan_id for _, each in claims)
        }

    def undo(self, plan: Modelled) -> dict[str, Entry]:
        """Entries of the inverse; the plan ends if it still runs."""
        if plan.action.kind is Kind.RESTORE:
            raise No("not_undoable")
        entries = self.restored(self.held_by(plan.plan_id))
        self._end(plan, "aborted" if plan.state in RUNNING else plan.state)
        return entries

    def open_appeal(self, org: str) -> frozenset[str]:
        """The plans that it is about."""
        plans = frozenset(plan for _, plan in self.claims.get(org, {}))
        if not plans:
            raise No("nothing_to_do")
        lately = self.now - timedelta(days=30)
        if self.appealed(org) or any(o == org and p & plans and at >= lately for o, p, at in self.denied):
            raise No("already_decided")
        return plans

    def work(self, *, up: bool) -> None:
        """What the worker does until nothing is left to do without time passing."""
        for plan in self.plans.values():
            if plan.state in WAITING and plan.expires <= self.now:
                self._end(plan, "expired")
        self._expire_claims()
        running = [plan for plan in self.plans.values() if plan.state == "executing"]
        for plan in sorted(running, key=lambda each: (each.started, each.plan_id)):
            for org, entry in plan.entries.items():
                if entry.state == "pending":
                    self._release(plan, org, entry)
        self._deliver(up=up)
        for plan in running:
            if all(entry.state in {"applied", "skipped"} for entry in plan.entries.values()):
                plan.state = "completed"

    def _release(self, plan: Modelled, org: str, entry: Entry) -> None:
        before = self.mask(org)
        claims = self.claims.setdefault(org, {})
        if plan.action.kind is Kind.RESTORE:
            gone = [key for key in claims if key[1] in entry.targets]
            for key in gone:
                del claims[key]
            if not gone or self.mask(org) == before:
                entry.state = "skipped"
                return
        else:
            moved = entry.prior != self.generation.get(org, 0)
            if self.appealed(org) or moved or org in self.protected:
                entry.state = "skipped"
                return
            lasts = timedelta(hours=12) if plan.action.kind is Kind.CONTAINMENT else timedelta(days=90)
            claims[plan.action, plan.plan_id] = self.now + lasts
        self.generation[org] = self.generation.get(org, 0) + 1
        entry.state, entry.generation = "sending", self.generation[org]

    def _expire_claims(self) -> None:
        for org, claims in self.claims.items():
            before = self.mask(org)
            for key in [key for key, end in claims.items() if end is not None and end <= self.now]:
                del claims[key]
            if self.mask(org) != before:
                self.generation[org] += 1

    def _deliver(self, *, up: bool) -> None:
        for plan in self.plans.values():
            for org, entry in plan.entries.items():
                if entry.state != "sending":
                    continue
                if entry.generation != self.generation[org]:
                    entry.state = "skipped"
                elif up:
                    entry.state = "applied"
