"""Roles, and what each of them may (`actions.md`, Access)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from actions.model import Principal
from actions.refusals import Refusal

_VIEWER = frozenset({"read"})
_ANALYST = _VIEWER | {"reveal", "annotate", "draft"}

ROLES: Mapping[str, frozenset[str]] = {
    "ingester": frozenset({"ingest"}),
    "viewer": _VIEWER,
    "analyst": _ANALYST,
    "operator": _ANALYST | {"operate", "judge", "guard", "halt"},
    "approver": _VIEWER | {"approve", "judge", "guard", "unguard"},
    "auditor": _VIEWER | {"audit", "export"},
    "admin": _VIEWER | {"administer", "guard", "unguard", "halt"},
}
"""Role to permissions. Roles are sets that a user may combine; all but ingester include viewer."""

FOR_TOKENS = frozenset(ROLES) - {"approver", "admin"}
"""Approving and handing out access take a person."""


def permissions(principal: Principal) -> frozenset[str]:
    """All that a principal may."""
    return frozenset().union(*(ROLES.get(role, frozenset()) for role in principal.roles))


def checked(roles: Iterable[str], *, among: frozenset[str] = frozenset(ROLES)) -> list[str]:
    """Roles in the order in which they are kept. Raises Refusal for one that does not exist, or for none."""
    wanted = set(roles)
    if not wanted or not wanted <= among:
        raise Refusal(
            "bad_request",
            "these are no roles that can be given here" if wanted else "no role was named",
            f"There are {', '.join(sorted(among))}.",
        )
    return sorted(wanted)


def require_admin(principal: Principal) -> None:
    """Raises Refusal unless a person with the role asks: no token changes who may do what."""
    principal.require("admin")
    if not principal.person:
        raise Refusal("not_a_person", "only people change who may do what", "Sign in as an admin.")
