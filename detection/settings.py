"""Every constant of detection, typed, in one frozen object.

The figures are those of the measured recipe (docs/detection.md); each can be set in `ringfence.toml`.
"""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

HOUR = 3_600
DAY = 24 * HOUR
WEIGHT_UNIT = 1_000_000
"""Fixed point: this many units of an int64 weight are a weight of 1."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TieKind(_Frozen):
    """What sharing one kind of identifier is worth.

    `prior` is the weight of a fresh tie between two; `tau_s` the decay's time constant in seconds; `gap_s` the
    silence in seconds that ends a session (weak kinds only); `cap` the number of organizations above which the
    identifier is a place and ties nobody; `strong` kinds are never cut into sessions and keep half their weight;
    `base` is the kind of identifier when it is proven more strongly than usual (`phone_verified` is a `phone`).
    """

    prior: float = Field(gt=0, le=1)
    tau_s: int = Field(gt=0)
    gap_s: int = Field(gt=0)
    cap: int = Field(ge=2)
    strong: bool = False
    base: str | None = None


def _tie_kinds() -> dict[str, TieKind]:
    return {
        "ip": TieKind(prior=0.35, tau_s=6 * HOUR, gap_s=12 * HOUR, cap=200),
        "device": TieKind(prior=0.8, tau_s=3 * DAY, gap_s=3 * DAY, cap=500),
        "device_attested": TieKind(
            prior=0.8, tau_s=3 * DAY, gap_s=3 * DAY, cap=500, strong=True, base="device"
        ),
        "mailbox": TieKind(prior=1, tau_s=7 * DAY, gap_s=7 * DAY, cap=500, strong=True),
        "phone": TieKind(prior=0.8, tau_s=5 * DAY, gap_s=5 * DAY, cap=200),
        "phone_verified": TieKind(
            prior=0.8, tau_s=5 * DAY, gap_s=5 * DAY, cap=200, strong=True, base="phone"
        ),
        "referral_code": TieKind(prior=0.5, tau_s=2 * DAY, gap_s=2 * DAY, cap=200),
        "payment_method": TieKind(prior=0.9, tau_s=7 * DAY, gap_s=7 * DAY, cap=200, strong=True),
        "api_key": TieKind(prior=1, tau_s=7 * DAY, gap_s=7 * DAY, cap=500),
        "user": TieKind(prior=0.8, tau_s=7 * DAY, gap_s=7 * DAY, cap=200, strong=True),
        "email_domain": TieKind(prior=0.25, tau_s=DAY, gap_s=DAY, cap=100),
        "name": TieKind(prior=0.25, tau_s=DAY, gap_s=DAY, cap=300),
    }


Verifiable = Literal["email", "phone", "payment_method", "device"]


class SourceSettings(_Frozen):
    """What the rows of one source (`ingest --source NAME`) may be trusted with.

    `verifies` names what its events prove: `email_verified` a mailbox, `phone_verified` a phone, `invoice_paid` a
    payment method, `attested` a device. `expected_every` is the longest silence in seconds that is normal for it; null:
    unknown, so it is never called late.
    """

    verifies: tuple[Verifiable, ...] = ()
    expected_every: int | None = Field(default=None, gt=0)


def default_sources() -> dict[str, SourceSettings]:
    """The platform's own source, `default`, verifies everything; any other nothing until told."""
    return {"default": SourceSettings(verifies=get_args(Verifiable))}


class EngineSettings(_Frozen):
    """How much of the machine a run may use."""

    threads: int = Field(default=2, ge=1)
    memory_limit: str = Field(default="2500MB", pattern=r"^\d+(MB|GB)$")


class DetectionSettings(_Frozen):
    """The recipe from links to scored clusters."""

    tie_kinds: dict[str, TieKind] = Field(default_factory=_tie_kinds)
    strong_floor: float = Field(default=0.5, ge=0, le=1)
    strong_memory_s: int = Field(default=396 * DAY, gt=0)
    """Thirteen months: a strong identifier ties nobody who used it further apart than that."""
    predecessors: int = Field(default=10, ge=1, le=50)
    min_weight: float = Field(default=0.05, gt=0)
    resolution: float = Field(default=0.002, gt=0)
    """Constant Potts resolution at this scale of weights."""
    levels: int = Field(default=6, ge=0)
    """How many times the resolution is halved to join what a ring of thousands leaves in parts."""
    join_share: float = Field(default=0.1, ge=0, le=1)
    """The least share of its weight that every part of a join must have with the other parts."""
    iterations: int = Field(default=4, ge=1)
    seed: int = 1
    min_jaccard: float = Field(default=0.3, gt=0, le=1)
    """Least overlap with which a cluster keeps its id from the previous run."""
    reference_organizations: int = Field(default=20_000, ge=100)
    """How many organizations the random reference groups hold, which give every signal its baseline."""
    reference_group: int = Field(default=10, ge=2)
    small_population: int = Field(default=1_000, ge=0)
    """Below this many organizations the baselines that ship are used."""
    engine: EngineSettings = Field(default_factory=EngineSettings)
