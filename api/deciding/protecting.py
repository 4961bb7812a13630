"""Protections take hold at once: the ledger knows them before the next run does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from actions import protections
from actions.refusals import Refusal
from api.deciding.desk import opened
from graph.home import Home


def at_once(home: Home, events: Sequence[Mapping[str, Any]]) -> None:
    """Put organizations on the ledger's protected list, or take them off, as these `organization_protected` events say.

    Plans that already wait skip them when their turn comes.
    """
    with opened(home) as desk, desk.ledger.transaction() as tx:
        for event in events:
            if event.get("action") != "end":
                protections.protect(tx, event["org_id"], desk.principal, reason=event["reason"])
                continue
            with suppress(Refusal):  # it was not on this list
                protections.unprotect(tx, event["org_id"], desk.principal, reason=event["reason"])
