"""Plans over the wire: who is meant, what happens to them, and how it goes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, model_validator

from actions.model import Action, ItemState, Kind, Part, Plan, PlanState, exit_code
from api.deciding import answers
from api.schemas.base import AT, Answered, ExactId, Given, GivenMoment, Moment, Words, example

MOST_NAMED = 50_000
"""Organizations that one request may name; a cluster or a query may stand for more."""

YEARS = 10 * 366 * 86_400
PLAN_ID = r"^plan_[0-9a-f-]{8,64}$"
AN_ID = "plan_0198c5a0-7e60-768e-a4ed-e7825bf3ac8b"

ActionName = Annotated[Action, Field(strict=False)]
StateName = Annotated[PlanState, Field(strict=False)]
EntityType = Literal["domain", "bin", "network", "phone_range", "tls_fingerprint", "device"]

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_:.-]{1,80}$")]
Cause = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Scalar = str | int | float | bool


class QueryMeant(Given):
    """The organizations that a named query finds."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,80}$")]
    parameters: dict[str, Annotated[str, StringConstraints(max_length=1_000)]] = Field(
        default_factory=dict, max_length=20
    )


class EntitiesMeant(Given):
    """Entities of one type, at the door."""

    type: EntityType
    keys: Annotated[list[ExactId], Field(min_length=1, max_length=1_000)]


class PlanGiven(Given):
    """A decision about members who are named in exactly one way; there is no "everything".

    `cluster_id` stands for its actionable members; `org_ids`, `query` and `entities` name them.
    """

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "action": "throttle",
                "reason": "burns trial credit",
                "cluster_id": "cl_iuyzaqhqd5",
                "lasts_s": 21_600,
            }
        )
    )
    action: ActionName
    reason: Words
    cluster_id: Annotated[str | None, Field(pattern=r"^cl_[a-z2-7]{10}$")] = None
    org_ids: Annotated[list[ExactId] | None, Field(min_length=1, max_length=MOST_NAMED)] = None
    query: QueryMeant | None = None
    entities: EntitiesMeant | None = None
    lasts_s: Annotated[int | None, Field(ge=1, le=YEARS, description="Seconds; it then ends by itself.")] = (
        None
    )
    permanent: bool = False
    second_reason: Words | None = None
    public_reason: Code = "policy_violation"
    params: dict[Code, Scalar] = Field(default_factory=dict, max_length=20)
    sinks: Annotated[list[Name] | None, Field(min_length=1, max_length=20)] = None
    causes: list[Cause] = Field(default_factory=list, max_length=20)

    @model_validator(mode="after")
    def _named_once(self) -> PlanGiven:
        ways = (self.cluster_id, self.org_ids, self.query, self.entities)
        if sum(way is not None for way in ways) != 1:
            raise ValueError("name exactly one of cluster_id, org_ids, query, entities")
        return self

    @property
    def duration(self) -> timedelta | None:
        """How long it lasts."""
        return None if self.lasts_s is None else timedelta(seconds=self.lasts_s)


class MemberShown(Answered):
    """A member as it is before anything happens to it."""

    org_id: str
    cluster_id: str | None
    member_risk: float
    evidence: list[str]
    in_force: list[str]


class RefusalShown(Answered):
    """Why a plan could not be made."""

    code: str
    message: str
    remedy: str


class _Sized(Answered):
    """What plans and previews both say."""

    action: ActionName
    kind: Kind
    subject_kind: str
    selector: dict[str, JsonValue]
    size: int
    spared: dict[str, int]
    cost: float
    estimated_collateral: float | None
    legitimate_hits: int
    needs: Literal["nothing", "approval", "elevated"]
    duration_s: float | None
    waves: list[int]
    run_id: str | None
    as_of: Moment | None
    digest: str


_SIZED: dict[str, Any] = {
    "action": "ban",
    "kind": "lasting",
    "subject_kind": "organization",
    "selector": {"kind": "cluster", "cluster_id": "cl_iuyzaqhqd5", "name": None, "count": 0},
    "size": 25,
    "spared": {"only one type of tie": 1},
    "cost": 47.15,
    "estimated_collateral": 0.01,
    "legitimate_hits": 0,
    "needs": "approval",
    "duration_s": 7_776_000.0,
    "waves": [1, 2, 22],
    "run_id": "run_20260304T120000Z_0000abcd",
    "as_of": AT,
    "digest": "5f1c" * 16,
}
_MEMBER = {
    "org_id": "org_1",
    "cluster_id": "cl_iuyzaqhqd5",
    "member_risk": 99.9,
    "evidence": ["shared_phone"],
    "in_force": [],
}


class PreviewShown(_Sized):
    """What a plan would do. Nothing was written; `refusals` says why it could not be made."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {**_SIZED, "preview": True, "sample": [_MEMBER], "weakest": [_MEMBER], "refusals": []}
        )
    )
    preview: Literal[True]
    sample: list[MemberShown]
    weakest: list[MemberShown]
    refusals: list[RefusalShown]


_PLAN: dict[str, Any] = {
    **_SIZED,
    "plan_id": AN_ID,
    "state": "planned",
    "reason": "one operator",
    "second_reason": "",
    "public_reason": "multiple_accounts",
    "permanent": False,
    "params": {},
    "sinks": ["feed", "file", "records"],
    "created_by": "user:ada",
    "created_at": AT,
    "expires_at": AT,
    "not_before": None,
    "started_at": None,
    "finished_at": None,
    "wave": 0,
    "hold_until": None,
    "paused_reason": "",
    "difference": {},
    "undoes": {},
    "exit_code": 4,
    "members": {"pending": 25, "spared": 1},
}


class PlanShown(_Sized):
    """A plan and where it is. `members` counts them by state; `exit_code` is what a script ends with."""

    model_config = ConfigDict(json_schema_extra=example(_PLAN))
    plan_id: str
    state: StateName
    reason: str
    second_reason: str
    public_reason: str
    permanent: bool
    params: dict[str, JsonValue]
    sinks: list[str]
    created_by: str
    created_at: Moment | None
    expires_at: Moment | None
    not_before: Moment | None
    started_at: Moment | None
    finished_at: Moment | None
    wave: int
    hold_until: Moment | None
    paused_reason: str
    difference: dict[str, JsonValue]
    undoes: dict[str, JsonValue]
    exit_code: int
    members: dict[str, int] | None = None

    @classmethod
    def of(cls, plan: Plan, tally: Mapping[str, int] | None = None) -> PlanShown:
        """From the ledger's plan."""
        return cls(**answers.plan(plan, tally), exit_code=exit_code(plan))


class ItemShown(Answered):
    """One member of a plan, as whoever asks may see it."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "org_id": "org_1",
                "part": "act",
                "state": "pending",
                "reason": "",
                "wave": 1,
                "cluster_id": "cl_iuyzaqhqd5",
                "member_risk": 99.9,
                "before": [],
                "generation": None,
            }
        )
    )
    org_id: str
    part: Part
    state: ItemState
    reason: str
    wave: int
    cluster_id: str | None
    member_risk: float
    before: list[str]
    generation: int | None


class ApprovalShown(Answered):
    """One verdict on a plan; `own`: by its maker, which only single-operator mode allows."""

    approver: str
    verdict: str
    typed_count: int | None
    reason: str
    own: bool
    at: Moment | None


class ReviewShown(Answered):
    """What approvers see of a plan. They approve its `digest`."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "plan": _PLAN,
                "causes": ["signal:shared_phone"],
                "approvals": [],
                "approvals_missing": 1,
                "sample": [],
                "weakest": [],
            }
        )
    )
    plan: PlanShown
    causes: list[str]
    approvals: list[ApprovalShown]
    approvals_missing: int
    sample: list[ItemShown]
    weakest: list[ItemShown]


class Approving(Given):
    """An approval of what was seen: the plan's digest, and how many it acts on where the plan asks for it."""

    model_config = ConfigDict(
        json_schema_extra=example({"digest": "5f1c" * 16, "typed_count": 25, "reason": "opened ten"})
    )
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    typed_count: Annotated[int | None, Field(ge=0, le=10_000_000)] = None
    reason: Annotated[str, StringConstraints(max_length=2_000)] = ""


class Rejecting(Given):
    """A plan turned down, as it was seen."""

    model_config = ConfigDict(
        json_schema_extra=example({"digest": "5f1c" * 16, "reason": "half are a reseller's customers"})
    )
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    reason: Words


class Why(Given):
    """A reason: it is kept in the audit."""

    model_config = ConfigDict(json_schema_extra=example({"reason": "support sees complaints"}))
    reason: Words


class Because(Given):
    """Undo across plans, by what they were made for: `signal:X`, `detector@v`, `entity:ip:…`, `source:S`."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"because": "signal:shared_device", "since": AT, "reason": "a library's machines"}
        )
    )
    because: Cause
    since: GivenMoment | None = None
    reason: Words
