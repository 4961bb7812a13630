"""The audit over the wire."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, JsonValue

from actions.audit import Checkpoint, Entry, Verified
from api.schemas.base import AT, Answered, Moment, example

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


class AuditCheckpoint(Answered):
    """A signature of the chain up to the entry `seq`, whose hash is `hash`."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "seq": 10,
                "hash": "5f1c" * 16,
                "at": AT,
                "key_id": "0a1b2c3d",
                "algorithm": "ed25519",
                "signature": "00ff" * 32,
            }
        )
    )
    seq: int
    hash: str
    at: Moment
    key_id: str
    algorithm: str
    signature: str

    @classmethod
    def of(cls, kept: Checkpoint) -> AuditCheckpoint:
        """From the ledger's."""
        return cls.model_validate(vars(kept))


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
