"""Declared incidents, which raise the caps, and the kill switch, which stops everything."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from actions import incidents, killswitch
from actions.incidents import Incident
from api.auth.permissions import Permission
from api.http.guard import Routes
from api.routes.needs import DeskOf, Limit
from api.schemas.appeals import AN_INCIDENT, Halted, HaltGiven, IncidentGiven, IncidentShown
from api.schemas.base import Page
from api.schemas.plans import Why

routes = Routes("emergencies")
IncidentId = Annotated[
    str, Path(pattern=r"^incident_[0-9a-f-]{8,64}$", description="An incident's id.", examples=[AN_INCIDENT])
]


@routes.reads("/incidents")
def list_incidents(desk: DeskOf, limit: Limit = 50) -> Page[IncidentShown]:
    """Incidents, the newest first."""
    with desk.ledger.reading() as reading:
        return Page(items=[_shown(each) for each in incidents.listed(reading, limit)])


@routes.changes(
    "/incidents",
    Permission.GUARD,
    status_code=201,
    once=True,
    problems=("not_a_person", "wrong_state", "bad_request"),
)
def declare_incident(desk: DeskOf, given: IncidentGiven) -> IncidentShown:
    """Propose an incident of a day at most; it holds once a second person confirms it."""
    with desk.ledger.transaction() as tx:
        return _shown(incidents.declare(tx, desk.principal, reason=given.reason, hours=given.hours))


@routes.changes(
    "/incidents/{incident_id}/confirm",
    Permission.GUARD,
    once=True,
    problems=("not_a_person", "own_plan", "wrong_state"),
)
def confirm_incident(desk: DeskOf, incident_id: IncidentId) -> IncidentShown:
    """Confirm what another person proposed: the caps rise from now on."""
    with desk.ledger.transaction() as tx:
        return _shown(incidents.confirm(tx, incident_id, desk.principal))


@routes.changes(
    "/incidents/{incident_id}/end", Permission.GUARD, once=True, problems=("not_a_person", "wrong_state")
)
def end_incident(desk: DeskOf, incident_id: IncidentId, given: Why) -> IncidentShown:
    """End an incident early; one person suffices."""
    with desk.ledger.transaction() as tx:
        return _shown(incidents.end(tx, incident_id, desk.principal, reason=given.reason))


@routes.reads("/halt")
def get_halt(desk: DeskOf) -> Halted:
    """The kill switches that are on."""
    with desk.ledger.reading() as reading:
        return Halted(engaged=killswitch.engaged(reading), paused=[])


@routes.changes("/halt", Permission.HALT, once=True)
def halt(desk: DeskOf, given: HaltGiven) -> Halted:
    """Turn the kill switch on: nothing restrictive starts or goes on. Restores always may."""
    with desk.ledger.transaction() as tx:
        paused = killswitch.engage(tx, desk.principal, reason=given.reason, name=given.name)
        return Halted(engaged=killswitch.engaged(tx), paused=paused)


@routes.changes("/halt/end", Permission.HALT, once=True, problems=("not_a_person", "wrong_state"))
def end_halt(desk: DeskOf, given: HaltGiven) -> Halted:
    """Turn it off. What it paused stays paused until somebody resumes it."""
    with desk.ledger.transaction() as tx:
        killswitch.release(tx, desk.principal, reason=given.reason, name=given.name)
        return Halted(engaged=killswitch.engaged(tx), paused=[])


def _shown(found: Incident) -> IncidentShown:
    return IncidentShown.model_validate(vars(found))
