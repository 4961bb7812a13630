"""Erasure over the wire."""

from __future__ import annotations

from pydantic import ConfigDict

from api.schemas.base import Answered, ExactId, Given, Words, example


class Erasing(Given):
    """Whom, their id once more, since nothing undoes it, and why."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"org_id": "org_1", "confirm": "org_1", "reason": "Request 12 of their owner."}
        )
    )
    org_id: ExactId
    confirm: ExactId
    reason: Words


class ErasedOrganization(Answered):
    """What was taken out, by how many; `known_as` is the name under which the audit keeps what was done."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "known_as": "s_0a1b2c3d",
                "events": 120,
                "mentions": 2,
                "values": 14,
                "quarantined": 1,
                "files": 9,
            }
        )
    )
    known_as: str
    events: int
    mentions: int
    values: int
    quarantined: int
    files: int
