"""How far the world has moved from what a plan froze."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actions.guardrails import UNKNOWN
from actions.ledger import Tx, items, plans, subjects
from actions.model import Kind, Plan, PlanState, Principal, Selector
from actions.population import Population
from actions.refusals import Refusal
from actions.selection import members

NAMED = 100
"""How many names of a difference are listed."""
MOVED = "changed since it was planned"
REMOVED = "no longer among the cluster's actionable members"


@dataclass(frozen=True)
class Difference:
    """Members by what happened to them: subject ids, but for `added`, which the plan does not know."""

    size: int
    moved: tuple[int, ...] = ()
    removed: tuple[int, ...] = ()
    added: int = 0
    names: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Moved, removed and added, in relation to the members that wait."""
        changed = len({*self.moved, *self.removed}) + self.added
        return changed / self.size if self.size else 0.0

    def counts(self) -> dict[str, Any]:
        """What a plan keeps of it: no names."""
        return {
            "size": self.size,
            "moved": len(self.moved),
            "removed": len(self.removed),
            "added": self.added,
            "share": round(self.share, 4),
        }


def difference(tx: Tx, plan: Plan, population: Population) -> Difference:
    """What changed since the plan was frozen, among the members that still wait.

    States are compared always; membership when another run serves now than the one that the plan froze.
    """
    waiting = items.waiting_names(tx, plan.plan_id)
    moved = items.moved(tx, plan.plan_id)
    removed: list[str] = []
    added: list[str] = []
    if plan.kind is not Kind.ENTITY and population.run_id != plan.run_id and not plan.second_reason:
        removed, added = _membership(tx, plan, population, waiting)
    names = {
        "moved": items.subjects_of(tx, plan, moved[:NAMED]),
        "removed": removed[:NAMED],
        "added": added[:NAMED],
    }
    gone = tuple(waiting[name] for name in removed)
    return Difference(len(waiting), tuple(moved), gone, len(added), names)


def _membership(
    tx: Tx, plan: Plan, population: Population, waiting: Mapping[str, int]
) -> tuple[list[str], list[str]]:
    """(members that the selector no longer means, members that it means besides), sorted."""
    selector = Selector("cluster", cluster_id=plan.selector["cluster_id"])
    if plan.selector["kind"] != "cluster":
        selector = Selector("members", ids=tuple(sorted(waiting)))
    now: set[str] = set()
    for batch in members(selector, population):
        now.update(
            member.org_id
            for member in batch
            if member.actionable and not member.protections and member.spared_reason != UNKNOWN
        )
    removed = sorted(name for name in waiting if name not in now)
    fresh = sorted(now - items.frozen_names(tx, plan.plan_id)) if selector.kind == "cluster" else []
    known = subjects.known(tx, plan.subject_kind, fresh, plan.action)
    spared = {name for name, each in known.items() if _spared_anyway(each, plan)}
    return removed, [name for name in fresh if name not in spared]


def _spared_anyway(known: subjects.Known, plan: Plan) -> bool:
    """Whether the plan would have left it out too, if it had known it."""
    elsewhere = known.open_plan is not None and known.open_plan != plan.plan_id
    return bool(known.protected or known.appealed or elsewhere or known.claimed_by)


def skip(tx: Tx, plan: Plan, found: Difference) -> None:
    """Leave out who moved, while they are few."""
    items.skip(tx, plan.plan_id, found.removed, REMOVED)
    items.skip(tx, plan.plan_id, found.moved, MOVED)
    if found.moved or found.removed or found.added:
        plans.change(tx, plan.plan_id, difference={**plan.difference, **found.counts()})


def mark(tx: Tx, plan: Plan, found: Difference, principal: Principal) -> None:
    """The plan was made about something else: it is stale for good."""
    plans.change(tx, plan.plan_id, state=PlanState.STALE, finished_at=tx.now, difference=found.counts())
    items.skip_waiting(tx, plan.plan_id, "the plan is stale")
    tx.audit("plan.stale", principal, plan_id=plan.plan_id, details=found.counts())


def refusal(plan: Plan, found: Difference) -> Refusal:
    """The answer to whoever wanted to start it, with the difference."""
    return Refusal(
        "stale",
        f"{plan.plan_id} is stale: {found.share:.1%} of its members changed "
        f"({len(found.moved)} moved, {len(found.removed)} removed, {found.added} added)",
        "Make the plan again and look at the difference.",
        extra={**found.counts(), "names": dict(found.names)},
    )
