"""What a detector is: one declaration and one SELECT."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from typing import Literal

from detection import signals

Group = Literal["common", "trial_farm", "key_resale", "promo_ring", "referral_ring", "serial"]
EvidenceClass = Literal["unilateral", "mutual", "verified"]

COLUMNS = ("cluster", "org", "value", "kind", "key", "happened_at", "count")
"""What a detector's SELECT returns, a row for each member that it can judge: the member, a value from 0 (as innocent
as can be) to 1, and the row behind it: kind and key of an identifier (or null), when (microseconds), how many."""

SIGNAL_ROWS = (
    "signal VARCHAR, cluster BIGINT, org INTEGER, value DOUBLE,"
    " kind VARCHAR, key UUID, happened_at BIGINT, count BIGINT"
)
"""The columns of the table that holds what all detectors returned, under their ids."""


MEMBER_TABLES = (
    "member_links",
    "member_activity",
    "member_addresses",
    "member_clients",
    "member_hours",
    "member_moments",
    "known_bad",
)
"""What is gathered about members for the detectors alone, each by the stage of its name."""
TABLES = frozenset({*MEMBER_TABLES, "members", "organizations", "referrals"})
"""What a detector may read."""


@dataclass(frozen=True)
class Detector:
    """One signal.

    `title` names it, `meaning` says in plain words what it may tell of a group, `fact` is a sentence with the
    places {affected} and {eligible}. `reads` names the tables of its SELECT, all of `TABLES` (see queries/sql).
    `group` is the pattern that it speaks for; `common` signals speak for none. A member counts as affected from a value
    of one half on. `innocent` says who looks alike without doing anything wrong.
    """

    id: str
    title: str
    meaning: str
    fact: str
    group: Group
    evidence_class: EvidenceClass
    reads: tuple[str, ...]
    sql: str
    innocent: str = ""


@cache
def detectors() -> tuple[Detector, ...]:
    """Every detector of `detection/signals`, one a file, sorted by id."""
    found = []
    for module in pkgutil.iter_modules(signals.__path__):
        found.append(importlib.import_module(f"{signals.__name__}.{module.name}").DETECTOR)
    return tuple(sorted(found, key=lambda detector: detector.id))


def sharing(kind: str, at_least: int = 2) -> str:
    """The SELECT of a detector for members that share an identifier of `kind` with others of their group.

    `kind` is a constant of the calling detector. A member that has no such identifier is not judged; what is a place
    is shared with nobody.
    """
    return f"""
        SELECT
            cluster,
            org,
            MAX(CASE WHEN sharers >= {at_least} AND NOT place THEN 1.0 ELSE 0.0 END) AS value,
            '{kind}' AS kind,
            MAX_BY(key, {{'n': CASE WHEN place THEN 0 ELSE sharers END, 'k': key}}) AS key,
            MIN(first_at) AS happened_at,
            MAX(sharers) AS count
        FROM member_links
        WHERE kind = '{kind}'
        GROUP BY cluster, org
    """
