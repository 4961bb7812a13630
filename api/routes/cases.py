"""Cases on clusters: who looks at which, how far they are, what they wrote down; and the queue in figures."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from actions import cases
from actions.cases import Case, CaseState
from actions.ledger import plans, verdicts
from api.auth.permissions import Permission
from api.deciding import answers
from api.http.guard import Routes
from api.http.problems import Problem
from api.reads import Reads
from api.routes.needs import After, CursorsOf, DeskOf, Limit, ReadsOf
from api.schemas.base import Page
from api.schemas.cases import (
    A_CASE,
    CaseChange,
    CaseDetail,
    CaseGiven,
    CaseShown,
    FiguresShown,
    NoteGiven,
    NoteShown,
    QueueShown,
)
from graph.lineage import UnknownClusterError, lineage
from graph.store import ClusterFilter, ClusterOrder

routes = Routes("cases")
CaseId = Annotated[
    str, Path(pattern=r"^case_[0-9a-f-]{8,64}$", description="A case's id.", examples=[A_CASE])
]
BANDS = {"high": (80.0, 100.0), "medium": (50.0, 79.999), "low": (0.0, 49.999)}
"""Risks as the list of clusters colours them."""


@routes.changes("/cases", Permission.ANNOTATE, status_code=201, once=True, problems=("not_found", "taken"))
def open_case(desk: DeskOf, reads: ReadsOf, given: CaseGiven) -> CaseShown:
    """Open the case of a cluster. There is one for each, for good."""
    reads.cluster(given.cluster_id)
    with desk.ledger.transaction() as tx:
        return _shown(reads, cases.open_case(tx, given.cluster_id, desk.principal, assignee=given.assignee))


@routes.reads("/cases")
def list_cases(
    desk: DeskOf,
    reads: ReadsOf,
    cursors: CursorsOf,
    state: Annotated[list[CaseState] | None, Query(description="Only cases in these states.")] = None,
    assignee: Annotated[
        str | None, Query(max_length=80, description="Only those of one person; empty: of nobody.")
    ] = None,
    awake: Annotated[bool, Query(description="Only those that are not snoozed now.")] = False,
    after: After = None,
    limit: Limit = 50,
) -> Page[CaseShown]:
    """Cases, the newest first."""
    states = sorted(set(state or ()))
    asked = ["cases", states, assignee, awake]
    before = None if after is None else cursors.read(asked, after)
    with desk.ledger.reading() as reading:
        found = cases.listed(
            reading, states=states, assignee=assignee, awake=awake, before=before, limit=limit + 1
        )
    page, following = cursors.cut(asked, found, limit, lambda last: last.case_id)
    return Page(items=[_shown(reads, each) for each in page], next=following)


@routes.reads("/cases/{case_id}")
def get_case(desk: DeskOf, reads: ReadsOf, case_id: CaseId) -> CaseDetail:
    """One case with its notes."""
    with desk.ledger.reading() as reading:
        found, notes = cases.get(reading, case_id), cases.notes(reading, case_id)
    return CaseDetail(case=_shown(reads, found), notes=[NoteShown.of(each) for each in notes])


@routes.changes("/cases/{case_id}", Permission.ANNOTATE, once=True, problems=("wrong_state", "bad_request"))
def change_case(desk: DeskOf, reads: ReadsOf, case_id: CaseId, given: CaseChange) -> CaseShown:
    """Change a case as it was seen: its state, whose it is, until when it sleeps."""
    with desk.ledger.transaction() as tx:
        changed = cases.change(
            tx, case_id, desk.principal, given.change, version=given.version, reason=given.reason
        )
    return _shown(reads, changed)


@routes.changes("/cases/{case_id}/notes", Permission.ANNOTATE, status_code=201, once=True, problems=("cap",))
def add_note(desk: DeskOf, case_id: CaseId, given: NoteGiven) -> NoteShown:
    """Write something down."""
    with desk.ledger.transaction() as tx:
        return NoteShown.of(cases.note(tx, case_id, desk.principal, given.text))


@routes.reads("/queue")
def queue(desk: DeskOf, reads: ReadsOf) -> QueueShown:
    """The queue in figures: cases by state, clusters by risk, what waits for somebody, what everybody has to see."""
    with desk.ledger.reading() as reading:
        return QueueShown(
            cases=[FiguresShown.of(each) for each in cases.figures(reading)],
            clusters={name: _clusters(reads, *band) for name, band in BANDS.items()},
            open_appeals=verdicts.count_open_appeals(reading),
            plans_awaiting_approval=plans.count_awaiting(reading),
            banner=answers.banner(reading),
        )


def _clusters(reads: Reads, low: float, high: float) -> int:
    where = ClusterFilter(low, high, 0, None, None)
    try:
        return reads.store().clusters(where, order=ClusterOrder.RISK, after=None, limit=1).total or 0
    except Problem:  # nothing is published yet
        return 0


def _shown(reads: Reads, case: Case) -> CaseShown:
    try:
        known = lineage(reads.home.runs, case.cluster_id, until=reads.run_id())
        now = [case.cluster_id] if known.alive else list(known.successors)
    except (UnknownClusterError, Problem):
        now = []
    return CaseShown.of(case, now)
