"""Declared incidents: two people raise the caps of lasting actions for at most a day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from actions import ids
from actions.ledger import Reading, Tx, verdicts
from actions.model import Principal
from actions.refusals import Refusal


@dataclass(frozen=True)
class Incident:
    """`proposed` by one person, `active` once another confirmed it, then `ended` or over."""

    incident_id: str
    state: str
    reason: str
    declared_by: str
    declared_at: datetime
    confirmed_by: str | None
    started_at: datetime | None
    ends_at: datetime | None


def declare(tx: Tx, principal: Principal, *, reason: str, hours: int | None = None) -> Incident:
    """Propose an incident of at most 24 hours; it holds once a second person confirms it."""
    _person(principal)
    longest = tx.settings.incident_hours
    if not reason.strip() or not 0 < (hours or longest) <= longest:
        raise Refusal(
            "bad_request", f"an incident needs a reason and lasts {longest} h at most", "Correct that."
        )
    if verdicts.active_incident(tx) is not None:
        raise Refusal("wrong_state", "an incident is declared already", "End it first.")
    incident_id = ids.new_id("incident", tx.now)
    ends_at = tx.now + timedelta(hours=hours or longest)
    verdicts.add_incident(
        tx, incident_id=incident_id, reason=reason, declared_by=principal.id, ends_at=ends_at
    )
    tx.audit("incident.proposed", principal, why=reason, details={"incident": incident_id})
    return get(tx, incident_id)


def confirm(tx: Tx, incident_id: str, principal: Principal) -> Incident:
    """Confirm what another person proposed: the caps rise from now on."""
    _person(principal)
    found = get(tx, incident_id)
    if found.state != "proposed" or found.ends_at is None or found.ends_at <= tx.now:
        raise Refusal("wrong_state", f"{incident_id} cannot be confirmed any more", "Declare another.")
    if found.declared_by == principal.id:
        raise Refusal("own_plan", "who declared an incident does not confirm it", "Ask a second person.")
    verdicts.change_incident(tx, incident_id, state="active", confirmed_by=principal.id, started_at=tx.now)
    tx.audit("incident.declared", principal, why=found.reason, details={"incident": incident_id})
    return get(tx, incident_id)


def end(tx: Tx, incident_id: str, principal: Principal, *, reason: str = "") -> Incident:
    """End an incident early: one person suffices."""
    _person(principal)
    if get(tx, incident_id).state not in {"proposed", "active"}:
        raise Refusal("wrong_state", f"{incident_id} has ended", "")
    verdicts.change_incident(tx, incident_id, state="ended", ended_by=principal.id, ends_at=tx.now)
    tx.audit("incident.ended", principal, why=reason, details={"incident": incident_id})
    return get(tx, incident_id)


def current(reading: Reading) -> Incident | None:
    """The incident that is declared now: shown as a banner everywhere."""
    row = verdicts.active_incident(reading)
    return None if row is None else _incident(dict(row))


def get(reading: Reading, incident_id: str) -> Incident:
    """One incident. Raises Refusal when there is none."""
    row = verdicts.incident(reading, incident_id)
    if row is None:
        raise Refusal("not_found", f"there is no incident {incident_id!r}", "")
    return _incident(dict(row))


def listed(reading: Reading, limit: int = 50) -> list[Incident]:
    """Incidents, the newest first."""
    return [_incident(dict(row)) for row in verdicts.list_incidents(reading, limit)]


def _incident(row: Mapping[str, Any]) -> Incident:
    return Incident(**{name: row[name] for name in Incident.__dataclass_fields__})


def _person(principal: Principal) -> None:
    principal.require("approver", "operator", "admin")
    if not principal.person:
        raise Refusal("not_a_person", "only people declare incidents", "Sign in.")
