"""The ranked clusters of a run, and one of them opened."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.compute as pc

from api.answers.reading import Row, RunReader, key_bytes, require
from graph.errors import RingfenceError
from graph.lineage import Lineage, UnknownClusterError, lineage


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
class Successor:
    """A cluster of this run to which `members` of an earlier one now belong."""

    cluster_id: str
    members: int


@dataclass(frozen=True)
class OpenedCluster:
    """Everything that one page about a cluster shows."""

    cluster: Row
    evidence: list[Row]
    members: list[Row]
    shared: list[SharedIdentifier]
    lineage: list[Row]
    strongest_pair: tuple[str, str] | None
    actionable: int = 0
    """How many members may be acted on without a person looking."""
    spared: tuple[tuple[str, int], ...] = ()
    """Why the others may not: reasons and how many members each spares, the most first."""
    successors: tuple[Successor, ...] = ()
    """Where the members of the cluster that was asked for are now, if that is an id of an earlier run."""

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

    An id of an earlier run resolves to the successor that has most of its members. Raises RingfenceError for an
    unknown one, and for one that ended without successors.
    """
    row = run.one("clusters", "cluster_id", cluster_id)
    successors: tuple[Successor, ...] = ()
    if row is None:
        heir, successors = _resolved(run, cluster_id)
        row = run.one("clusters", "cluster_id", heir)
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
        actionable=sum(bool(member["actionable"]) for member in everyone),
        spared=tuple(
            Counter(one["spared_reason"] for one in everyone if not one["actionable"]).most_common()
        ),
        successors=successors,
    )


def as_plain(found: OpenedCluster) -> Row:
    """The opened cluster as one JSON object."""
    return {
        "cluster": found.cluster,
        "base_points": found.base_points,
        "evidence": found.evidence,
        "actionable": found.actionable,
        "spared": [{"reason": reason, "members": count} for reason, count in found.spared],
        "members": found.members,
        "shared": [asdict(each) for each in found.shared],
        "lineage": found.lineage,
        "strongest_pair": found.strongest_pair,
        "successors": [asdict(each) for each in found.successors],
    }


def _strongest(run: RunReader, mine: pc.Expression) -> tuple[str, str] | None:
    ties = run.rows("ties", mine, ["a", "b", "weight"])
    best = min(ties, key=lambda tie: (-tie["weight"], tie["a"], tie["b"]), default=None)
    return None if best is None else (best["a"], best["b"])


def _resolved(run: RunReader, asked: str) -> tuple[str, tuple[Successor, ...]]:
    """The cluster of this run that an id leads to, over however many runs, and all to which its members went."""
    try:
        found = lineage(run.home.runs, asked, until=run.run_id)
    except UnknownClusterError as error:
        raise RingfenceError(
            f"cluster {asked} is not in this run, nor in one before it",
            "'ringfence clusters' lists the clusters of a run.",
        ) from error
    heirs = _heirs(run, found)
    if not heirs:
        ended = found.changes[-1] if found.changes else None
        said = (
            "" if ended is None else f": it ended by {ended.as_of:%Y-%m-%d %H:%M} UTC, in run {ended.run_id}"
        )
        raise RingfenceError(
            f"cluster {asked} is no more{said}",
            "Its members belong to no cluster now. Open it as it was: "
            f"ringfence cluster {asked} --run {found.last_run or 'ID'}",
        )
    return heirs[0].cluster_id, heirs


def _heirs(run: RunReader, found: Lineage) -> tuple[Successor, ...]:
    """Successors by how many members they have of those that the cluster had last, the most first."""
    led_to = pa.array(found.successors, pa.string())
    alive = run.table("clusters", pc.field("cluster_id").isin(led_to), ["cluster_id"])
    living = set(alive["cluster_id"].to_pylist())
    went: Counter[str] = Counter()
    if found.last_run is not None:
        before = RunReader.open(run.home, found.last_run)
        members = before.table("members", pc.field("cluster_id") == found.cluster_id, ["org_id"])["org_id"]
        now = run.table("members", pc.field("org_id").isin(members.combine_chunks()), ["cluster_id"])
        went.update(now["cluster_id"].to_pylist())
    heirs = sorted(went.keys() or living, key=lambda one: (-went[one], one))
    return tuple(Successor(one, went[one]) for one in heirs)


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
