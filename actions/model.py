"""The nouns of mass actions, as plain frozen values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from actions.refusals import Refusal

Clock = Callable[[], datetime]
ORGANIZATION = "organization"
ENTITY_TYPES = ("domain", "bin", "network", "phone_range", "tls_fingerprint", "device")
"""What plans on entities may name."""


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class Kind(StrEnum):
    """What sort of promise an action makes."""

    CONTAINMENT = "containment"
    LASTING = "lasting"
    RESTORE = "restore"
    ENTITY = "entity"


class Action(StrEnum):
    """What can be done to an organization, or to an entity at the door."""

    THROTTLE = "throttle"
    VERIFY = "verify"
    FREEZE_CREDIT = "freeze_credit"
    BAN = "ban"
    HONEYPOT = "honeypot"
    HOLD_PAYOUT = "hold_payout"
    CLAWBACK = "clawback"
    RESTORE = "restore"
    DENY_SIGNUP = "deny_signup"
    NO_TRIAL = "no_trial"
    CHALLENGE = "challenge"

    @property
    def kind(self) -> Kind:
        """Containment, lasting, restore or entity."""
        return _KINDS[self]

    @property
    def bit(self) -> int:
        """Its place in a mask of restrictions; 0 for a restore, which is the absence of them."""
        return _BITS.get(self, 0)


_KINDS = {
    **dict.fromkeys((Action.THROTTLE, Action.VERIFY, Action.FREEZE_CREDIT), Kind.CONTAINMENT),
    **dict.fromkeys((Action.BAN, Action.HONEYPOT, Action.HOLD_PAYOUT, Action.CLAWBACK), Kind.LASTING),
    Action.RESTORE: Kind.RESTORE,
    **dict.fromkeys((Action.DENY_SIGNUP, Action.NO_TRIAL, Action.CHALLENGE), Kind.ENTITY),
}
_BITS = {
    Action.THROTTLE: 1,
    Action.VERIFY: 2,
    Action.FREEZE_CREDIT: 4,
    Action.BAN: 8,
    Action.HONEYPOT: 16,
    Action.HOLD_PAYOUT: 32,
    Action.CLAWBACK: 64,
    Action.DENY_SIGNUP: 128,
    Action.NO_TRIAL: 256,
    Action.CHALLENGE: 512,
}
"""Stored in the ledger: a number once given keeps its meaning."""


def restrictions(mask: int) -> tuple[str, ...]:
    """The names of the restrictions in force, in a fixed order; empty when there are none."""
    return tuple(action.value for action, bit in _BITS.items() if mask & bit)


class PlanState(StrEnum):
    """Where a plan is in its life."""

    DRAFT = "draft"
    PLANNED = "planned"
    APPROVED = "approved"
    EXECUTING = "executing"
    PAUSED = "paused"
    COMPLETED = "completed"
    COMPLETED_WITH_FAILURES = "completed_with_failures"
    ABORTED = "aborted"
    EXPIRED = "expired"
    STALE = "stale"
    REJECTED = "rejected"


WAITING = (PlanState.PLANNED, PlanState.APPROVED)
RUNNING = (PlanState.EXECUTING, PlanState.PAUSED)
OPEN = WAITING + RUNNING
STARTED = (*RUNNING, PlanState.COMPLETED, PlanState.COMPLETED_WITH_FAILURES, PlanState.ABORTED)


class ItemState(StrEnum):
    """Where one member of a plan is."""

    PENDING = "pending"
    SENDING = "sending"
    APPLIED = "applied"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class Part(StrEnum):
    """What a plan means to do with a member."""

    ACT = "act"
    HONEYPOT = "honeypot"
    HOLDOUT = "holdout"
    SPARED = "spared"


class Delivered(StrEnum):
    """Where one effect is on its way to one sink."""

    PENDING = "pending"
    SENDING = "sending"
    WAITING = "waiting"
    APPLIED = "applied"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SUPERSEDED = "superseded"


UNSETTLED = (Delivered.PENDING, Delivered.SENDING, Delivered.WAITING)

PrincipalKind = Literal["user", "token", "policy", "local"]


@dataclass(frozen=True)
class Principal:
    """Who acts: `id` never changes, `roles` are a set (see `actions.md`, Access)."""

    id: str
    roles: frozenset[str] = frozenset()
    kind: PrincipalKind = "user"

    @property
    def person(self) -> bool:
        """Whether a human being answers for it."""
        return self.kind in {"user", "local"}

    def require(self, *roles: str) -> None:
        """Refuse unless it has one of these roles."""
        if not self.roles.intersection(roles):
            raise Refusal(
                "forbidden", f"{self.id} may not do this", f"It takes the role {' or '.join(roles)}."
            )


@dataclass(frozen=True)
class Member:
    """One organization (or entity) as the run sees it. Risks are 0 to 100; `cost` is its consumption so far."""

    org_id: str
    cluster_id: str | None = None
    member_risk: float = 0.0
    cluster_risk: float = 0.0
    actionable: bool = False
    spared_reason: str = ""
    cost: float = 0.0
    protections: frozenset[str] = frozenset()
    """Any of `paying`, `aged`, `verified`, `internal`."""
    independent_life: bool = False
    key_ids: tuple[str, ...] = ()
    """Its active API keys, by id."""
    evidence: tuple[str, ...] = ()
    detectors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Selector:
    """Which members are meant: one cluster's actionable ones, or named ones. Never "everything"."""

    kind: Literal["cluster", "members", "query", "file"]
    cluster_id: str | None = None
    ids: tuple[str, ...] = ()
    name: str | None = None
    """Of the query, or of the file."""

    @property
    def names_members(self) -> bool:
        """Whether a person named each member."""
        return self.kind in {"members", "file"}


@dataclass(frozen=True)
class PlanRequest:
    """What somebody wants to do, before it is frozen.

    `duration` ends the effect by itself; a ban without one is permanent only if `permanent` says so. `second_reason`
    is needed to name protected or not actionable members. `controls` None means as the settings say.
    """

    action: Action
    selector: Selector
    reason: str
    duration: timedelta | None = None
    permanent: bool = False
    second_reason: str = ""
    public_reason: str = "policy_violation"
    params: Mapping[str, Any] = field(default_factory=dict)
    sinks: tuple[str, ...] | None = None
    controls: bool | None = None
    entity_type: str = ORGANIZATION
    causes: tuple[str, ...] = ()
    """Why beyond the members' own evidence: `signal:X`, `detector@v`, `entity:ip:…`, `source:S`."""


@dataclass(frozen=True)
class Plan:
    """A frozen plan as the ledger keeps it."""

    plan_id: str
    kind: Kind
    action: Action
    state: PlanState
    subject_kind: str
    creator: str
    creator_kind: PrincipalKind
    created_at: datetime
    reason: str
    second_reason: str
    selector: Mapping[str, Any]
    run_id: str | None
    as_of: datetime | None
    members_sha256: str
    digest: str
    size: int
    spared: int
    params: Mapping[str, Any]
    public_reason: str
    policy_version: str
    sinks: tuple[str, ...]
    duration: timedelta | None
    permanent: bool
    controls: Mapping[str, Any]
    needs: str
    """`nothing`, `approval` or `elevated`."""
    facts: Mapping[str, Any]
    """What approvers see: sample, weakest evidence, estimated collateral, cost."""
    automatic: bool
    expires_at: datetime | None
    not_before: datetime | None
    wave: int
    waves: tuple[int, ...]
    hold_until: datetime | None
    paused_reason: str
    difference: Mapping[str, Any]
    started_at: datetime | None
    finished_at: datetime | None
    undoes: Mapping[str, Any]


def exit_code(plan: Plan) -> int:
    """What a script sees of a plan: 0 done or going on, 1 failed, 4 awaiting approval, 5 stale, 6 paused, 7 partial."""
    if plan.state is PlanState.PLANNED and plan.needs != "nothing":
        return 4
    return _EXIT.get(plan.state, 0)


_EXIT = {
    PlanState.ABORTED: 1,
    PlanState.EXPIRED: 1,
    PlanState.REJECTED: 1,
    PlanState.STALE: 5,
    PlanState.PAUSED: 6,
    PlanState.COMPLETED_WITH_FAILURES: 7,
}


@dataclass(frozen=True)
class Item:
    """One member of a plan."""

    plan_id: str
    subject_id: int
    org_id: str
    part: Part
    wave: int
    state: ItemState
    reason: str
    prior: tuple[str, ...]
    prior_generation: int
    generation: int | None
    effect_id: str | None
    cluster_id: str | None
    member_risk: float
    due_at: datetime | None


@dataclass(frozen=True)
class Effect:
    """What a sink has to bring about; it applies only generations above the last that it saw for `org_id`.

    `desired_state` lists the restrictions that are to be in force (empty: none); `expires_at` is when the one that
    `action` brought ends; `subject_kind` is `organization`, or the type of the entity whose key is in `org_id`.
    """

    seq: int
    effect_id: str
    plan_id: str
    subject_kind: str
    org_id: str
    generation: int
    action: str
    desired_state: tuple[str, ...]
    expires_at: datetime | None
    public_reason: str
    key_ids: tuple[str, ...]
    created_at: datetime
    params: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: what goes over a wire."""
        return {
            "effect_id": self.effect_id,
            "cursor": self.seq,
            "plan_id": self.plan_id,
            "subject_kind": self.subject_kind,
            "org_id": self.org_id,
            "generation": self.generation,
            "action": self.action,
            "desired_state": list(self.desired_state),
            "expires_at": moment_text(self.expires_at),
            "public_reason": self.public_reason,
            "key_ids": list(self.key_ids),
            "params": dict(self.params),
            "created_at": moment_text(self.created_at),
        }


def moment_text(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC, or None."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
