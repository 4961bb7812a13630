"""The control members of a plan, for admins: who is left alone, until when, and what they consume."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from actions.ledger import Ledger, items, plans
from actions.model import Item, ItemState, Part, Principal
from actions.population import Population


@dataclass(frozen=True)
class Controls:
    """Honeypots and holdouts of a plan, with what each consumed since the plan started."""

    honeypots: tuple[Item, ...]
    holdouts: tuple[Item, ...]
    budget: float
    consumed: dict[str, float]


def controls(ledger: Ledger, plan_id: str, principal: Principal, population: Population) -> Controls:
    """Who a plan acts on later. Only admins may see it."""
    principal.require("admin")
    with ledger.reading() as reading:
        plan = plans.get(reading, plan_id)
        honeypots = items.listed(reading, plan_id, part=Part.HONEYPOT, limit=100_000)
        holdouts = items.listed(reading, plan_id, part=Part.HOLDOUT, limit=100_000)
    since = plan.started_at or plan.created_at
    names = sorted(item.org_id for item in (*honeypots, *holdouts))
    used = population.consumption(names, since) if names else {}
    return Controls(tuple(honeypots), tuple(holdouts), float(plan.controls.get("budget", 0)), dict(used))


def end_date(members: tuple[Item, ...]) -> datetime | None:
    """When the last of those that wait is acted on."""
    return max(
        (item.due_at for item in members if item.state is ItemState.PENDING and item.due_at), default=None
    )
