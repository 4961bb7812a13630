"""Approving and rejecting: bound to the digest, by people, never by the creator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from actions.ledger import Reading, Tx, items, plans, verdicts
from actions.model import Item, Part, Plan, PlanState, Principal
from actions.refusals import Refusal

APPROVED = "approved"
REJECTED = "rejected"
SHOWN = 20


@dataclass(frozen=True)
class Review:
    """What approvers see before they decide. The sample says nothing of who is a honeypot."""

    plan: Plan
    sample: tuple[Item, ...]
    weakest: tuple[Item, ...]
    approvals: Sequence[Mapping[str, Any]]
    missing: int
    """How many more people have to approve."""
    causes: tuple[str, ...] = ()
    """What the plan's maker gave as causes; each member's own evidence comes on top."""


def required(plan: Plan, *, single_operator: bool = False) -> int:
    """How many people have to approve a plan."""
    if plan.needs == "nothing":
        return 0
    return 2 if plan.needs == "elevated" and not single_operator else 1


def review(reading: Reading, plan_id: str) -> Review:
    """A plan as its approvers see it."""
    plan = plans.get(reading, plan_id)
    given = [dict(row) for row in verdicts.approvals_of(reading, plan_id)]
    approved = sum(1 for row in given if row["verdict"] == APPROVED)
    return Review(
        plan,
        tuple(items.sampled(reading, plan_id, SHOWN)),
        tuple(items.weakest(reading, plan_id, SHOWN)),
        given,
        max(0, required(plan, single_operator=reading.settings.single_operator) - approved),
        tuple(plans.causes_of(reading, plan_id)),
    )


def approve(
    tx: Tx,
    plan_id: str,
    principal: Principal,
    *,
    digest: str,
    typed_count: int | None = None,
    reason: str = "",
) -> Plan:
    """Approve a plan as it was seen: `digest` is its digest, `typed_count` its size where approval is elevated.

    Raises Refusal: for the creator (but in single-operator mode), for a token, for another digest, when it is late.
    """
    plan = _decidable(tx, plan_id, principal, digest)
    given = verdicts.approvals_of(tx, plan_id)
    _may_approve(tx, plan, principal, typed_count, {row["approver"] for row in given})
    own = principal.id == plan.creator
    verdicts.add_approval(
        tx,
        plan_id=plan_id,
        approver=principal.id,
        digest=plan.digest,
        verdict=APPROVED,
        typed_count=typed_count,
        reason=reason,
        own=own,
    )
    count = 1 + sum(1 for row in given if row["verdict"] == APPROVED)
    tx.audit(
        "plan.self_approved" if own else "plan.approved",
        principal,
        plan_id=plan_id,
        why=reason,
        details={"digest": plan.digest, "typed_count": typed_count, "approvals": count},
    )
    if count >= required(plan, single_operator=tx.settings.single_operator):
        _approved(tx, plan)
    return plans.get(tx, plan_id)


def _may_approve(
    tx: Tx, plan: Plan, principal: Principal, typed_count: int | None, decided: set[str]
) -> None:
    """Raise Refusal unless this person may approve, and knows how many they approve."""
    alone = tx.settings.single_operator
    if principal.id == plan.creator and not alone:
        raise Refusal("own_plan", "who made a plan does not approve it", "Ask another approver.")
    if plan.needs == "nothing":
        raise Refusal("wrong_state", f"{plan.plan_id} needs no approval", "Apply it.")
    if (plan.needs == "elevated" or alone) and typed_count != plan.size:
        raise Refusal(
            "wrong_count",
            "the number of organizations that was typed is not the plan's",
            "Look at the plan again, and type how many organizations it acts on.",
        )
    if principal.id in decided:
        raise Refusal("already_decided", "you decided about this plan already", "Another approver is needed.")


def _approved(tx: Tx, plan: Plan) -> None:
    rules = tx.settings.lasting
    hold = tx.now + rules.single_operator_hold if tx.settings.single_operator else None
    plans.change(
        tx,
        plan.plan_id,
        state=PlanState.APPROVED,
        expires_at=tx.now + timedelta(hours=rules.approval_hours),
        not_before=hold,
    )


def reject(tx: Tx, plan_id: str, principal: Principal, *, digest: str, reason: str) -> Plan:
    """Turn a plan down, for good; an approved one too, until it starts."""
    plan = _decidable(tx, plan_id, principal, digest, states=(PlanState.PLANNED, PlanState.APPROVED))
    if any(
        row["approver"] == principal.id and row["verdict"] == REJECTED
        for row in verdicts.approvals_of(tx, plan_id)
    ):
        raise Refusal("already_decided", "you rejected this plan already", "")
    plans.change(tx, plan_id, state=PlanState.REJECTED, finished_at=tx.now)
    items.skip_waiting(tx, plan_id, "rejected")
    tx.audit("plan.rejected", principal, plan_id=plan_id, why=reason, details={"digest": plan.digest})
    return plans.get(tx, plan_id)


def withdraw(tx: Tx, plan_id: str, principal: Principal, *, reason: str) -> Plan:
    """Take one's own plan, or as an operator anybody's, back before it starts."""
    principal.require("operator")
    plan = plans.get(tx, plan_id)
    if plan.state not in {PlanState.PLANNED, PlanState.APPROVED, PlanState.DRAFT}:
        raise Refusal("wrong_state", f"{plan_id} is {plan.state}", "A plan that started is aborted.")
    plans.change(tx, plan_id, state=PlanState.ABORTED, finished_at=tx.now)
    items.skip_waiting(tx, plan_id, "withdrawn")
    tx.audit("plan.withdrawn", principal, plan_id=plan_id, why=reason)
    return plans.get(tx, plan_id)


def _decidable(
    tx: Tx,
    plan_id: str,
    principal: Principal,
    digest: str,
    states: Sequence[PlanState] = (PlanState.PLANNED,),
) -> Plan:
    principal.require("approver")
    if not principal.person:
        raise Refusal("not_a_person", "only people approve", "Sign in; a token or a policy cannot approve.")
    plan = plans.get(tx, plan_id)
    if plan.state not in states:
        raise Refusal("wrong_state", f"{plan_id} is {plan.state}", "Only a planned one can be decided about.")
    if plan.expires_at is not None and plan.expires_at <= tx.now:
        raise Refusal("expired", f"{plan_id} has expired", "Make the plan again.")
    if plan.digest != digest:
        raise Refusal(
            "digest_mismatch", "this is not the plan that you saw", "Look at it again and approve its digest."
        )
    return plan


def visible(item: Item, principal: Principal) -> Item:
    """A member as this principal may see it: who is a honeypot or a holdout is for admins only."""
    if item.part in {Part.ACT, Part.SPARED} or "admin" in principal.roles:
        return item
    return Item(**{**vars(item), "part": Part.ACT, "wave": 0, "due_at": None})
