"""What a role may: every route names one permission, and a role has it or not."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from actions.access import roles
from actions.model import Principal
from api.http.problems import Problem


class Permission(StrEnum):
    """What a route may declare. `PUBLIC` needs nobody to ask."""

    PUBLIC = "public"
    READ = "read"
    REVEAL = "reveal"
    INGEST = "ingest"
    ANNOTATE = "annotate"
    DRAFT = "draft"
    OPERATE = "operate"
    JUDGE = "judge"
    """Decide appeals."""
    GUARD = "guard"
    """Protect organizations; propose, confirm and end incidents."""
    UNGUARD = "unguard"
    """End protections."""
    HALT = "halt"
    """Turn the kill switch on and off."""
    APPROVE = "approve"
    AUDIT = "audit"
    EXPORT = "export"
    ADMINISTER = "administer"


ROLES: Mapping[str, frozenset[Permission]] = {
    role: frozenset(Permission(each) for each in allowed) for role, allowed in roles.ROLES.items()
}
"""What each role may, as routes say it."""


def permissions(principal: Principal) -> frozenset[Permission]:
    """All that a principal may."""
    return frozenset(Permission(each) for each in roles.permissions(principal))


def may(principal: Principal, permission: Permission) -> bool:
    """Whether a principal has a permission."""
    return permission is Permission.PUBLIC or permission in permissions(principal)


def require(principal: Principal, permission: Permission) -> None:
    """Raises Problem (403) where a principal has not the permission."""
    if not may(principal, permission):
        able = " or ".join(role for role, allowed in ROLES.items() if permission in allowed)
        raise Problem("forbidden", "your roles do not allow this", f"It takes the role {able}.")
