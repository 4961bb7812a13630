"""What is in force now against one organization, and for entities at the door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actions.ledger import Reading, subjects
from actions.model import ORGANIZATION, restrictions


@dataclass(frozen=True)
class Standing:
    """Restrictions by name, and whether the organization is on the protected list."""

    restrictions: frozenset[str] = frozenset()
    protected: bool = False


def of(reading: Reading, org_id: str) -> Standing:
    """The standing of an organization; nothing for one that the ledger does not know."""
    row = subjects.in_force(reading, ORGANIZATION, org_id)
    if row is None:
        return Standing()
    return Standing(frozenset(restrictions(row["mask"])), row["protected"] is not None)


def entities(reading: Reading) -> list[Mapping[str, Any]]:
    """Every entity on which something is in force: its kind, name and restrictions."""
    return [
        {"kind": row["kind"], "name": row["name"], "restrictions": restrictions(row["mask"])}
        for row in subjects.restricted_entities(reading)
    ]
