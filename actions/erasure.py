"""Forgetting a name: the ledger and its audit keep what was done, and no longer to whom."""

from __future__ import annotations

from actions.ledger import Ledger, Tx, answers, forgetting, subjects
from actions.ledger.chain import PRINCIPAL
from actions.model import ORGANIZATION, Principal
from actions.refusals import Refusal


def erase_organization(tx: Tx, org_id: str, principal: Principal, *, reason: str = "") -> str:
    """Take an organization's name away, for good; the audit name under which it stays.

    One that the ledger never heard of gets an audit name first: that it was erased is on record, too. What restricts
    it ends without an effect: nobody could be told about whom. Restore it first if that matters. Afterwards
    `Ledger.vacuum` overwrites what the files still hold.
    """
    principal.require("admin")
    if not principal.person:
        raise Refusal("not_a_person", "only people erase for good", "Sign in as an admin.")
    audit_name = subjects.audit_names_of(tx, ORGANIZATION, [org_id])[org_id]
    tx.audit("organization.erased", principal, why=reason, details={"organization": audit_name})
    subjects.erase(tx, ORGANIZATION, org_id)
    forgetting.end_everything(tx, audit_name)
    forgetting.leave_out(tx, org_id, audit_name)
    answers.forget(tx, tx.now, naming=org_id)
    return audit_name


def erase_person(tx: Tx, person_id: str, principal: Principal) -> str:
    """Take a person's id away from everything that they did."""
    principal.require("admin")
    audit_name = subjects.erase(tx, PRINCIPAL, person_id)
    if audit_name is None:
        raise Refusal("not_found", "the ledger does not know this person", "")
    forgetting.rename_person(tx, person_id, f"erased:{audit_name}")
    forgetting.leave_out(tx, person_id, audit_name)
    tx.audit("person.erased", principal, details={"person": audit_name})
    return audit_name


def overwrite(ledger: Ledger) -> None:
    """Have the files hold nothing of what was erased: free pages, the write-ahead log."""
    ledger.vacuum()
