"""The audit over the wire."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, JsonValue

from actions.audit import Entry, Verified
from api.schemas.base import AT, Answered, example

_CONTENT: dict[str, Any] = {
    "seq": 12,
    "at": AT,
    "actor": "s_0a1b2c3d",
    "verb": "plan.approved",
    "plan": "plan_0198c5a0-7e60-768e-a4ed-e7825bf3ac8b",
    "why": "opened ten",
    "details": {},
    "previous": "9f2c" * 16,
}


class AuditEntry(Answered):
    """One entry: `content` is what was hashed; `names` says who is behind its audit names, where that is still kept."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"seq": 12, "hash": "5f1c" * 16, "content": _CONTENT, "names": {"s_0a1b2c3d": "user:ada"}}
        )
    )
    seq: int
    hash: str
    content: dict[str, JsonValue]
    names: dict[str, str]

    @classmethod
    def of(cls, entry: Entry) -> AuditEntry:
        """From the ledger's."""
        return cls.model_validate({**vars(entry), "content": dict(entry.content), "names": dict(entry.names)})


class AuditVerified(Answered):
    """Whether every entry is there, unchanged, in order, and signed up to which."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "intact": True,
                "entries": 12,
                "checkpoints": 2,
                "signed_up_to": 10,
                "head": "5f1c" * 16,
                "problems": [],
            }
        )
    )
    intact: bool
    entries: int
    checkpoints: int
    signed_up_to: int
    head: str
    problems: list[str]

    @classmethod
    def of(cls, found: Verified) -> AuditVerified:
        """From the verifier's."""
        return cls.model_validate({"intact": not found.problems, **vars(found)})
