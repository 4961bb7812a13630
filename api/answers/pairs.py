"""Why two organizations belong together, or what ties one of them to anybody."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from api.answers.admission import Standing, standing
from api.answers.reading import Row, RunReader, key_bytes, require

FARTHEST = 6
"""Longest path, in ties, that is looked for: beyond it a connection explains nothing."""

LOOKS = {"payment_bin": "cards of one issuer and sort"}
"""What people are shown for kinds that are no identifiers, but what two look alike in."""
REMEDY = "'ringfence search TEXT' finds organizations; ids are exact, capitals included."


@dataclass(frozen=True)
class Reason:
    """One shared identifier behind a tie: who used it when, and how many organizations ever did."""

    kind: str
    key: str
    display: str
    weight: float
    gap_s: int | None
    a_at: object
    b_at: object
    organizations: int | None
    evidence_class: str | None = None
    """What it took: `unilateral` (one side alone can make it), `mutual` or `verified`; None: not told."""


@dataclass(frozen=True)
class Tie:
    """Two organizations, the weight between them (1 is a fresh private card), and the reasons for it."""

    a: str
    b: str
    weight: float
    reasons: list[Reason] = field(default_factory=list)


@dataclass(frozen=True)
class Common:
    """An identifier that two organizations both used, and how many organizations ever did."""

    kind: str
    key: str
    display: str
    organizations: int


@dataclass(frozen=True)
class PairAnswer:
    """Two organizations, and the ties that lead from one to the other (one when direct, none when apart).

    `common` is what both used, whether or not it made a tie, the rarest first.
    """

    a: Row
    b: Row
    path: list[Tie]
    common: list[Common]
    organizations: int
    farthest: int = FARTHEST


@dataclass(frozen=True)
class OneAnswer:
    """One organization, its strongest ties, how many it has, and whether it may be acted on (None: in no cluster)."""

    organization: Row
    ties: list[Tie]
    total: int
    organizations: int
    admission: Standing | None = None


def pair(run: RunReader, a: str, b: str) -> PairAnswer:
    """The tie of two organizations with its reasons, else the shortest path of ties between them."""
    first, second = _organization(run, a), _organization(run, b)
    path = [] if a == b else _path(run, first, second)
    common = [] if a == b else _common(run, a, b)
    return PairAnswer(first, second, _explained(run, path), common, _population(run))


def one(run: RunReader, organization: str, *, limit: int = 10) -> OneAnswer:
    """An organization's strongest ties, each with its reasons."""
    row = _organization(run, organization)
    ties = [_tie(each) for each in run.rows("ties", _touches([organization]))]
    ties.sort(key=lambda tie: (-tie.weight, tie.a, tie.b))
    return OneAnswer(
        row,
        _explained(run, ties[:limit]),
        len(ties),
        _population(run),
        standing(run, row["org_id"]),
    )


def _organization(run: RunReader, org_id: str) -> Row:
    return require(run.one("organizations", "org_id", org_id), f"organization {org_id}", REMEDY)


def _common(run: RunReader, a: str, b: str) -> list[Common]:
    links = run.rows("links", pc.field("org_id").isin([a, b]), ["org_id", "kind", "key", "orgs"])
    users: dict[tuple[str, bytes], set[str]] = {}
    for link in links:
        users.setdefault((link["kind"], key_bytes(link["key"])), set()).add(link["org_id"])
    degrees = {(link["kind"], key_bytes(link["key"])): link["orgs"] for link in links}
    both = sorted((degrees[each], each) for each, who in users.items() if len(who) == 2)
    shown = run.displays(key for _, (_, key) in both)
    return [Common(kind, key.hex(), shown.get(key, key.hex()), count) for count, (kind, key) in both]


def _population(run: RunReader) -> int:
    return run.count("organizations")


def _touches(organizations: list[str]) -> pc.Expression:
    wanted = pa.array(organizations, pa.string())
    return pc.field("a").isin(wanted) | pc.field("b").isin(wanted)


def _tie(row: Row) -> Tie:
    return Tie(row["a"], row["b"], row["weight"] / 1_000_000)


def _path(run: RunReader, first: Row, second: Row) -> list[Tie]:
    """Breadth first, a scan of the ties for each step; within the cluster when both are in the same one."""
    scope = None
    if first["cluster_id"] and first["cluster_id"] == second["cluster_id"]:
        scope = pc.field("cluster_id") == first["cluster_id"]
    return _search(run, first["org_id"], second["org_id"], scope)


def _search(run: RunReader, start: str, goal: str, scope: pc.Expression | None) -> list[Tie]:
    came: dict[str, Tie | None] = {start: None}
    frontier = [start]
    for _ in range(FARTHEST):
        where = _touches(frontier)
        steps = [_tie(row) for row in run.rows("ties", where if scope is None else where & scope)]
        steps.sort(key=lambda tie: (-tie.weight, tie.a, tie.b))
        reached = set(frontier)
        frontier = []
        for step in steps:
            there = step.b if step.a in reached else step.a
            if there not in came:
                came[there] = step
                frontier.append(there)
        if goal in came:
            return _walk_back(came, goal)
        if not frontier:
            break
    return []


def _walk_back(came: dict[str, Tie | None], goal: str) -> list[Tie]:
    path: list[Tie] = []
    here = goal
    while (step := came[here]) is not None:
        here = step.b if step.a == here else step.a
        path.append(step)
    return path[::-1]


def _explained(run: RunReader, ties: list[Tie]) -> list[Tie]:
    """The ties with their reasons, read in one go."""
    if not ties:
        return []
    ends = sorted({end for tie in ties for end in (tie.a, tie.b)})
    wanted = pa.array(ends, pa.string())
    rows = run.rows("reasons", pc.field("a").isin(wanted) & pc.field("b").isin(wanted))
    keys = {key_bytes(row["key"]) for row in rows if row["key"] is not None}
    shown = run.displays(keys)
    degrees = _degrees(run, ends)
    found: dict[tuple[str, str], list[Reason]] = {}
    for row in rows:
        found.setdefault((row["a"], row["b"]), []).append(_reason(row, shown, degrees))
    return [
        Tie(tie.a, tie.b, tie.weight, sorted(found.get((tie.a, tie.b), []), key=lambda each: -each.weight))
        for tie in ties
    ]


def _degrees(run: RunReader, organizations: list[str]) -> dict[bytes, int]:
    links = run.rows("links", pc.field("org_id").isin(pa.array(organizations, pa.string())), ["key", "orgs"])
    return {key_bytes(link["key"]): link["orgs"] for link in links}


def _reason(row: Row, shown: dict[bytes, str], degrees: dict[bytes, int]) -> Reason:
    key = key_bytes(row["key"]) if row["key"] is not None else b""
    return Reason(
        kind=row["kind"],
        key=key.hex(),
        display=shown.get(key, LOOKS.get(row["kind"], key.hex())),
        weight=row["weight"] / 1_000_000,
        gap_s=row["gap_s"],
        a_at=row["a_at"],
        b_at=row["b_at"],
        organizations=degrees.get(key),
        evidence_class=row.get("evidence_class"),
    )
