"""The kill switch: nothing restrictive starts or goes on while it is on. Restores always may."""

from __future__ import annotations

from actions import waves
from actions.ledger import Reading, Tx, plans, verdicts
from actions.model import Kind, PlanState, Principal
from actions.refusals import Refusal
from actions.situations import EVERYTHING


def engage(tx: Tx, principal: Principal, *, reason: str, name: str = EVERYTHING) -> list[str]:
    """Turn it on, for everything or for one policy (`policy:NAME`); the plans that it paused."""
    principal.require("operator", "admin")
    _checked(name)
    verdicts.set_switch(tx, name, engaged=True, changed_by=principal.id, reason=reason)
    tx.audit("killswitch.engaged", principal, why=reason, details={"name": name})
    hit = [
        plan
        for plan in plans.running(tx, kinds=(Kind.CONTAINMENT, Kind.LASTING, Kind.ENTITY))
        if plan.state is PlanState.EXECUTING and name in {EVERYTHING, plan.creator}
    ]
    for plan in hit:
        waves.pause(tx, plan.plan_id, "system:killswitch", f"kill switch: {reason}")
    return [plan.plan_id for plan in hit]


def release(tx: Tx, principal: Principal, *, reason: str, name: str = EVERYTHING) -> None:
    """Turn it off. What it paused stays paused until somebody resumes it."""
    principal.require("operator", "admin")
    if not principal.person:
        raise Refusal("not_a_person", "only people turn the kill switch off", "Sign in.")
    if name not in verdicts.switches_engaged(tx):
        raise Refusal("wrong_state", f"the kill switch {name} is not on", "")
    verdicts.set_switch(tx, name, engaged=False, changed_by=principal.id, reason=reason)
    tx.audit("killswitch.released", principal, why=reason, details={"name": name})


def engaged(reading: Reading) -> dict[str, str]:
    """The switches that are on, with their reasons."""
    return verdicts.switches_engaged(reading)


def _checked(name: str) -> None:
    if name != EVERYTHING and not name.startswith("policy:"):
        raise Refusal("bad_request", f"there is no kill switch {name!r}", "It is 'all', or policy:NAME.")
