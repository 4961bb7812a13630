"""Undo: a plan of its own that ends what other plans claimed, where they still hold it. The safe direction:
one person, no caps, no waves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from actions import ids, plan_rows
from actions.ledger import Tx, items, plans, subjects, undoing
from actions.ledger.chain import canonical
from actions.model import ORGANIZATION, RUNNING, Action, Kind, Plan, PlanState, Principal
from actions.refusals import Refusal

LISTED = 100
"""Plans that an undo names in its own row."""
NOTHING = "Nothing of it is in force any more; 'ringfence plans' shows what is."


def undo_plan(tx: Tx, plan_id: str, principal: Principal, *, reason: str) -> Plan:
    """Plan the undo of one plan; one that still runs is aborted first. Apply it like any plan."""
    principal.require("operator")
    target = plans.get(tx, plan_id)
    if target.kind is Kind.RESTORE:
        raise Refusal("not_undoable", "a restore cannot be undone", "Make another plan.")
    if target.state in RUNNING:
        plans.change(tx, plan_id, state=PlanState.ABORTED, finished_at=tx.now)
        tx.audit("plan.aborted", principal, plan_id=plan_id, why=f"undone: {reason}")
    items.skip_waiting(tx, plan_id, "undone")
    return _restore(tx, undoing.of_plan(plan_id), principal, reason, {"plan": plan_id})


def undo_because(
    tx: Tx, cause: str, principal: Principal, *, reason: str, since: datetime | None = None
) -> Plan:
    """Plan the undo of what was done for a cause, across plans: `signal:X`, `detector@v`, `entity:ip:…`, `source:S`."""
    principal.require("operator")
    if not cause.strip():
        raise Refusal("bad_request", "no cause is named", "Such as signal:shared_device or detector@3.")
    what = {"because": cause, "since": None if since is None else since.isoformat()}
    return _restore(tx, undoing.because(cause, since), principal, reason, what)


def restore(
    tx: Tx, org_ids: Sequence[str], principal: Principal, *, reason: str, subject_kind: str = ORGANIZATION
) -> Plan:
    """Plan to lift whatever is in force on these organizations (or entities)."""
    principal.require("operator")
    return restore_unchecked(tx, org_ids, principal, reason=reason, subject_kind=subject_kind)


def restore_unchecked(
    tx: Tx, org_ids: Sequence[str], principal: Principal, *, reason: str, subject_kind: str = ORGANIZATION
) -> Plan:
    """`restore` for a decision that needs no operator: a granted appeal."""
    names = sorted(set(org_ids))
    if not names:
        raise Refusal("bad_selector", "nobody is named", "Name organizations; there is no 'everything'.")
    known = subjects.ids_of(tx, subject_kind, names)
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
    what = {"members": len(names), "ids_sha256": digest}
    return _restore(tx, undoing.of_subjects(list(known.values())), principal, reason, what)


@dataclass
class _Found:
    """The claims that an undo ends, counted while they pass by."""

    digest: Any = field(default_factory=hashlib.sha256)
    targets: set[str] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)
    size: int = 0
    last: int = 0

    def add(self, claim: Mapping[str, Any]) -> bool:
        """Count a claim; whether its subject is a new one."""
        line = f"{claim['name']}\t{claim['plan_id']}\t{claim['mask']}\t{claim['generation']}\n"
        self.digest.update(line.encode())
        self.targets.add(claim["plan_id"])
        self.kinds.add(claim["kind"])
        if claim["subject_id"] == self.last:
            return False
        self.last, self.size = claim["subject_id"], self.size + 1
        return True


def _restore(tx: Tx, where: Any, principal: Principal, reason: str, what: dict[str, Any]) -> Plan:
    """Freeze a restoring plan over the claims that `where` finds."""
    if not reason.strip():
        raise Refusal("bad_request", "an undo needs a reason", "Say why: it is kept in the audit.")
    plan_id = ids.new_id("plan", tx.now)
    row = plan_rows.blank(plan_id, Action.RESTORE, principal, reason, tx.now, tx.settings)
    plans.add(tx, row | {"undoes": what})
    found = _freeze(tx, plan_id, where)
    if not found.size:
        raise Refusal("nothing_to_do", "nothing is left to restore", NOTHING)
    what = {**what, "plans": sorted(found.targets)[:LISTED], "count": len(found.targets)}
    sinks = sorted(undoing.sinks_of(tx, sorted(found.targets)))
    members = found.digest.hexdigest()
    frozen = canonical({"undoes": what, "members": members, "size": found.size, "sinks": sinks})
    plans.change(
        tx,
        plan_id,
        subject_kind=found.kinds.pop() if len(found.kinds) == 1 else "mixed",
        members_sha256=members,
        digest=hashlib.sha256(frozen.encode()).hexdigest(),
        size=found.size,
        sinks=sinks,
        waves=[found.size],
        undoes=what,
        facts={"no_longer_held": undoing.no_longer_held(tx, what["plan"]) if "plan" in what else 0},
    )
    details = {"undoes": what, "size": found.size}
    tx.audit("plan.planned", principal, plan_id=plan_id, why=reason, details=details)
    return plans.get(tx, plan_id)


def _freeze(tx: Tx, plan_id: str, where: Any) -> _Found:
    """Write a member for each subject, and which claims of it end."""
    found = _Found()
    effect_id = ids.effect_ids(tx.secret, plan_id, Action.RESTORE)
    draw = ids.draws(tx.secret, plan_id)
    for page in undoing.pages(tx, where):
        fresh = [claim for claim in page if found.add(dict(claim))]
        rows = [
            plan_rows.member(
                plan_id,
                claim["subject_id"],
                draw=draw(claim["name"]),
                prior_mask=claim["mask"],
                prior_generation=claim["generation"],
                effect_id=effect_id(claim["name"]),
            )
            for claim in fresh
        ]
        items.add(tx, rows)
        ends = [(claim["subject_id"], claim["plan_id"]) for claim in page]
        undoing.write(
            tx, [{"plan_id": plan_id, "subject_id": subject, "target": target} for subject, target in ends]
        )
    return found
