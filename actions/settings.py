"""Every constant of mass actions, typed, in one frozen object, each with its reason."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ContainmentSettings(_Frozen):
    """What one person may do alone, because it ends by itself."""

    max_duration: timedelta = timedelta(hours=12)
    """Half a day: long enough for a second person to wake up, short enough to be forgotten safely."""
    max_members: int = Field(default=50_000, ge=1)
    """More than twice the incident's 20,000 organizations."""
    automatic_per_day: int = Field(default=1_000, ge=0)
    """Members that policies together may contain in 24 hours without a person."""


class LastingSettings(_Frozen):
    """Caps on what does not end by itself; above them, approval is elevated."""

    plan_cap: int = Field(default=1_000, ge=1)
    day_floor: int = Field(default=100, ge=1)
    """A small platform must still be able to ban a ring in a day."""
    day_share: float = Field(default=0.01, gt=0, le=1)
    """Share of the active organizations that a day may hit."""
    day_ceiling: int = Field(default=10_000, ge=1)
    incident_plan_cap: int = Field(default=10_000, ge=1)
    incident_day_cap: int = Field(default=50_000, ge=1)
    """What the caps rise to while two people have declared an incident."""
    approval_hours: int = Field(default=24, ge=1)
    """An approval older than a day was given about another situation."""
    breaker_floor: int = Field(default=1_000, ge=1)
    breaker_factor: float = Field(default=3, gt=1)
    breaker_share: float = Field(default=0.05, gt=0, le=1)
    """Suspect our own data above the largest of the floor, this many times the busiest of the last 30 days,
    and this share of the active organizations."""
    single_operator_hold: timedelta = timedelta(minutes=10)
    """Somebody who approves alone waits before a lasting action starts: time to see a mistake."""


class WaveSettings(_Frozen):
    """How a lasting action grows, and what stops it."""

    shares: tuple[float, ...] = (0.01, 0.10, 1.0)
    """Cumulative shares of the members after each wave."""
    holds: tuple[timedelta, ...] = (timedelta(minutes=10), timedelta(minutes=30))
    """Waiting time after each wave but the last."""
    drift: float = Field(default=0.05, ge=0, le=1)
    """More moved than this and the plan was made about something else."""
    failure_share: float = Field(default=0.05, ge=0, le=1)
    """Share of a plan's deliveries that may have failed."""
    failing_attempts: int = Field(default=3, ge=1)
    """A delivery that is still tried counts as failing from this attempt on: one outage is no failure."""
    appeal_factor: float = Field(default=3, ge=1)
    appeal_minimum: int = Field(default=5, ge=1)
    """Pause above this many times the usual share of believable appeals, and at least this many of them."""
    chunk: int = Field(default=5_000, ge=1)
    """Items that one transaction releases: bounds how long the ledger is locked."""


class ControlSettings(_Frozen):
    """Members that are acted on later, chosen by keyed hash and frozen in the plan."""

    honeypot_share: float = Field(default=0.01, ge=0, le=0.5)
    honeypot_max: int = Field(default=20, ge=0)
    honeypot_for: timedelta = timedelta(days=14)
    holdout_share: float = Field(default=0.01, ge=0, le=0.5)
    holdout_for: timedelta = timedelta(hours=24)
    budget: float = Field(default=50, ge=0)
    """What one of them may consume, in the home's currency, before it is acted on early."""


class EntitySettings(_Frozen):
    """Acting on a domain, a network, a BIN: what stands at the door."""

    max_entities: int = Field(default=1_000, ge=1)
    max_duration: timedelta = timedelta(days=30)
    """What is young and bad today belongs to somebody else next month."""
    free_hits: int = Field(default=10, ge=0)
    """Legitimate organizations that 30 days would have hit, up to which nobody else has to agree."""
    elevated_hits: int = Field(default=1_000, ge=0)


class OutboxSettings(_Frozen):
    """How effects go out."""

    batch: int = Field(default=2_000, ge=1)
    poll: timedelta = timedelta(milliseconds=200)
    poll_max: timedelta = timedelta(seconds=5)
    takeover: timedelta = timedelta(seconds=30)
    """A standby takes over when the holder's counter stood still for so long on the standby's own monotonic clock."""
    jump: timedelta = timedelta(seconds=60)
    """Wall and monotonic clock apart by more than this: the clock was set, and holds prove nothing."""
    checkpoint_every: int = Field(default=1_000, ge=1)
    """Audit entries between two signed checkpoints."""


class ActionSettings(_Frozen):
    """Everything about mass actions that can be set."""

    containment: ContainmentSettings = Field(default_factory=ContainmentSettings)
    lasting: LastingSettings = Field(default_factory=LastingSettings)
    waves: WaveSettings = Field(default_factory=WaveSettings)
    controls: ControlSettings = Field(default_factory=ControlSettings)
    entities: EntitySettings = Field(default_factory=EntitySettings)
    outbox: OutboxSettings = Field(default_factory=OutboxSettings)
    default_sinks: tuple[str, ...] = ("feed",)
    """Where effects go unless a plan says otherwise."""
    single_operator: bool = False
    """One person may approve their own plans: typed count, a hold, and every time audited as such."""
    incident_hours: int = Field(default=24, ge=1, le=24)
    idempotency_days: int = Field(default=7, ge=1)
    running_minutes: int = Field(default=15, ge=1)
    """A request that died without an answer may be made again after this long."""
    appeal_again_days: int = Field(default=30, ge=0)
    """A denied appeal can be repeated about the same restriction after this long."""

    @property
    def version(self) -> str:
        """Short digest of all settings: the policy version that a plan freezes."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]
