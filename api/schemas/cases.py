"""Cases, saved views and the queue over the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from actions.cases import Case, CaseState, Change, Figures, Note
from actions.views import View
from api.schemas.base import AT, Answered, Given, GivenMoment, Moment, Words, example
from api.schemas.clusters import CLUSTER_ID, Sort

A_CASE = "case_0198c5a0-7e60-768e-a4ed-e7825bf3ac8b"
A_VIEW = "view_0198c5a0-7e60-768e-a4ed-e7825bf3ac8b"
StateName = Annotated[CaseState, Field(strict=False)]
Principal = Annotated[str, StringConstraints(pattern=r"^(user|local):[a-z0-9._@+-]{1,64}$")]

_NOTE = {
    "note_id": "note_0198c5a0-7e60-768e-a4ed-e7825bf3ac8b",
    "author": "user:ada",
    "at": AT,
    "text": "Called the bank.",
}
_CASE: dict[str, Any] = {
    "case_id": A_CASE,
    "cluster_id": "cl_iuyzaqhqd5",
    "clusters_now": ["cl_iuyzaqhqd5"],
    "state": "open",
    "assignee": "user:ada",
    "snoozed_until": None,
    "version": 1,
    "opened_by": "user:ada",
    "opened_at": AT,
    "changed_at": AT,
}


class CaseShown(Answered):
    """Who looks at a cluster, and how far they are. `clusters_now`: what became of it in the run that is shown."""

    model_config = ConfigDict(json_schema_extra=example(_CASE))
    case_id: str
    cluster_id: str
    clusters_now: list[str]
    state: CaseState
    assignee: str | None
    snoozed_until: Moment | None
    version: int
    opened_by: str
    opened_at: Moment
    changed_at: Moment

    @classmethod
    def of(cls, case: Case, clusters_now: list[str]) -> CaseShown:
        """From the ledger's."""
        return cls.model_validate({**vars(case), "clusters_now": clusters_now})


class NoteShown(Answered):
    """Something that somebody wrote down."""

    model_config = ConfigDict(json_schema_extra=example(_NOTE))
    note_id: str
    author: str
    at: Moment
    text: str

    @classmethod
    def of(cls, note: Note) -> NoteShown:
        """From the ledger's."""
        return cls.model_validate(vars(note))


class CaseDetail(Answered):
    """One case with its notes, the newest first."""

    model_config = ConfigDict(json_schema_extra=example({"case": _CASE, "notes": [_NOTE]}))
    case: CaseShown
    notes: list[NoteShown]


class CaseGiven(Given):
    """A cluster that somebody looks at from now on."""

    model_config = ConfigDict(
        json_schema_extra=example({"cluster_id": "cl_iuyzaqhqd5", "assignee": "user:ada"})
    )
    cluster_id: Annotated[str, StringConstraints(pattern=CLUSTER_ID)]
    assignee: Principal | None = None


class CaseChange(Given):
    """What is to be different, and the `version` that was seen. `unset` takes the assignee or the snooze away."""

    model_config = ConfigDict(
        json_schema_extra=example({"version": 1, "state": "in_review", "assignee": "user:ada"})
    )
    version: Annotated[int, Field(ge=1, le=2**31)]
    state: StateName | None = None
    assignee: Principal | None = None
    snoozed_until: GivenMoment | None = None
    unset: Annotated[list[Literal["assignee", "snoozed_until"]], Field(max_length=2)] = Field(
        default_factory=list
    )
    reason: Annotated[str, StringConstraints(max_length=2_000)] = ""

    @property
    def change(self) -> Change:
        """As the ledger understands it."""
        return Change(self.state, self.assignee, self.snoozed_until, frozenset(self.unset))


class NoteGiven(Given):
    """Something to write down; it is never changed."""

    model_config = ConfigDict(json_schema_extra=example({"text": "Called the bank."}))
    text: Words


class FiguresShown(Answered):
    """How the queue stands in one state; `oldest`: since when its oldest case is open."""

    state: CaseState
    cases: int
    unassigned: int
    snoozed: int
    oldest: Moment | None

    @classmethod
    def of(cls, figures: Figures) -> FiguresShown:
        """From the ledger's."""
        return cls.model_validate(vars(figures))


class QueueShown(Answered):
    """The queue in figures: cases by state, clusters of the run by risk, and what waits for somebody."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "cases": [{"state": "open", "cases": 3, "unassigned": 1, "snoozed": 0, "oldest": AT}],
                "clusters": {"high": 12, "medium": 7, "low": 60},
                "open_appeals": 1,
                "plans_awaiting_approval": 2,
                "banner": [],
            }
        )
    )
    cases: list[FiguresShown]
    clusters: dict[str, int]
    open_appeals: int
    plans_awaiting_approval: int
    banner: list[str]


class Filters(Given):
    """The filters and the order of the list of clusters."""

    sort: Sort = "risk"
    min_risk: Annotated[float, Field(ge=0, le=100, strict=False, allow_inf_nan=False)] = 0
    max_risk: Annotated[float, Field(ge=0, le=100, strict=False, allow_inf_nan=False)] = 100
    min_size: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    pattern: Annotated[str | None, StringConstraints(max_length=100)] = None
    q: Annotated[str | None, StringConstraints(max_length=200)] = None


class ViewGiven(Given):
    """A view to save, in place of one's own with this name."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"name": "big trial farms", "shared": True, "filters": {"pattern": "trial_farm", "min_size": 50}}
        )
    )
    name: Annotated[Words, StringConstraints(max_length=100)]
    shared: bool = False
    filters: Filters


class ViewShown(Answered):
    """A saved view; `mine`: only its owner changes or removes it."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "view_id": A_VIEW,
                "owner": "user:ada",
                "mine": True,
                "name": "big trial farms",
                "shared": True,
                "filters": {"pattern": "trial_farm", "min_size": 50},
                "saved_at": AT,
            }
        )
    )
    view_id: str
    owner: str
    mine: bool
    name: str
    shared: bool
    filters: Filters
    saved_at: Moment

    @classmethod
    def of(cls, view: View, asks: str) -> ViewShown:
        """From the ledger's."""
        return cls.model_validate({**vars(view), "filters": dict(view.filters), "mine": view.owner == asks})
