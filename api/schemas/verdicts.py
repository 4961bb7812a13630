"""Verdicts over the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from api.door.rules import Verdict
from api.schemas.base import Answered, ExactId, Given, example

Value = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
Situation = Literal["signup", "trial", "promo", "payment", "first_inference"]


class AtTheDoor(Given):
    """Somebody at the door, with what they show, in the fields of the event record. More fields, more is known."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"at": "signup", "email": "ada@mail.example", "ip": "198.51.100.7", "device_id": "d-4711"}
        )
    )
    at: Situation
    org_id: ExactId | None = None
    user_id: ExactId | None = None
    ip: Value | None = None
    device_id: Value | None = None
    tls_fingerprint: Value | None = None
    email: Value | None = None
    phone: Value | None = None
    payment_method: Value | None = None
    payment_bin: Annotated[str | None, StringConstraints(pattern=r"^[0-9]{6,8}$")] = None

    @model_validator(mode="after")
    def _something(self) -> AtTheDoor:
        if not self.fields:
            raise ValueError("shows nothing: give at least one field")
        return self

    @property
    def fields(self) -> dict[str, str]:
        """What is shown."""
        return {name: value for name, value in self if value is not None and name != "at"}


class SeveralAtTheDoor(Given):
    """Several at once, in order."""

    model_config = ConfigDict(json_schema_extra=example({"asked": [{"at": "trial", "org_id": "org_1"}]}))
    asked: Annotated[list[AtTheDoor], Field(min_length=1, max_length=1_000)]


_VERDICT = {
    "verdict": "challenge",
    "reasons": ["shared_with_ring"],
    "ttl_s": 60,
    "fail_open": False,
    "degraded": [],
    "run_id": "run_20260304T120000Z_0000abcd",
}


class VerdictShown(Answered):
    """What to do. `reasons` are for you, not for whoever asks to be let in.

    `degraded` lists parts that could not be asked (`run`, `events`, `ledger`); with any of them `fail_open` says that
    the answer is milder than it might have been, never stricter. Repeat it for `ttl_s` seconds at most.
    """

    model_config = ConfigDict(json_schema_extra=example(_VERDICT))
    verdict: Verdict
    reasons: list[str]
    ttl_s: int
    fail_open: bool
    degraded: list[str]
    run_id: str | None


class VerdictsShown(Answered):
    """One verdict for each that was asked, in order."""

    model_config = ConfigDict(json_schema_extra=example({"verdicts": [_VERDICT]}))
    verdicts: list[VerdictShown]
