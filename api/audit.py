"""Where it is written that somebody looked at what is masked, or took something out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import structlog

from actions.model import Principal


class AuditTrail(Protocol):
    """The audit as routes see it. Where it cannot be written it raises, and then nothing is shown."""

    def record(self, principal: Principal, what: str, why: str, about: Mapping[str, Any]) -> None:
        """Keep who did what, why, and about which thing. No raw identifier is among it."""


class LoggedAudit:
    """An audit in the log alone: for one person on their own machine, who needs no witness."""

    def __init__(self, log: structlog.stdlib.BoundLogger) -> None:
        self._log = log

    def record(self, principal: Principal, what: str, why: str, about: Mapping[str, Any]) -> None:
        """See `AuditTrail.record`."""
        self._log.info("audit", principal=principal.id, what=what, why=why, about=dict(about))
