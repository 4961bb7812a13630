"""What a role may: every route names one permission, and a role has it or not."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

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
    APPROVE = "approve"
    AUDIT = "audit"
    EXPORT = "export"
    ADMINISTER = "administer"


_VIEWER = frozenset({Permission.READ})
_ANALYST = _VIEWER | {Permission.REVEAL, Permission.ANNOTATE, Permission.DRAFT}

ROLES: Mapping[str, frozenset[Permission]] = {
    "ingester": frozenset({Permission.INGEST}),
    "viewer": _VIEWER,
    "analyst": _ANALYST,
    "operator": _ANALYST | {Permission.OPERATE},
    "approver": _VIEWER | {Permission.APPROVE},
    "auditor": _VIEWER | {Permission.AUDIT, Permission.EXPORT},
    "admin": _VIEWER | {Permission.ADMINISTER},
}
"""Roles are sets that a user may combine; all but ingester include viewer."""


def permissions(principal: Principal) -> frozenset[Permission]:
    """All that a principal may."""
    return frozenset().union(*(ROLES.get(role, frozenset()) for role in principal.roles))


def may(principal: Principal, permission: Permission) -> bool:
    """Whether a principal has a permission."""
    return permission is Permission.PUBLIC or permission in permissions(principal)


def require(principal: Principal, permission: Permission) -> None:
    """Raises Problem (403) where a principal has not the permission."""
    if not may(principal, permission):
        roles = " or ".join(role for role, allowed in ROLES.items() if permission in allowed)
        raise Problem("forbidden", "your roles do not allow this", f"It takes the role {roles}.")
