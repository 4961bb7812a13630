"""From a request to a frozen plan. A preview is the same without writing: one code path."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from actions import guardrails, ids, plan_rows
from actions.freezing import TOP, Cuts, Frozen, Shown, Tally, cut, pass_by
from actions.guardrails import Situation
from actions.ledger import Ledger, Reading, Tx, items, plans, subjects
from actions.ledger.chain import canonical
from actions.ledger.releases import CONTROL_WAVE
from actions.model import (
    ENTITY_TYPES,
    ORGANIZATION,
    Action,
    Kind,
    Part,
    Plan,
    PlanRequest,
    PlanState,
    Principal,
    Selector,
    moment_text,
)
from actions.population import Population
from actions.refusals import Refusal
from actions.selection import checked, described
from actions.settings import ActionSettings
from actions.situations import situation
from actions.statements import checked_reason

CONTROLLED = (Action.BAN,)
"""Actions that leave honeypots and holdouts out at first, unless a plan says otherwise."""


@dataclass(frozen=True)
class Preview:
    """The plan that would be made, without effects. `refusals`: why it could not be."""

    digest: str
    members_sha256: str
    size: int
    spared: Mapping[str, int]
    needs: str
    run_id: str
    as_of: datetime
    waves: tuple[int, ...]
    duration: timedelta | None
    estimated_collateral: float
    cost: float
    sample: tuple[Shown, ...]
    weakest: tuple[Shown, ...]
    legitimate_hits: int
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True)
class _Outcome:
    """What freezing one request came to."""

    request: PlanRequest
    duration: timedelta | None
    tally: Tally
    cuts: Cuts
    needs: str
    hits: int
    refusals: tuple[Refusal, ...]
    digest: str


def preview(ledger: Ledger, request: PlanRequest, principal: Principal, population: Population) -> Preview:
    """What a plan would do. Writes nothing. Raises Refusal for a request that makes no sense."""
    principal.require("analyst", "operator")
    request = _checked(request, ledger.settings)
    tally = Tally()
    with ledger.reading() as reading:
        for _ in pass_by(reading, request, population, tally):
            pass
        found = _outcome(reading, request, principal, population, tally)
    return Preview(
        digest=found.digest,
        members_sha256=tally.digest.hexdigest(),
        size=tally.size,
        spared=dict(tally.spared),
        needs=found.needs,
        run_id=population.run_id,
        as_of=population.as_of,
        waves=found.cuts.waves,
        duration=found.duration,
        estimated_collateral=tally.legitimate,
        cost=tally.cost,
        sample=tuple(shown for _, shown in sorted(tally.sample, key=lambda entry: -entry[0])),
        weakest=tuple(shown for *_, shown in sorted(tally.weakest, key=lambda entry: -entry[0])),
        legitimate_hits=found.hits,
        refusals=found.refusals,
    )


def plan(tx: Tx, request: PlanRequest, principal: Principal, population: Population) -> Plan:
    """Freeze a request into a plan that waits for approval, or for its start where none is needed.

    Raises Refusal where a guardrail forbids it, or where nobody is left to act on.
    """
    principal.require("operator")
    request = _checked(request, tx.settings)
    plan_id = ids.new_id("plan", tx.now)
    tally = Tally()
    plans.add(tx, _placeholder(tx, plan_id, request, principal), causes_=request.causes)
    effect_id = ids.effect_ids(tx.secret, plan_id, request.action)
    for batch in pass_by(tx, request, population, tally):
        _write(tx, plan_id, request, batch, effect_id)
    found = _outcome(tx, request, principal, population, tally)
    if found.refusals:
        raise found.refusals[0]
    _assign(tx, plan_id, found.cuts)
    plans.change(tx, plan_id, **_filled(tx, found, population))
    tx.audit(
        "plan.planned",
        principal,
        plan_id=plan_id,
        why=request.reason,
        details={
            "digest": found.digest,
            "action": request.action,
            "size": tally.size,
            "spared": sum(tally.spared.values()),
            "needs": found.needs,
            "run": population.run_id,
            "second_reason": request.second_reason,
        },
    )
    return plans.get(tx, plan_id)


def draft(tx: Tx, request: PlanRequest, principal: Principal) -> Plan:
    """Keep a request that an operator may plan later; nothing is frozen. Named members cannot be kept in a draft."""
    principal.require("analyst", "operator")
    request = _checked(request, tx.settings)
    if request.selector.kind != "cluster":
        raise Refusal("bad_request", "a draft names a cluster", "Plan named members directly.")
    plan_id = ids.new_id("plan", tx.now)
    values = _placeholder(tx, plan_id, request, principal)
    plans.add(tx, values | {"state": PlanState.DRAFT, "facts": {"causes": sorted(request.causes)}})
    tx.audit(
        "plan.drafted", principal, plan_id=plan_id, why=request.reason, details={"action": request.action}
    )
    return plans.get(tx, plan_id)


def plan_draft(tx: Tx, plan_id: str, principal: Principal, population: Population) -> Plan:
    """Freeze a draft: it becomes a plan of the operator who does this, and the draft is gone."""
    kept = plans.get(tx, plan_id)
    if kept.state is not PlanState.DRAFT:
        raise Refusal("wrong_state", f"{plan_id} is {kept.state}, not a draft", "Make another plan.")
    request = PlanRequest(
        action=kept.action,
        selector=Selector("cluster", cluster_id=kept.selector["cluster_id"]),
        reason=kept.reason,
        duration=kept.duration,
        permanent=kept.permanent,
        second_reason=kept.second_reason,
        public_reason=kept.public_reason,
        params=kept.params,
        sinks=kept.sinks,
        controls=kept.controls.get("wanted"),
        causes=tuple(kept.facts.get("causes", ())),
    )
    made = plan(tx, request, principal, population)
    plans.remove_draft(tx, plan_id)
    tx.audit("plan.draft_planned", principal, plan_id=made.plan_id, details={"draft": plan_id})
    return made


def _checked(request: PlanRequest, settings: ActionSettings) -> PlanRequest:
    """The request with a checked selector. Raises Refusal."""
    if request.action is Action.RESTORE:
        raise Refusal(
            "bad_request", "a restore is planned as an undo", "Undo a plan, a cause, or what is on members."
        )
    if not request.reason.strip():
        raise Refusal("bad_request", "a plan needs a reason", "Say why: it is kept in the audit.")
    on_entities = request.action.kind is Kind.ENTITY
    if on_entities != (request.entity_type != ORGANIZATION):
        raise Refusal(
            "bad_request", f"{request.action} cannot act on {request.entity_type}", "See docs/actions.md."
        )
    if on_entities and request.entity_type not in ENTITY_TYPES:
        raise Refusal(
            "bad_request", f"{request.entity_type!r} is no entity", f"One of {', '.join(ENTITY_TYPES)}."
        )
    if on_entities and request.selector.kind != "members":
        raise Refusal("bad_selector", "entities are named one by one", "Give their keys.")
    checked_reason(request.public_reason)
    guardrails.duration(settings, request)
    limit = settings.entities.max_entities if on_entities else settings.containment.max_members
    selector = checked(request.selector, limit)
    return PlanRequest(**{**_fields(request), "selector": selector})


def _fields(request: PlanRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in PlanRequest.__dataclass_fields__}


def _outcome(
    reading: Reading, request: PlanRequest, principal: Principal, population: Population, tally: Tally
) -> _Outcome:
    settings, kind = reading.settings, request.action.kind
    around = situation(reading, population)
    hits = 0
    if kind is Kind.ENTITY:
        found = population.legitimate_hits(request.entity_type, request.selector.ids)
        hits = sum(each.organizations for each in found.values())
    controls = request.action in CONTROLLED if request.controls is None else request.controls
    cuts = cut(tally.draws, settings, controls=controls and kind is Kind.LASTING, waves=kind is Kind.LASTING)
    needs = (
        guardrails.entity_needs(settings, hits)
        if kind is Kind.ENTITY
        else guardrails.needs(settings, around, request.action, tally.size)
    )
    lasts = guardrails.duration(settings, request)
    return _Outcome(
        request,
        lasts,
        tally,
        cuts,
        needs,
        hits,
        tuple(_refusals(settings, around, request, principal, tally)),
        _digest(settings, request, lasts, population, tally, cuts),
    )


def _refusals(
    settings: ActionSettings, around: Situation, request: PlanRequest, principal: Principal, tally: Tally
) -> Sequence[Refusal]:
    if not tally.size:
        why = (
            ", ".join(f"{count:,} {reason}" for reason, count in tally.spared.most_common(3)) or "no members"
        )
        return [
            Refusal(
                "nothing_to_do",
                f"nobody is left to act on: {why}",
                "Naming members, with a second reason, includes those that are not actionable in a lasting plan.",
                extra={"spared": dict(tally.spared)},
            )
        ]
    if request.action.kind is Kind.CONTAINMENT:
        return guardrails.containment(settings, around, tally.size, principal.kind)
    if request.action.kind is Kind.LASTING:
        return guardrails.halting(settings, around, tally.size)
    return []


def _digest(
    settings: ActionSettings,
    request: PlanRequest,
    lasts: timedelta | None,
    population: Population,
    tally: Tally,
    cuts: Cuts,
) -> str:
    """SHA-256 of everything that a plan freezes; a preview at the same moment has the same."""
    frozen = {
        "run": population.run_id,
        "as_of": moment_text(population.as_of),
        "selector": described(request.selector),
        "entity_type": request.entity_type,
        "members": tally.digest.hexdigest(),
        "size": tally.size,
        "action": request.action,
        "params": dict(request.params),
        "duration_s": None if lasts is None else lasts.total_seconds(),
        "public_reason": request.public_reason,
        "second_reason": request.second_reason,
        "policy": settings.version,
        "sinks": sorted(request.sinks or settings.default_sinks),
        "controls": [cuts.honeypots, cuts.holdouts],
        "waves": cuts.waves,
    }
    return hashlib.sha256(canonical(frozen).encode()).hexdigest()


def _placeholder(tx: Tx, plan_id: str, request: PlanRequest, principal: Principal) -> dict[str, Any]:
    """The plan's row before its members passed by."""
    row = plan_rows.blank(plan_id, request.action, principal, request.reason, tx.now, tx.settings)
    return row | plan_rows.requested(request)


def _filled(tx: Tx, found: _Outcome, population: Population) -> dict[str, Any]:
    """What is known of the plan once its members passed by."""
    tally, request, settings = found.tally, found.request, tx.settings
    microseconds = None if found.duration is None else found.duration // timedelta(microseconds=1)
    return {
        "run_id": population.run_id,
        "as_of": population.as_of,
        "members_sha256": tally.digest.hexdigest(),
        "digest": found.digest,
        "size": tally.size,
        "spared": sum(tally.spared.values()),
        "policy_version": settings.version,
        "sinks": sorted(request.sinks or settings.default_sinks),
        "duration_us": microseconds,
        "controls": {
            "wanted": request.controls,
            "honeypots": found.cuts.honeypots,
            "holdouts": found.cuts.holdouts,
            "honeypot_s": settings.controls.honeypot_for.total_seconds(),
            "holdout_s": settings.controls.holdout_for.total_seconds(),
            "budget": settings.controls.budget,
        },
        "needs": found.needs,
        "facts": {
            "spared": dict(tally.spared),
            "estimated_collateral": round(tally.legitimate, 3),
            "cost": round(tally.cost, 6),
            "legitimate_hits": found.hits,
        },
        "expires_at": tx.now + timedelta(hours=settings.lasting.approval_hours),
        "waves": list(found.cuts.waves),
    }


def _write(
    tx: Tx, plan_id: str, request: PlanRequest, batch: Sequence[Frozen], effect_id: Callable[[str], str]
) -> None:
    """Write the members of one batch, those that are spared too."""
    known = subjects.ensure(tx, request.entity_type, [each.member.org_id for each in batch])
    lists_keys = request.action is Action.BAN
    rows = []
    for each in batch:
        name = each.member.org_id
        row = plan_rows.member(
            plan_id,
            known[name],
            draw=each.draw,
            prior_mask=each.mask,
            prior_generation=each.generation,
            effect_id=effect_id(name) if each.spared is None else None,
        )
        row |= {
            "reason": each.spared or "",
            "cluster_id": each.member.cluster_id,
            "member_risk": each.member.member_risk,
            "key_ids": list(each.member.key_ids) if lists_keys and each.member.key_ids else None,
            "causes": _causes(each),
        }
        rows.append(row)
    items.add(tx, rows)


def _causes(frozen: Frozen) -> list[str]:
    signals = [f"signal:{signal}" for signal in frozen.member.evidence]
    return signals + list(frozen.member.detectors)


def _assign(tx: Tx, plan_id: str, cuts: Cuts) -> None:
    """Give every member its part and wave, by where the random order is cut."""
    honeypots, holdouts, *waves = cuts.bounds
    if cuts.honeypots:
        items.assign(tx, plan_id, 0, honeypots, part=Part.HONEYPOT, wave=CONTROL_WAVE)
    if cuts.holdouts:
        items.assign(tx, plan_id, honeypots, holdouts, part=Part.HOLDOUT, wave=CONTROL_WAVE)
    lower = holdouts
    for number, upper in enumerate(waves[:-1], start=1):
        items.assign(tx, plan_id, lower, upper, wave=number)
        lower = upper
    if len(waves) > 1:
        items.assign(tx, plan_id, lower, TOP, wave=len(waves))
