"""Applying a plan: its start, its waves and holds, and what stops it. Time is given, nothing sleeps."""

from __future__ import annotations

from datetime import timedelta

from actions import guardrails, staleness
from actions.ledger import Ledger, Tx, deliveries, items, plans, releases, verdicts
from actions.ledger.releases import CONTROL_WAVE, Chunk
from actions.model import RUNNING, ItemState, Kind, Part, Plan, PlanState, Principal
from actions.population import Population
from actions.refusals import Refusal
from actions.situations import killed, refuse_if_killed, situation

BASELINE = timedelta(days=90)
SYSTEM = "system:worker"
FINISHED = (PlanState.COMPLETED, PlanState.COMPLETED_WITH_FAILURES)


def apply(ledger: Ledger, plan_id: str, principal: Principal, population: Population) -> Plan:
    """Start a plan: `advance` does the rest. Raises Refusal; a stale one with the difference, and it stays stale."""
    with ledger.transaction() as tx:
        stale = start(tx, plan_id, principal, population)
        plan = plans.get(tx, plan_id)
    if stale is not None:
        raise stale
    return plan


def start(tx: Tx, plan_id: str, principal: Principal, population: Population) -> Refusal | None:
    """`apply` within the caller's transaction (with an idempotency key, say).

    That a plan is stale is returned and not raised, because it has to be committed: answer with it afterwards.
    """
    principal.require("operator")
    plan = plans.get(tx, plan_id)
    _startable(tx, plan)
    if plan.kind is not Kind.RESTORE:
        refuse_if_killed(tx, plan.creator)
        difference = staleness.difference(tx, plan, population)
        if difference.share > tx.settings.waves.drift:
            staleness.mark(tx, plan, difference, principal)
            return staleness.refusal(plan, difference)
        staleness.skip(tx, plan, difference)
    if plan.kind is Kind.LASTING:
        around = situation(tx, population)
        for refusal in guardrails.halting(tx.settings, around, plan.size):
            raise refusal
    controls = plan.controls
    for part, seconds in ((Part.HONEYPOT, "honeypot_s"), (Part.HOLDOUT, "holdout_s")):
        if controls.get(f"{part}s"):
            items.start_controls(tx, plan_id, part, tx.now + timedelta(seconds=controls[seconds]))
    plans.change(tx, plan_id, state=PlanState.EXECUTING, wave=1, started_at=tx.now, expires_at=None)
    tx.audit("plan.started", principal, plan_id=plan_id, details={"digest": plan.digest, "size": plan.size})
    return None


def _startable(tx: Tx, plan: Plan) -> None:
    """Raise Refusal unless the plan may start now."""
    if plan.state is PlanState.PLANNED and plan.needs != "nothing":
        raise Refusal(
            "awaiting_approval", f"{plan.plan_id} awaits approval", "Another person approves it first."
        )
    if plan.state is PlanState.PAUSED:
        raise Refusal("paused", f"{plan.plan_id} is paused: {plan.paused_reason}", "Resume or abort it.")
    if plan.state is PlanState.STALE:
        raise Refusal("stale", f"{plan.plan_id} is stale", "Make the plan again.", extra=plan.difference)
    if plan.state not in {PlanState.PLANNED, PlanState.APPROVED}:
        raise Refusal("wrong_state", f"{plan.plan_id} is {plan.state}", "Make another plan.")
    if plan.expires_at is not None and plan.expires_at <= tx.now:
        raise Refusal("expired", f"{plan.plan_id} has expired", "Make the plan again.")
    if plan.not_before is not None and tx.now < plan.not_before:
        raise Refusal(
            "wrong_state",
            f"{plan.plan_id} was approved by its maker and waits until {plan.not_before.isoformat()}",
            "Apply it then, or reject it.",
        )
    if plan.needs != "nothing":
        _approved_as_is(tx, plan)


def _approved_as_is(tx: Tx, plan: Plan) -> None:
    """The approvals are of this very digest, and of enough people."""
    given = [row for row in verdicts.approvals_of(tx, plan.plan_id) if row["verdict"] == "approved"]
    bound = {row["approver"] for row in given if row["digest"] == plan.digest}
    wanted = 2 if plan.needs == "elevated" and not tx.settings.single_operator else 1
    if len(bound) < wanted:
        raise Refusal(
            "awaiting_approval", f"{plan.plan_id} awaits approval", "Another person approves it first."
        )


def pause(tx: Tx, plan_id: str, principal: Principal | str, reason: str) -> Plan:
    """Let a plan release nobody else; what is on its way arrives."""
    if isinstance(principal, Principal):
        principal.require("operator")
    plan = plans.get(tx, plan_id)
    if plan.state is not PlanState.EXECUTING:
        raise Refusal("wrong_state", f"{plan_id} is {plan.state}", "Only an executing plan can pause.")
    plans.change(tx, plan_id, state=PlanState.PAUSED, paused_reason=reason)
    tx.audit("plan.paused", principal, plan_id=plan_id, why=reason)
    return plans.get(tx, plan_id)


def resume(tx: Tx, plan_id: str, principal: Principal, reason: str = "") -> Plan:
    """Go on where each member is. The drift that paused it is accepted: those members are skipped."""
    principal.require("operator")
    plan = plans.get(tx, plan_id)
    if plan.state is not PlanState.PAUSED:
        raise Refusal("wrong_state", f"{plan_id} is {plan.state}", "Only a paused plan can be resumed.")
    if plan.kind is not Kind.RESTORE:
        refuse_if_killed(tx, plan.creator)
    items.skip(tx, plan_id, items.moved(tx, plan_id), "changed since it was planned")
    bad, tried = deliveries.failing(tx, plan_id, tx.settings.waves.failing_attempts)
    known = {"failures": bad, "tried": tried, "appeals": verdicts.counting_appeals(tx, plan_id)}
    plans.change(
        tx,
        plan_id,
        state=PlanState.EXECUTING,
        paused_reason="",
        difference={**plan.difference, "seen": known},
    )
    tx.audit("plan.resumed", principal, plan_id=plan_id, why=reason, details=known)
    return plans.get(tx, plan_id)


def abort(tx: Tx, plan_id: str, principal: Principal, reason: str) -> Plan:
    """End a plan: who was not acted on yet will not be. What was done stays until it is undone."""
    principal.require("operator")
    plan = plans.get(tx, plan_id)
    if plan.state not in RUNNING:
        raise Refusal("wrong_state", f"{plan_id} is {plan.state}", "Only a plan that runs can be aborted.")
    skipped = items.skip_waiting(tx, plan_id, "aborted")
    plans.change(tx, plan_id, state=PlanState.ABORTED, finished_at=tx.now)
    tx.audit("plan.aborted", principal, plan_id=plan_id, why=reason, details={"skipped": skipped})
    return plans.get(tx, plan_id)


def advance(tx: Tx, plan: Plan, population: Population) -> bool:
    """One bounded step of a plan: release a chunk, begin a wave, pause or complete. False: nothing to do now."""
    plan = plans.get(tx, plan.plan_id)
    if plan.state in FINISHED:
        return _advance_controls(tx, plan, population)
    if plan.state is not PlanState.EXECUTING:
        return False
    if plan.kind is not Kind.RESTORE:
        why = _stops(tx, plan, population)
        if why is not None:
            pause(tx, plan.plan_id, SYSTEM, why)
            return True
    if plan.hold_until is not None and tx.now < plan.hold_until:
        return False
    if _release(tx, plan, plan.wave, tx.settings.waves.chunk):
        return True
    on_its_way = items.count(tx, plan.plan_id, state=ItemState.SENDING)
    return not on_its_way and _next_wave(tx, plan, population)


def _next_wave(tx: Tx, plan: Plan, population: Population) -> bool:
    """The wave has settled: hold, then begin the next one, or complete the plan."""
    if plan.wave >= len(plan.waves):
        return _complete(tx, plan)
    holds = tx.settings.waves.holds
    hold = holds[min(plan.wave, len(holds)) - 1] if holds else timedelta(0)
    if plan.hold_until is None and hold > timedelta(0):
        plans.change(tx, plan.plan_id, hold_until=tx.now + hold)
        tx.audit("plan.holding", SYSTEM, plan_id=plan.plan_id, details={"after_wave": plan.wave})
        return True
    difference = staleness.difference(tx, plan, population)
    if difference.share > tx.settings.waves.drift:
        plans.change(tx, plan.plan_id, difference=difference.counts())
        pause(tx, plan.plan_id, SYSTEM, f"{difference.share:.1%} of the members changed since it was planned")
        return True
    staleness.skip(tx, plan, difference)
    plans.change(tx, plan.plan_id, wave=plan.wave + 1, hold_until=None)
    tx.audit("plan.wave", SYSTEM, plan_id=plan.plan_id, details={"wave": plan.wave + 1})
    return True


def _complete(tx: Tx, plan: Plan) -> bool:
    tally = plans.tally(tx, plan.plan_id)
    bad = tally.get(ItemState.FAILED, 0) + tally.get(ItemState.UNKNOWN, 0)
    state = PlanState.COMPLETED_WITH_FAILURES if bad else PlanState.COMPLETED
    plans.change(tx, plan.plan_id, state=state, finished_at=tx.now)
    tx.audit("plan.completed", SYSTEM, plan_id=plan.plan_id, details=tally)
    return True


def _advance_controls(tx: Tx, plan: Plan, population: Population) -> bool:
    """Act on control members whose time or budget is over, as long as nothing stops lasting actions."""
    over = _over_budget(tx, plan, population)
    if over:
        items.set_due(tx, plan.plan_id, over, tx.now)
    if not items.due_controls(tx, plan.plan_id) or killed(tx, plan.creator) is not None or population.unfit:
        return False
    return _release(tx, plan, CONTROL_WAVE, tx.settings.waves.chunk) > 0


def _over_budget(tx: Tx, plan: Plan, population: Population) -> list[int]:
    waiting = items.open_controls(tx, plan.plan_id)
    if not waiting or plan.started_at is None:
        return []
    used = population.consumption(sorted(waiting), plan.started_at)
    return [
        waiting[name] for name, cost in used.items() if cost > plan.controls["budget"] and name in waiting
    ]


def _stops(tx: Tx, plan: Plan, population: Population) -> str | None:
    """Why an executing plan must pause by itself; None: it may go on."""
    why = killed(tx, plan.creator)
    if why is not None:
        return f"kill switch: {why}"
    rules = tx.settings.waves
    seen = plan.difference.get("seen", {})
    bad, tried = deliveries.failing(tx, plan.plan_id, rules.failing_attempts)
    bad, tried = bad - seen.get("failures", 0), tried - seen.get("tried", 0)
    if bad > 0 and bad > rules.failure_share * max(tried, 1):
        return f"{bad:,} of {tried:,} deliveries failed"
    if plan.kind is not Kind.LASTING:
        return None
    return _appeals_stop(tx, plan, seen.get("appeals", 0)) or _guards_stop(tx, plan, population)


def _appeals_stop(tx: Tx, plan: Plan, seen: int) -> str | None:
    """Granted appeals, or believable ones, far above what is usual. Others count for nothing: rings can file them."""
    rules = tx.settings.waves
    count = verdicts.counting_appeals(tx, plan.plan_id) - seen
    if count < rules.appeal_minimum:
        return None
    usual, acted = verdicts.usual_appeals(tx, plan.plan_id, tx.now - BASELINE)
    tally = plans.tally(tx, plan.plan_id)
    expected = usual / acted * tally.get(ItemState.APPLIED, 0) if acted else 0.0
    return f"{count} believable appeals" if count > rules.appeal_factor * expected else None


def _guards_stop(tx: Tx, plan: Plan, population: Population) -> str | None:
    waiting = items.count(tx, plan.plan_id, state=ItemState.PENDING, wave=plan.wave)
    if not waiting:
        return None
    around = situation(tx, population)
    for refusal in guardrails.halting(tx.settings, around, waiting):
        return refusal.message
    _, day_cap = guardrails.lasting_caps(tx.settings, around)
    if plan.needs != "elevated" and around.hits_24h + waiting > day_cap:
        return f"the day's cap of {day_cap:,} lasting actions is reached"
    return None


def _release(tx: Tx, plan: Plan, wave: int, limit: int) -> int:
    """Release the next members of a wave in one transaction with the audit's intent; how many were looked at."""
    waiting = releases.next_waiting(tx, plan, wave, limit)
    if not waiting:
        return 0
    reasons: dict[str, list[int]] = {}
    for each in waiting:
        reason = guardrails.spared_now(each, plan)
        if reason is not None:
            reasons.setdefault(reason, []).append(each.subject_id)
    for reason, ids in reasons.items():
        items.skip(tx, plan.plan_id, ids, reason)
        tx.audit("effects.skipped", SYSTEM, plan_id=plan.plan_id, why=reason, details={"members": len(ids)})
    chunk = Chunk(plan, wave, waiting[0].draw, waiting[-1].draw)
    releases.take(tx, chunk)
    if plan.kind is Kind.RESTORE:
        releases.restore(tx, chunk, [each.subject_id for each in waiting])
    else:
        releases.restrict(tx, chunk)
    releases.decide(tx, chunk)
    for changes in releases.changes(tx, chunk):
        tx.audit(
            "effects.intended",
            SYSTEM,
            plan_id=plan.plan_id,
            details={"action": plan.action, "sinks": list(plan.sinks), "items": changes},
        )
    releases.finish(tx, chunk)
    return len(waiting)
