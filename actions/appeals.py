"""Appeals: an organization asks for another look, by somebody who did not approve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from actions import ids, undo, wishes
from actions.ledger import Reading, Tx, plans, subjects, verdicts
from actions.model import ORGANIZATION, PlanState, Principal
from actions.refusals import Refusal

OPEN = "open"
GRANTED = "granted"
DENIED = "denied"


@dataclass(frozen=True)
class Appeal:
    """One appeal. `believable`: the member had independent life when it appealed, so that it may stop a plan."""

    appeal_id: str
    org_id: str
    state: str
    opened_by: str
    statement: str
    believable: bool
    opened_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    decision: str
    restored_by: str | None
    plans: tuple[str, ...] = ()


def open_appeal(
    tx: Tx, org_id: str, principal: Principal, *, statement: str, independent_life: bool = False
) -> Appeal:
    """Open an appeal about whatever restricts an organization: nothing new happens to it until it is decided.

    Raises Refusal when nothing restricts it, an appeal is open, or one about the same was denied lately.
    """
    known = subjects.ids_of(tx, ORGANIZATION, [org_id])
    subject_id = known.get(org_id)
    restricting = [] if subject_id is None else verdicts.claims_on(tx, subject_id)
    if subject_id is None or not restricting:
        raise Refusal("nothing_to_do", "nothing restricts this organization", "There is nothing to appeal.")
    if verdicts.list_appeals(tx, state=OPEN, subject_id=subject_id, limit=1):
        raise Refusal("already_decided", "an appeal of this organization is open", "Wait for its decision.")
    plan_ids = sorted({row["plan_id"] for row in restricting})
    since = tx.now - timedelta(days=tx.settings.appeal_again_days)
    if verdicts.denied_since(tx, subject_id, plan_ids, since):
        raise Refusal("already_decided", "an appeal about the same was denied lately", "Appeal again later.")
    appeal_id = ids.new_id("appeal", tx.now)
    verdicts.add_appeal(
        tx,
        plan_ids,
        appeal_id=appeal_id,
        subject_id=subject_id,
        opened_by=principal.id,
        statement=statement,
        believable=independent_life,
    )
    name = subjects.audit_names(tx, [subject_id])[subject_id]
    details = {"appeal": appeal_id, "organization": name, "plans": plan_ids, "believable": independent_life}
    tx.audit("appeal.opened", principal, details=details)
    return get(tx, appeal_id)


def decide(tx: Tx, appeal_id: str, principal: Principal, *, grant: bool, reason: str) -> Appeal:
    """Grant or deny. Granting starts a restore (`restored_by`), keeps the
    organization apart from its cluster, labels it legitimate, disputes the evidence and asks to re-score its mates.

    Raises Refusal for whoever approved one of the plans, and for a token.
    """
    principal.require("approver", "operator")
    if not principal.person:
        raise Refusal("not_a_person", "only people decide appeals", "Sign in.")
    appeal = get(tx, appeal_id)
    if appeal.state != OPEN:
        raise Refusal("already_decided", f"the appeal was {appeal.state}", "A new appeal can be opened.")
    if principal.id in verdicts.approvers_of(tx, appeal.plans) and not tx.settings.single_operator:
        raise Refusal("approved_it", "you approved what this appeal is about", "Somebody else decides.")
    row = verdicts.appeal(tx, appeal_id)
    subject_id = row["subject_id"] if row is not None else 0
    restored = _grant(tx, appeal, subject_id, principal, reason) if grant else None
    state = GRANTED if grant else DENIED
    verdicts.change_appeal(
        tx,
        appeal_id,
        state=state,
        decided_by=principal.id,
        decided_at=tx.now,
        decision=reason,
        restored_by=restored,
    )
    details = {
        "appeal": appeal_id,
        "organization": row["audit_name"] if row is not None else None,
        "plans": list(appeal.plans),
        "restored_by": restored,
    }
    tx.audit(f"appeal.{state}", principal, why=reason, details=details)
    return get(tx, appeal_id)


def _grant(tx: Tx, appeal: Appeal, subject_id: int, principal: Principal, reason: str) -> str | None:
    cluster_id = verdicts.cluster_of(tx, subject_id, appeal.plans)
    plan_id = appeal.plans[0] if appeal.plans else None
    wishes.ask(
        tx, wishes.GRANTED, subject_id, plan_id=plan_id, appeal_id=appeal.appeal_id, cluster_id=cluster_id
    )
    if not verdicts.claims_on(tx, subject_id):
        return None  # it ended meanwhile
    inverse = undo.restore_unchecked(tx, [appeal.org_id], principal, reason=f"appeal granted: {reason}")
    plans.change(tx, inverse.plan_id, state=PlanState.EXECUTING, wave=1, started_at=tx.now, expires_at=None)
    tx.audit("plan.started", principal, plan_id=inverse.plan_id, details={"appeal": appeal.appeal_id})
    return inverse.plan_id


def get(reading: Reading, appeal_id: str) -> Appeal:
    """One appeal. Raises Refusal when there is none."""
    row = verdicts.appeal(reading, appeal_id)
    if row is None:
        raise Refusal("not_found", f"there is no appeal {appeal_id!r}", "")
    return _appeal(reading, dict(row))


def _appeal(reading: Reading, row: Mapping[str, Any]) -> Appeal:
    return Appeal(
        row["appeal_id"],
        row["name"],
        row["state"],
        row["opened_by"],
        row["statement"],
        row["believable"],
        row["opened_at"],
        row["decided_by"],
        row["decided_at"],
        row["decision"],
        row["restored_by"],
        tuple(verdicts.appealed_plans(reading, row["appeal_id"])),
    )


def listed(
    reading: Reading, *, state: str | None = None, before: str | None = None, limit: int = 50
) -> Sequence[Appeal]:
    """Appeals, the newest first, before the appeal `before`."""
    rows = verdicts.list_appeals(reading, state=state, before=before, limit=limit)
    return [_appeal(reading, dict(row)) for row in rows]
