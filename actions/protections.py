"""The protected list: organizations that plans leave out unless a person names them with a second reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from actions.ledger import Reading, Tx, subjects, verdicts
from actions.model import ORGANIZATION, Principal
from actions.refusals import Refusal


@dataclass(frozen=True)
class Protection:
    """One entry of the list; `ends_at` None: until somebody ends it."""

    id: int
    org_id: str
    reason: str
    created_by: str
    created_at: datetime
    ends_at: datetime | None


def protect(
    tx: Tx, org_id: str, principal: Principal, *, reason: str, ends_at: datetime | None = None
) -> None:
    """Put an organization on the list; members that still wait in a plan are skipped when their turn comes."""
    principal.require("operator", "approver", "admin")
    if not reason.strip():
        raise Refusal("bad_request", "a protection needs a reason", "Say why.")
    subject_id = subjects.ensure(tx, ORGANIZATION, [org_id])[org_id]
    verdicts.add_protection(
        tx, subject_id=subject_id, reason=reason, created_by=principal.id, ends_at=ends_at
    )
    name = subjects.audit_names(tx, [subject_id])[subject_id]
    tx.audit("organization.protected", principal, why=reason, details={"organization": name})


def unprotect(tx: Tx, org_id: str, principal: Principal, *, reason: str) -> None:
    """Take an organization off the list: a person who may approve does."""
    principal.require("approver", "admin")
    known = subjects.ids_of(tx, ORGANIZATION, [org_id])
    if org_id not in known or not verdicts.end_protections(tx, known[org_id], principal.id):
        raise Refusal("not_found", "this organization is not protected", "")
    name = subjects.audit_names(tx, [known[org_id]])[known[org_id]]
    tx.audit("organization.unprotected", principal, why=reason, details={"organization": name})


def listed(reading: Reading, *, after: int = 0, limit: int = 100) -> list[Protection]:
    """Protections that hold now, by number, after `after`."""
    rows = verdicts.list_protections(reading, after=after, limit=limit)
    return [
        Protection(
            row["id"], row["name"], row["reason"], row["created_by"], row["created_at"], row["ends_at"]
        )
        for row in rows
    ]
