"""Effects over the wire: what scripts that enforce read and acknowledge."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, model_validator

from api.schemas.base import AT, Answered, Given, Moment, example
from api.schemas.plans import AN_ID

_EFFECT: dict[str, Any] = {
    "effect_id": "9b1d" * 8,
    "cursor": 4201,
    "plan_id": AN_ID,
    "subject_kind": "organization",
    "org_id": "org_1",
    "generation": 3,
    "action": "ban",
    "desired_state": ["ban"],
    "expires_at": AT,
    "public_reason": "multiple_accounts",
    "key_ids": [],
    "params": {},
    "created_at": AT,
}


class EffectShown(Answered):
    """What has to hold for one organization: apply it only if `generation` is above the last that you saw for it.

    `desired_state` lists all restrictions that are to be in force; empty: none. `cursor` is where to go on.
    """

    model_config = ConfigDict(json_schema_extra=example(_EFFECT))
    effect_id: str
    cursor: int
    plan_id: str
    subject_kind: str
    org_id: str
    generation: int
    action: str
    desired_state: list[str]
    expires_at: Moment | None
    public_reason: str
    key_ids: list[str]
    params: dict[str, JsonValue]
    created_at: Moment | None


class EffectsShown(Answered):
    """Some effects in the order in which they were decided; ask next for those after `cursor`."""

    model_config = ConfigDict(
        json_schema_extra=example({"effects": [_EFFECT], "cursor": 4201, "more": False})
    )
    effects: list[EffectShown]
    cursor: int
    more: bool


class Acknowledging(Given):
    """Effects that hold now: by id, or everything up to a cursor for who started from the whole state."""

    model_config = ConfigDict(json_schema_extra=example({"effect_ids": ["9b1d" * 8]}))
    effect_ids: Annotated[
        list[Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16,128}$")]] | None,
        Field(min_length=1, max_length=5_000),
    ] = None
    through: Annotated[int | None, Field(ge=0, le=2**62)] = None

    @model_validator(mode="after")
    def _one(self) -> Acknowledging:
        if (self.effect_ids is None) == (self.through is None):
            raise ValueError("give effect_ids, or through")
        return self


class Acknowledged(Answered):
    """How many of them had not been acknowledged before."""

    model_config = ConfigDict(json_schema_extra=example({"acknowledged": 1}))
    acknowledged: int


class Restricted(Answered):
    """What is in force against one organization, or for one entity."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "subject_kind": "organization",
                "org_id": "org_1",
                "generation": 3,
                "desired_state": ["ban"],
            }
        )
    )
    subject_kind: str
    org_id: str
    generation: int
    desired_state: list[str]


class StateShown(Answered):
    """Everybody who is restricted, in pages by `next`; then follow the effects from the first page's `cursor`."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "cursor": 4201,
                "as_of": AT,
                "restricted": [
                    {
                        "subject_kind": "organization",
                        "org_id": "org_1",
                        "generation": 3,
                        "desired_state": ["ban"],
                    }
                ],
                "next": None,
            }
        )
    )
    cursor: int
    as_of: Moment
    restricted: list[Restricted]
    next: int | None


class StatementRestriction(Answered):
    """One restriction as the affected see it."""

    restricted: str
    reason: str
    clause: str
    automated: bool
    since: Moment
    ends_at: Moment | None


class StatementShown(Answered):
    """What one organization is told: no other's name, no detector, no score. No restrictions: nothing is in force."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "org_id": "org_1",
                "restrictions": [
                    {
                        "restricted": "The organization cannot use the service.",
                        "reason": "One person or business runs several accounts.",
                        "clause": "multiple_accounts",
                        "automated": False,
                        "since": AT,
                        "ends_at": AT,
                    }
                ],
                "how_to_appeal": "You can appeal.",
            }
        )
    )
    org_id: str
    restrictions: list[StatementRestriction]
    how_to_appeal: str
