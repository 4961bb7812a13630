"""From a decision as it is sent to a plan: the same for a preview, for a plan and for a restore."""

from __future__ import annotations

from actions import undo, waves
from actions.model import ORGANIZATION, Kind, Plan, PlanRequest, Selector
from actions.population import Population, UnknownPopulation
from actions.refusals import Refusal
from api.deciding.desk import Desk
from graph.errors import RingfenceError


def restored(desk: Desk, selector: Selector, reason: str, *, kind: str = ORGANIZATION) -> Plan:
    """A plan that lifts whatever is in force on these members: all of a cluster's, not only its actionable ones."""
    names = list(selector.ids)
    if selector.kind == "cluster":
        found = desk.population().cluster(str(selector.cluster_id))
        names = [member.org_id for batch in found for member in batch]
    with desk.ledger.transaction() as tx:
        return undo.restore(tx, names, desk.principal, reason=reason, subject_kind=kind)


def population_for(desk: Desk, plan: Plan) -> Population:
    """The run that serves; a restore starts without one, too."""
    try:
        return desk.population()
    except RingfenceError:
        if plan.kind is Kind.RESTORE:
            return UnknownPopulation()
        raise


def started(desk: Desk, plan: Plan) -> Plan:
    """Start a plan; a worker does the rest. Raises Refusal, of a stale one with the difference."""
    return waves.apply(desk.ledger, plan.plan_id, desk.principal, population_for(desk, plan))


def without_restore(request: PlanRequest) -> PlanRequest:
    """The request, unless it restores: that is no preview's business. Raises Refusal."""
    if request.action.kind is Kind.RESTORE:
        raise Refusal(
            "bad_request", "a restore has no preview", "Plan it: nothing happens until it is applied."
        )
    return request
