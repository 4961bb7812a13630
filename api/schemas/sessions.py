"""Sessions over the wire."""

from __future__ import annotations

from pydantic import ConfigDict

from actions.model import Principal
from api.auth.permissions import permissions
from api.schemas.base import Answered, example


class Session(Answered):
    """Who asks, and what they may."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"principal": "local:owner", "kind": "local", "roles": ["viewer"], "permissions": ["read"]}
        )
    )
    principal: str
    kind: str
    roles: list[str]
    permissions: list[str]

    @classmethod
    def of(cls, principal: Principal) -> Session:
        """From the principal."""
        allowed = sorted(one.value for one in permissions(principal))
        return cls(
            principal=principal.id, kind=principal.kind, roles=sorted(principal.roles), permissions=allowed
        )
