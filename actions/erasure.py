"""Forgetting a name: the ledger and its audit keep what was done, and no longer to whom."""

from __future__ import annotations

from actions.ledger import Ledger, Tx, answers, forgetting, subjects
from actions.ledger.chain import PRINCIPAL
from actions.model import ORGANIZATION, Principal
from actions.refusals import Refusal


def erase_organization(tx: Tx, org_id: str, principal: Principal) -> str:
    """Take an organization's name away, for good; the audit name under which it stays.

    What restricts it ends without an effect: nobody could be told about whom. Restore it first if that matters.
    Afterwards `Ledger.vacuum` overwrites what the files still hold.
    """
    principal.require("admin")
    audit_name = subjects.erase(tx, ORGANIZATION, org_id)
    if audit_name is None:
        raise Refusal("not_found", "the ledger does not know this organization", "")
    forgetting.end_everything(tx, audit_name)
    answers.forget(tx, tx.now, naming=org_id)
    tx.audit("organization.erased", principal, details={"organization": audit_name})
    return audit_name


def erase_person(tx: Tx, person_id: str, principal: Principal) -> str:
    """Take a person's id away from everything that they did."""
    principal.require("admin")
    audit_name = subjects.erase(tx, PRINCIPAL, person_id)
    if audit_name is None:
        raise Refusal("not_found", "the ledger does not know this person", "")
    forgetting.rename_person(tx, person_id, f"erased:{audit_name}")
    tx.audit("person.erased", principal, details={"person": audit_name})
    return audit_name


def overwrite(ledger: Ledger) -> None:
    """Have the files hold nothing of what was erased: free pages, the write-ahead log."""
    ledger.vacuum()
