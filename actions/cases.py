"""Cases: who looks at which cluster, how far they are, and what they wrote down."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from actions import ids
from actions.ledger import Reading, Tx, casework
from actions.model import Principal
from actions.refusals import Refusal

MOST_NOTES = 1_000
LONGEST_SNOOZE = timedelta(days=90)


class CaseState(StrEnum):
    """How far somebody is with a cluster."""

    OPEN = "open"
    IN_REVIEW = "in_review"
    MONITORING = "monitoring"
    ACTIONED = "actioned"
    DISMISSED = "dismissed"


CLOSED = (CaseState.ACTIONED, CaseState.DISMISSED)


@dataclass(frozen=True)
class Case:
    """One case. `version` rises with each change: whoever changes it says which one they saw."""

    case_id: str
    cluster_id: str
    state: CaseState
    assignee: str | None
    snoozed_until: datetime | None
    version: int
    opened_by: str
    opened_at: datetime
    changed_at: datetime


@dataclass(frozen=True)
class Note:
    """Something that somebody wrote down."""

    note_id: str
    author: str
    at: datetime
    text: str


@dataclass(frozen=True)
class Figures:
    """How the queue stands, for one state."""

    state: CaseState
    cases: int
    unassigned: int
    snoozed: int
    oldest: datetime | None


@dataclass(frozen=True)
class Change:
    """What is to be different; `unset` names what is to be nobody, or no longer snoozed."""

    state: CaseState | None = None
    assignee: str | None = None
    snoozed_until: datetime | None = None
    unset: frozenset[str] = frozenset()


def open_case(tx: Tx, cluster_id: str, principal: Principal, *, assignee: str | None = None) -> Case:
    """Open the case of a cluster. Raises Refusal where there is one: a case is never opened twice."""
    known = casework.case_of(tx, cluster_id)
    if known is not None:
        raise Refusal("taken", f"{known['case_id']} is the case of {cluster_id}", "Change that one.")
    case_id = ids.new_id("case", tx.now)
    casework.add_case(
        tx,
        case_id=case_id,
        cluster_id=cluster_id,
        state=CaseState.OPEN,
        assignee=assignee,
        opened_by=principal.id,
    )
    tx.audit("case.opened", principal, details={"case": case_id, "cluster": cluster_id})
    return get(tx, case_id)


def change(
    tx: Tx, case_id: str, principal: Principal, wanted: Change, *, version: int, reason: str = ""
) -> Case:
    """Change a case as it was seen. Raises Refusal where somebody else changed it meanwhile, or for a long snooze."""
    get(tx, case_id)
    if wanted.snoozed_until is not None and not tx.now < wanted.snoozed_until <= tx.now + LONGEST_SNOOZE:
        raise Refusal(
            "bad_request", f"a case sleeps for {LONGEST_SNOOZE.days} days at most", "Name a time within them."
        )
    values: dict[str, Any] = {
        name: value
        for name in ("state", "assignee", "snoozed_until")
        if (value := getattr(wanted, name)) is not None
    }
    values |= dict.fromkeys(wanted.unset)
    if not values:
        raise Refusal("bad_request", "nothing is to be changed", "Name a state, an assignee or a snooze.")
    if not casework.change_case(tx, case_id, version, **values):
        raise Refusal("wrong_state", "somebody changed this case meanwhile", "Look at it again.")
    details = {"case": case_id, **{name: str(value) for name, value in values.items()}}
    tx.audit("case.changed", principal, why=reason, details=details)
    return get(tx, case_id)


def note(tx: Tx, case_id: str, principal: Principal, text: str) -> Note:
    """Write something down. Notes are never changed."""
    get(tx, case_id)
    if len(casework.notes(tx, case_id, MOST_NOTES)) == MOST_NOTES:
        raise Refusal("cap", f"a case has {MOST_NOTES:,} notes at most", "Summarise them elsewhere.")
    note_id = ids.new_id("note", tx.now)
    casework.add_note(tx, note_id=note_id, case_id=case_id, author=principal.id, text=text)
    tx.audit("case.noted", principal, details={"case": case_id, "note": note_id})
    return Note(note_id, principal.id, tx.now, text)


def get(reading: Reading, case_id: str) -> Case:
    """One case. Raises Refusal."""
    row = casework.case(reading, case_id)
    if row is None:
        raise Refusal("not_found", f"there is no case {case_id!r}", "List the cases.")
    return _case(row)


def notes(reading: Reading, case_id: str) -> list[Note]:
    """The notes of a case, the newest first."""
    rows = casework.notes(reading, case_id, MOST_NOTES)
    return [Note(row["note_id"], row["author"], row["at"], row["text"]) for row in rows]


def listed(reading: Reading, **where: Any) -> list[Case]:
    """Cases, the newest first; see `ledger.casework.list_cases` for the filters."""
    return [_case(row) for row in casework.list_cases(reading, **where)]


def figures(reading: Reading) -> list[Figures]:
    """How the queue stands, state by state; states without a case, too."""
    known = {row["state"]: row for row in casework.count_cases(reading)}
    found = []
    for state in CaseState:
        row = known.get(state)
        if row is None:
            found.append(Figures(state, 0, 0, 0, None))
        else:
            found.append(Figures(state, row["cases"], row["unassigned"], row["snoozed"], row["oldest"]))
    return found


def _case(row: Any) -> Case:
    return Case(**{**row, "state": CaseState(row["state"])})
