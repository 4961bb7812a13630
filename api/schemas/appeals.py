"""Appeals, protections, incidents and the kill switch over the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from api.schemas.base import AT, Answered, ExactId, Given, GivenMoment, Moment, Words, example
from api.schemas.plans import AN_ID

AN_APPEAL = "appeal_0198c5a0-7e60-768e-a4ed-e7825bf3ac8b"
AN_INCIDENT = "incident_0198c5a0-7e60-768e-a4ed-e7825bf3ac8b"


class AppealGiven(Given):
    """What an organization says about whatever restricts it."""

    model_config = ConfigDict(
        json_schema_extra=example({"org_id": "org_1", "statement": "We teach a course, ticket 4711."})
    )
    org_id: ExactId
    statement: Words


class AppealShown(Answered):
    """An appeal. `believable`: the organization has a life of its own, so that its appeal may stop a plan."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "appeal_id": AN_APPEAL,
                "org_id": "org_1",
                "state": "open",
                "opened_by": "user:eve",
                "statement": "We teach a course.",
                "believable": False,
                "opened_at": AT,
                "decided_by": None,
                "decided_at": None,
                "decision": "",
                "restored_by": None,
                "plans": [AN_ID],
            }
        )
    )
    appeal_id: str
    org_id: str
    state: Literal["open", "granted", "denied"]
    opened_by: str
    statement: str
    believable: bool
    opened_at: Moment
    decided_by: str | None
    decided_at: Moment | None
    decision: str
    restored_by: str | None
    plans: list[str]


class ProtectionGiven(Given):
    """An organization that plans must leave out, and why; `ends_at` null: until somebody ends it."""

    model_config = ConfigDict(
        json_schema_extra=example({"org_id": "org_1", "reason": "our own test organization"})
    )
    org_id: ExactId
    reason: Words
    ends_at: GivenMoment | None = None


class ProtectionEnded(Given):
    """An organization that is no longer protected."""

    model_config = ConfigDict(json_schema_extra=example({"org_id": "org_1", "reason": "no longer ours"}))
    org_id: ExactId
    reason: Words


class ProtectionShown(Answered):
    """One entry of the protected list."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "org_id": "org_1",
                "reason": "our own",
                "created_by": "user:ada",
                "created_at": AT,
                "ends_at": None,
            }
        )
    )
    org_id: str
    reason: str
    created_by: str
    created_at: Moment
    ends_at: Moment | None


class IncidentGiven(Given):
    """An incident proposed: it holds once a second person confirms it."""

    model_config = ConfigDict(
        json_schema_extra=example({"reason": "20,000 trial farms since noon", "hours": 8})
    )
    reason: Words
    hours: Annotated[int | None, Field(ge=1, le=24)] = None


class IncidentShown(Answered):
    """A declared incident: while it is active the caps of lasting actions are raised."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "incident_id": AN_INCIDENT,
                "state": "proposed",
                "reason": "20,000 trial farms since noon",
                "declared_by": "user:ada",
                "declared_at": AT,
                "confirmed_by": None,
                "started_at": None,
                "ends_at": AT,
            }
        )
    )
    incident_id: str
    state: str
    reason: str
    declared_by: str
    declared_at: Moment
    confirmed_by: str | None
    started_at: Moment | None
    ends_at: Moment | None


class HaltGiven(Given):
    """The kill switch: for everything (`all`), or for one policy."""

    model_config = ConfigDict(json_schema_extra=example({"reason": "we are banning customers"}))
    reason: Words
    name: Annotated[str, StringConstraints(pattern=r"^(all|policy:[a-z0-9_.-]{1,64})$")] = "all"


class Halted(Answered):
    """The kill switches that are on, with their reasons, and the plans that turning one on paused."""

    model_config = ConfigDict(
        json_schema_extra=example({"engaged": {"all": "we are banning customers"}, "paused": [AN_ID]})
    )
    engaged: dict[str, str]
    paused: list[str]
