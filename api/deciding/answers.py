"""What is said of plans, previews and effects, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from actions import approvals, incidents, killswitch
from actions.approvals import Review
from actions.freezing import Shown
from actions.ledger import Reading, deliveries, items, plans
from actions.model import (
    Action,
    Effect,
    Item,
    Kind,
    Part,
    Plan,
    PlanRequest,
    Principal,
    Selector,
    moment_text,
)
from actions.planning import Preview
from actions.population import Population
from actions.selection import members

DAY = timedelta(days=1)
Row = dict[str, Any]


def preview(found: Preview, request: PlanRequest) -> Row:
    """A preview, with what would forbid it as a plan."""
    return {
        "preview": True,
        "action": request.action.value,
        "kind": request.action.kind.value,
        "subject_kind": request.entity_type,
        "selector": _selector(request.selector),
        "size": found.size,
        "spared": dict(found.spared),
        "cost": round(found.cost, 2),
        "estimated_collateral": round(found.estimated_collateral, 3),
        "legitimate_hits": found.legitimate_hits,
        "needs": found.needs,
        "duration_s": seconds(found.duration),
        "waves": list(found.waves),
        "run_id": found.run_id,
        "as_of": moment_text(found.as_of),
        "digest": found.digest,
        "sample": [_shown(each) for each in found.sample],
        "weakest": [_shown(each) for each in found.weakest],
        "refusals": [
            {"code": each.code, "message": each.message, "remedy": each.remedy} for each in found.refusals
        ],
    }


def _selector(selector: Selector) -> Row:
    return {
        "kind": selector.kind,
        "cluster_id": selector.cluster_id,
        "name": selector.name,
        "count": len(selector.ids),
    }


def _shown(each: Shown) -> Row:
    return {
        "org_id": each.org_id,
        "cluster_id": each.cluster_id,
        "member_risk": round(each.member_risk, 1),
        "evidence": list(each.evidence),
        "in_force": list(each.prior),
    }


def plan(one: Plan, tally: Mapping[str, int] | None = None) -> Row:
    """A plan; who waits as honeypot or holdout is not said."""
    return {
        "plan_id": one.plan_id,
        "action": one.action.value,
        "kind": one.kind.value,
        "state": one.state.value,
        "subject_kind": one.subject_kind,
        "selector": dict(one.selector),
        "size": one.size,
        "spared": dict(one.facts.get("spared", {})),
        "cost": round(one.facts.get("cost", 0.0), 2),
        "estimated_collateral": one.facts.get("estimated_collateral"),
        "legitimate_hits": one.facts.get("legitimate_hits", 0),
        "needs": one.needs,
        "reason": one.reason,
        "second_reason": one.second_reason,
        "public_reason": one.public_reason,
        "duration_s": seconds(one.duration),
        "permanent": one.permanent,
        "params": dict(one.params),
        "sinks": list(one.sinks),
        "created_by": one.creator,
        "created_at": moment_text(one.created_at),
        "expires_at": moment_text(one.expires_at),
        "not_before": moment_text(one.not_before),
        "started_at": moment_text(one.started_at),
        "finished_at": moment_text(one.finished_at),
        "wave": one.wave,
        "waves": list(one.waves),
        "hold_until": moment_text(one.hold_until),
        "paused_reason": one.paused_reason,
        "difference": {name: value for name, value in one.difference.items() if name != "seen"},
        "undoes": dict(one.undoes),
        "run_id": one.run_id,
        "as_of": moment_text(one.as_of),
        "digest": one.digest,
        **({} if tally is None else {"members": dict(tally)}),
    }


def reviewed(reading: Reading, plan_id: str, principal: Principal) -> tuple[Review, Row]:
    """A plan as its approvers see it."""
    found = approvals.review(reading, plan_id)
    return found, {
        **plan(found.plan, plans.tally(reading, plan_id)),
        "causes": list(found.causes),
        "approvals": [approval(each) for each in found.approvals],
        "approvals_missing": found.missing,
        "sample": [item(each, principal) for each in found.sample],
        "weakest": [item(each, principal) for each in found.weakest],
    }


def approval(row: Mapping[str, Any]) -> Row:
    """One verdict on a plan; `own`: by the plan's maker, which only single-operator mode allows."""
    names = ("approver", "verdict", "typed_count", "reason", "own")
    return {name: row[name] for name in names} | {"at": moment_text(row["at"])}


def item(each: Item, principal: Principal) -> Row:
    """One member of a plan, as this principal may see it."""
    seen = approvals.visible(each, principal)
    return {
        "org_id": seen.org_id,
        "part": seen.part.value,
        "state": seen.state.value,
        "reason": seen.reason,
        "wave": seen.wave,
        "cluster_id": seen.cluster_id,
        "member_risk": round(seen.member_risk, 1),
        "before": list(seen.prior),
        "generation": seen.generation,
    }


def effects(reading: Reading, found: Sequence[Effect]) -> list[Row]:
    """Effects with where each is on its way, by sink."""
    states = deliveries.statuses(reading, [each.seq for each in found])
    return [each.as_dict() | {"sinks": states.get(each.seq, {})} for each in found]


def banner(reading: Reading) -> list[str]:
    """What everybody has to see whatever they look at: a declared incident, the kill switch."""
    said = [f"the kill switch is on for {name}: {why}" for name, why in killswitch.engaged(reading).items()]
    incident = incidents.current(reading)
    if incident is not None:
        said.append(
            f"an incident is declared until {moment_text(incident.ends_at)} ({incident.reason}):"
            " the caps of lasting actions are raised"
        )
    return said


def spending(population: Population, org_ids: Sequence[str]) -> float:
    """What these organizations cost in the last 24 hours of the run: what a day of it would go on costing."""
    return round(sum(population.consumption(org_ids, population.as_of - DAY).values()), 2)


def meant(request: PlanRequest, population: Population) -> list[str]:
    """Organizations that a preview would hit, as far as the run alone tells."""
    if request.action.kind is Kind.ENTITY:
        return []
    insists = request.action.kind is Kind.LASTING and request.selector.names_members and request.second_reason
    found = members(request.selector, population)
    return [each.org_id for batch in found for each in batch if each.actionable or insists]


def hit(reading: Reading, one: Plan) -> list[str]:
    """Organizations that a plan acts on."""
    if one.kind is Kind.ENTITY or one.action is Action.RESTORE:
        return []
    return [each.org_id for each in items.everyone(reading, one.plan_id) if each.part is not Part.SPARED]


def seconds(length: timedelta | None) -> float | None:
    """A duration in seconds."""
    return None if length is None else length.total_seconds()
