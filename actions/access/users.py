"""Users: made and changed by admins, never by themselves, and never without an admin left."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from actions import erasure
from actions.access import roles
from actions.ledger import Reading, Tx, people, subjects
from actions.ledger.chain import PRINCIPAL
from actions.ledger.people import Row
from actions.model import Principal
from actions.refusals import Refusal

OWNER = "local:owner"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._@+-]{0,62}[a-z0-9])?")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")


@dataclass(frozen=True)
class User:
    """One person. `signs_in_with`: any of `password`, `provider`; empty: by an invitation only."""

    user_id: str
    roles: frozenset[str]
    email: str | None
    signs_in_with: tuple[str, ...]
    created_by: str
    created_at: datetime
    disabled_at: datetime | None
    bound: bool = False
    """Whether they have signed in through the provider."""

    @property
    def principal(self) -> Principal:
        """As whom they act."""
        return Principal(self.user_id, self.roles, "local" if self.user_id == OWNER else "user")


def of_row(row: Row) -> User:
    """From the ledger."""
    ways = (("password", row["password"]), ("provider", row["email"] or row["subject"]))
    return User(
        row["user_id"],
        frozenset(row["roles"]),
        row["email"],
        tuple(name for name, there in ways if there),
        row["created_by"],
        row["created_at"],
        row["disabled_at"],
        row["subject"] is not None,
    )


def get(reading: Reading, user_id: str) -> User:
    """One user. Raises Refusal."""
    return of_row(_row(reading, user_id))


def listed(reading: Reading, *, after: str = "", limit: int = 100) -> list[User]:
    """Users by id, after `after`."""
    return [of_row(row) for row in people.list_users(reading, after=after, limit=limit)]


def approvers(reading: Reading, *, local: bool = False) -> int:
    """How many people may approve, and can sign in; this machine's owner only where they are let in."""
    found = (of_row(row) for row in people.enabled(reading))
    return sum(
        "approver" in each.roles and (local if each.user_id == OWNER else bool(each.signs_in_with))
        for each in found
    )


def create(
    tx: Tx,
    name: str,
    wanted: Iterable[str],
    principal: Principal,
    *,
    email: str | None = None,
    password_hash: str | None = None,
) -> User:
    """A new user `user:NAME`; the name is for good. `email` allows a first sign-in through the provider.

    Hash the password before the transaction (`passwords.hashed`): it takes a while.
    """
    roles.require_admin(principal)
    if not _NAME.fullmatch(name):
        raise Refusal("bad_request", "this is no name for a user", "Use up to 64 of a-z 0-9 . _ @ + -")
    return _add(tx, f"user:{name}", roles.checked(wanted), principal, _address(email), password_hash)


def owner(tx: Tx, *, single_operator: bool) -> User:
    """Whoever owns this machine. They approve lasting actions only in single-operator mode."""
    wanted = sorted(set(roles.ROLES) - (set() if single_operator else {"approver"}))
    row = people.user(tx, OWNER)
    if row is None:
        return _add(tx, OWNER, wanted, Principal(OWNER, frozenset(wanted), "local"), None, None)
    if row["roles"] != wanted:
        people.change_user(tx, OWNER, roles=wanted)
        _audit(tx, "user.roles_changed", Principal(OWNER, frozenset(wanted), "local"), OWNER, roles=wanted)
    return get(tx, OWNER)


def first_admin(tx: Tx, password_hash: str, name: str = "admin") -> User | None:
    """The admin that a new installation starts with; None where there is one already."""
    if any("admin" in row["roles"] and row["user_id"] != OWNER for row in people.enabled(tx)):
        return None
    installer = Principal("system:install", frozenset({"admin"}), "local")
    return _add(tx, f"user:{name}", ["admin"], installer, None, password_hash)


def set_roles(tx: Tx, user_id: str, wanted: Iterable[str], principal: Principal) -> User:
    """Other roles, from the next request on. Nobody changes their own."""
    row = _someone_else(tx, user_id, principal)
    now = roles.checked(wanted)
    if "admin" not in now:
        _keep_an_admin(tx, user_id)
    people.change_user(tx, user_id, roles=now)
    _audit(tx, "user.roles_changed", principal, user_id, before=row["roles"], roles=now)
    return get(tx, user_id)


def set_email(tx: Tx, user_id: str, email: str | None, principal: Principal) -> User:
    """Bind anew: the next sign-in through the provider with this address is theirs, and none before it."""
    _someone_else(tx, user_id, principal)
    address = _address(email)
    holder = None if address is None else people.user_with(tx, address)
    if holder is not None and holder["user_id"] != user_id:
        raise Refusal("taken", "another user has this address", "Give each user an address of their own.")
    people.change_user(tx, user_id, email=address, issuer=None, subject=None)
    people.end_sessions(tx, user_id)
    _audit(tx, "user.rebound", principal, user_id)
    return get(tx, user_id)


def disable(tx: Tx, user_id: str, principal: Principal, *, reason: str) -> User:
    """End a user's sessions and let no new one begin."""
    _someone_else(tx, user_id, principal)
    _keep_an_admin(tx, user_id)
    people.change_user(tx, user_id, disabled_at=tx.now)
    people.end_sessions(tx, user_id)
    people.end_invitations(tx, user_id)
    _audit(tx, "user.disabled", principal, user_id, why=reason)
    return get(tx, user_id)


def enable(tx: Tx, user_id: str, principal: Principal, *, reason: str) -> User:
    """Let a disabled user in again."""
    _someone_else(tx, user_id, principal)
    people.change_user(tx, user_id, disabled_at=None, failures=0, failed_at=None)
    _audit(tx, "user.enabled", principal, user_id, why=reason)
    return get(tx, user_id)


def set_password(tx: Tx, user_id: str, password_hash: str, principal: Principal, *, keep: str = "") -> None:
    """A new password, by an admin or by the user; ends the user's sessions but the one with the digest `keep`."""
    if principal.id != user_id:
        roles.require_admin(principal)
    elif not principal.person:
        raise Refusal("not_a_person", "only people have passwords", "Sign in.")
    _row(tx, user_id)
    people.change_user(tx, user_id, password=password_hash, failures=0, failed_at=None)
    people.end_sessions(tx, user_id, but=keep or None)
    people.end_invitations(tx, user_id)
    _audit(tx, "user.password_changed", principal, user_id)


def erase(tx: Tx, user_id: str, principal: Principal) -> str:
    """Take a person's name away everywhere; the audit name under which what they did stays."""
    _someone_else(tx, user_id, principal)
    _keep_an_admin(tx, user_id)
    known = subjects.audit_names_of(tx, PRINCIPAL, [user_id])[user_id]
    people.forget_user(tx, user_id, f"erased:{known}")
    return erasure.erase_person(tx, user_id, principal)


def _add(
    tx: Tx,
    user_id: str,
    given: list[str],
    principal: Principal,
    email: str | None,
    password_hash: str | None,
) -> User:
    if people.user(tx, user_id) is not None or (email and people.user_with(tx, email) is not None):
        raise Refusal("taken", "there is a user with this name or address", "Choose another.")
    people.add_user(
        tx, user_id=user_id, roles=given, password=password_hash, email=email, created_by=principal.id
    )
    _audit(tx, "user.created", principal, user_id, roles=given)
    return get(tx, user_id)


def _row(reading: Reading, user_id: str) -> Row:
    row = people.user(reading, user_id)
    if row is None:
        raise Refusal("not_found", "there is no such user", "List the users.")
    return row


def _someone_else(tx: Tx, user_id: str, principal: Principal) -> Row:
    roles.require_admin(principal)
    if user_id == principal.id:
        raise Refusal("forbidden", "nobody changes their own access", "Ask another admin.")
    return _row(tx, user_id)


def _keep_an_admin(tx: Tx, without: str) -> None:
    if not any("admin" in row["roles"] and row["user_id"] != without for row in people.enabled(tx)):
        raise Refusal("wrong_state", "this is the last admin", "Make another user admin first.")


def _address(email: str | None) -> str | None:
    if email is None:
        return None
    if not _EMAIL.fullmatch(email) or not email.isprintable():
        raise Refusal("bad_request", "this is no e-mail address", "It looks like name@example.com")
    return email.casefold()


def _audit(
    tx: Tx, verb: str, principal: Principal, user_id: str, *, why: str = "", **details: object
) -> None:
    """Users are named by their audit names, so that an erasure reaches these entries."""
    known = subjects.audit_names_of(tx, PRINCIPAL, [user_id])[user_id]
    tx.audit(verb, principal, why=why, details={"person": known, **details})
