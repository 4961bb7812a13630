"""The ranked clusters of a run, and one of them opened."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass

import pyarrow.compute as pc

from api.answers.reading import Row, RunReader, key_bytes, require


@dataclass(frozen=True)
class Ranking:
    """The first clusters by risk, and how many there are in all."""

    rows: list[Row]
    total: int


@dataclass(frozen=True)
class SharedIdentifier:
    """An identifier that members of a cluster share: `members` of the `organizations` that used it."""

    kind: str
    key: str
    display: str
    members: int
    organizations: int


@dataclass(frozen=True)
class OpenedCluster:
    """Everything that one page about a cluster shows."""

    cluster: Row
    evidence: list[Row]
    members: list[Row]
    shared: list[SharedIdentifier]
    lineage: list[Row]
    strongest_pair: tuple[str, str] | None

    @property
    def base_points(self) -> float:
        """Points of the total that no signal brought: where every cluster starts."""
        return float(self.cluster["points"] - sum(each["points"] for each in self.evidence))


def ranked(
    run: RunReader, limit: int | None, *, min_risk: float = 0.0, pattern: str | None = None
) -> Ranking:
    """Clusters by risk, then points, size and id, each with its `rank` among those that pass the filters."""
    where = pc.field("risk") >= min_risk
    if pattern is not None:
        where = where & (pc.field("pattern") == pattern)
    rows = run.rows("clusters", where)
    rows.sort(key=lambda row: (-row["risk"], -row["points"], -row["size"], row["cluster_id"]))
    shown = rows if limit is None else rows[:limit]
    return Ranking([{"rank": place, **row} for place, row in enumerate(shown, 1)], len(rows))


def opened(run: RunReader, cluster_id: str, *, members: int = 10, shared: int = 10) -> OpenedCluster:
    """One cluster with its evidence (largest points first), a sample of members, and what they share.

    An id of an earlier run resolves to its successor. Raises RingfenceError for an unknown one.
    """
    row = run.one("clusters", "cluster_id", cluster_id)
    if row is None:
        row = _successor(run, cluster_id)
    known = require(row, f"cluster {cluster_id}", "'ringfence clusters' lists the clusters of a run.")
    mine = pc.field("cluster_id") == known["cluster_id"]
    everyone = run.rows("members", mine)
    everyone.sort(key=lambda member: (-member["member_risk"], member["org_id"]))
    evidence = sorted(run.rows("evidence", mine), key=lambda each: (-each["points"], each["signal"]))
    return OpenedCluster(
        cluster=known,
        evidence=evidence,
        members=everyone[:members],
        shared=_shared(run, [member["org_id"] for member in everyone], shared),
        lineage=run.rows("lineage", mine),
        strongest_pair=_strongest(run, mine),
    )


def as_plain(found: OpenedCluster) -> Row:
    """The opened cluster as one JSON object."""
    return {
        "cluster": found.cluster,
        "base_points": found.base_points,
        "evidence": found.evidence,
        "members": found.members,
        "shared": [asdict(each) for each in found.shared],
        "lineage": found.lineage,
        "strongest_pair": found.strongest_pair,
    }


def _strongest(run: RunReader, mine: pc.Expression) -> tuple[str, str] | None:
    ties = run.rows("ties", mine, ["a", "b", "weight"])
    best = min(ties, key=lambda tie: (-tie["weight"], tie["a"], tie["b"]), default=None)
    return None if best is None else (best["a"], best["b"])


def _successor(run: RunReader, cluster_id: str) -> Row | None:
    heirs = run.rows("lineage", pc.field("previous_id") == cluster_id)
    heirs.sort(key=lambda heir: (-(heir["jaccard"] or 0.0), heir["cluster_id"] or ""))
    for heir in heirs:
        if heir["cluster_id"]:
            return run.one("clusters", "cluster_id", heir["cluster_id"])
    return None


def _shared(run: RunReader, organizations: list[str], limit: int) -> list[SharedIdentifier]:
    links = run.rows("links", pc.field("org_id").isin(organizations), ["kind", "key", "orgs"])
    members = Counter((link["kind"], key_bytes(link["key"])) for link in links)
    degrees = {(link["kind"], key_bytes(link["key"])): link["orgs"] for link in links}
    several = [(held, count) for held, count in members.items() if count > 1]
    several.sort(key=lambda each: (-each[1], degrees[each[0]], each[0]))
    top = several[:limit]
    shown = run.displays(key for (_, key), _ in top)
    return [
        SharedIdentifier(kind, key.hex(), shown.get(key, key.hex()), count, degrees[kind, key])
        for (kind, key), count in top
    ]
