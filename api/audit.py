"""Where it is written that somebody looked at what is masked, or took something out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from actions import audit
from actions.ledger import Ledger
from actions.model import Principal


class AuditTrail(Protocol):
    """The audit as routes see it. Where it cannot be written it raises, and then nothing is shown."""

    def record(
        self,
        principal: Principal,
        what: str,
        why: str,
        about: Mapping[str, Any],
        organizations: Sequence[str] = (),
    ) -> None:
        """Keep who did what, why, about which thing and which organizations. No raw identifier is among it."""


class LedgerAudit:
    """The ledger's chain of entries."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def record(
        self,
        principal: Principal,
        what: str,
        why: str,
        about: Mapping[str, Any],
        organizations: Sequence[str] = (),
    ) -> None:
        """See `AuditTrail.record`. Raises Refusal."""
        with self._ledger.transaction() as tx:
            audit.record(tx, what, principal, why=why, about=about, organizations=organizations)
