"""What ends by itself: restrictions, which is an effect like any other, and plans that nobody started."""

from __future__ import annotations

from actions import ids
from actions.ledger import Tx, items, plans, releases
from actions.model import Action, PlanState

SYSTEM = "system:expiry"
LIMIT = 2_000


def end_restrictions(tx: Tx, limit: int = LIMIT) -> int:
    """End claims whose time is over, and tell the sinks of whoever is less restricted now; how many ended."""
    rows = releases.expired(tx, limit)
    if not rows:
        return 0
    after = releases.end_claims(tx, rows)
    told: dict[int, dict[str, object]] = {}
    changes: dict[int, list[object]] = {}
    sinks: dict[int, set[str]] = {}
    for row in rows:
        subject = row["subject_id"]
        sinks.setdefault(subject, set()).update(row["sinks"])
        if after[subject] == row["mask"] or subject in told:
            continue
        effect_id = ids.effect_ids(tx.secret, row["plan_id"], f"expire:{row['action']}")
        told[subject] = {
            "effect_id": effect_id(row["name"]),
            "plan_id": row["plan_id"],
            "subject_id": subject,
            "generation": row["generation"] + 1,
            "action": Action.RESTORE.value,
            "mask": after[subject],
            "expires_at": None,
            "public_reason": "expired",
            "key_ids": None,
            "created_at": tx.now,
        }
        changes[subject] = [row["audit_name"], row["mask"], after[subject], row["generation"] + 1]
    releases.add_effects(tx, [{**row, "sinks": sorted(sinks[subject])} for subject, row in told.items()])
    tx.audit("effects.expired", SYSTEM, details={"claims": len(rows), "items": list(changes.values())})
    return len(rows)


def expire_plans(tx: Tx) -> int:
    """Plans that nobody approved or started in time are over; how many."""
    late = plans.overdue(tx)
    for plan in late:
        plans.change(tx, plan.plan_id, state=PlanState.EXPIRED, finished_at=tx.now)
        items.skip_waiting(tx, plan.plan_id, "the plan expired")
        tx.audit("plan.expired", SYSTEM, plan_id=plan.plan_id)
    return len(late)
