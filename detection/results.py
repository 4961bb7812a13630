"""What a run says: scores of clusters and members put together, and the tables that it writes."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detection.clusters import Identified, Previous
from detection.communities import Ties
from detection.detector import Detector, detectors
from detection.engines.duckdb import Engine
from detection.links import Progress, microseconds
from detection.runs import TABLES, Runs
from detection.scoring import BASE, SIZE, Scorecard, attachment_points, pattern, size_points
from queries import load

Ints = npt.NDArray[np.int64]
DAY = 86_400_000_000
TOP_EVIDENCE = 3
SHARING = ("links", "reasons", "referrals")
"""The tables that are known before the communities are."""
PATTERN_TITLES = {
    "trial_farm": "Trial farm",
    "key_resale": "Key resale",
    "promo_ring": "Promotion ring",
    "referral_ring": "Referral ring",
    "serial": "Serial sign-up",
    "mixed": "Mixed",
}


def previous(runs: Runs) -> Previous:
    """Membership and births of the run that serves now; empty before the first."""
    if runs.current() is None:
        return Previous({}, {}, {})
    files = runs.open()
    members = files.table("members", ["org_id", "cluster_id"])
    clusters = files.table("clusters", ["cluster_id", "born_at", "founder"])
    ids = clusters["cluster_id"].to_pylist()
    return Previous(
        dict(zip(members["org_id"].to_pylist(), members["cluster_id"].to_pylist(), strict=True)),
        dict(zip(ids, clusters["born_at"].to_pylist(), strict=True)),
        dict(zip(ids, clusters["founder"].to_pylist(), strict=True)),
    )


def score(
    engine: Engine,
    scorecard: Scorecard,
    identified: Identified,
    membership: Ints,
    ties: Ties,
    others: tuple[Detector, ...] = (),
) -> None:
    """Total the points of clusters and members; leaves `scored_clusters`, `scored_members` and `evidence_points`.

    `others` are detectors that scored, too, without being of this package.
    """
    clusters = np.array(sorted(identified.ids), dtype=np.int64)
    sizes = np.bincount(
        np.searchsorted(clusters, membership[np.isin(membership, clusters)]), minlength=len(clusters)
    )
    engine.register("evidence_points", _evidence(engine, scorecard, clusters, sizes))
    summed = engine.fetch(
        "SELECT cluster, signal, points FROM evidence_points WHERE points <> 0"
        " ORDER BY cluster, points DESC, signal"
    )
    by_cluster = _by_cluster(clusters, summed)
    totals = np.array([sum(points.values()) for points in by_cluster.values()])
    known = (*detectors(), *others)
    scored = _clusters(identified, clusters, sizes, totals, by_cluster, scorecard, known)
    engine.register(
        "scored_clusters", scored.append_column("ties", [_ties_inside(clusters, membership, ties)])
    )
    engine.register("scored_members", _members(engine, scorecard, clusters, totals, membership, ties))
    engine.register("lineage", identified.lineage)


def _evidence(engine: Engine, scorecard: Scorecard, clusters: Ints, sizes: Ints) -> pa.Table:
    found = engine.fetch(
        "SELECT cluster, signal, value, baseline, affected, eligible, points FROM signal_points"
        " ORDER BY cluster, signal"
    )
    count = len(clusters)

    def constant(signal: str, value: npt.NDArray[np.float64], points: npt.NDArray[np.float64]) -> pa.Table:
        return pa.table(
            {
                "cluster": clusters,
                "signal": pa.array([signal] * count, pa.string()),
                "value": value,
                "baseline": pa.nulls(count, pa.float64()),
                "affected": sizes,
                "eligible": sizes,
                "points": points,
            }
        )

    return pa.concat_tables(
        [
            found.cast(constant(BASE, np.empty(0), np.empty(0)).schema) if count == 0 else found,
            constant(BASE, np.zeros(count), np.full(count, scorecard.base_points)),
            constant(SIZE, sizes.astype(float), size_points(scorecard, sizes)),
        ],
        promote_options="permissive",
    )


def _by_cluster(clusters: Ints, rows: pa.Table) -> dict[int, dict[str, float]]:
    found: dict[int, dict[str, float]] = {int(name): {} for name in clusters}
    for cluster, signal, points in zip(*(rows[name].to_pylist() for name in rows.column_names), strict=True):
        found[cluster][signal] = points
    return found


def _clusters(
    identified: Identified,
    clusters: Ints,
    sizes: Ints,
    totals: npt.NDArray[np.float64],
    by_cluster: dict[int, dict[str, float]],
    scorecard: Scorecard,
    known: tuple[Detector, ...],
) -> pa.Table:
    names = [int(name) for name in clusters]
    patterns = [pattern(by_cluster[name], known) for name in names]
    ids = [identified.ids[name] for name in names]
    return pa.table(
        {
            "cluster": clusters,
            "cluster_id": pa.array(ids, pa.string()),
            "name": pa.array(
                [f"{PATTERN_TITLES[one]} {id_}" for one, id_ in zip(patterns, ids, strict=True)], pa.string()
            ),
            "pattern": pa.array(patterns, pa.string()),
            "size": sizes,
            "points": totals,
            "risk": scorecard.risk(totals),
            "founder": pa.array([identified.founder[name] for name in names], pa.string()),
            "born_at": pa.array([identified.born_at[name] for name in names], pa.timestamp("us", tz="UTC")),
            "top_evidence": pa.array([_top(by_cluster[name]) for name in names], pa.string()),
        }
    )


def _top(points: dict[str, float]) -> str:
    """The strongest signals; `points` come strongest first."""
    named = [signal for signal, value in points.items() if value > 0 and signal not in (BASE, SIZE)]
    return ";".join(named[:TOP_EVIDENCE])


def _ties_inside(clusters: Ints, membership: Ints, ties: Ties) -> Ints:
    one = membership[ties.a]
    inside = one[(one == membership[ties.b]) & (one >= 0)]
    return np.bincount(np.searchsorted(clusters, inside), minlength=len(clusters))


def _members(
    engine: Engine,
    scorecard: Scorecard,
    clusters: Ints,
    totals: npt.NDArray[np.float64],
    membership: Ints,
    ties: Ties,
) -> pa.Table:
    orgs = np.flatnonzero(np.isin(membership, clusters))
    cluster = membership[orgs]
    inside = membership[ties.a] == membership[ties.b]
    strength = np.zeros(ties.n, dtype=np.int64)
    for end in (ties.a, ties.b):
        np.add.at(strength, end[inside], ties.weight[inside])
    behaviour = np.zeros(ties.n)
    own = engine.fetch("SELECT org, points FROM member_points")
    behaviour[own["org"].to_numpy()] = own["points"].to_numpy()
    points = (
        totals[np.searchsorted(clusters, cluster)]
        + behaviour[orgs]
        + attachment_points(strength[orgs], cluster)
    )
    return pa.table({"org": orgs, "cluster": cluster, "points": points, "risk": scorecard.risk(points)})


def write_links(engine: Engine, folder: Path) -> None:
    """Write the tables of `SHARING`, which the communities do not change, while those are looked for."""
    for table in SHARING:
        engine.write_dated(load(f"out_{table}").sql, folder / f"{table}.parquet")


def write(
    engine: Engine,
    folder: Path,
    recent: list[Path],
    as_of: datetime,
    progress: Progress,
    others: tuple[Detector, ...] = (),
) -> None:
    """Write every other table of the run as a Parquet file, sorted by what people ask for."""
    end = microseconds(as_of)
    engine.register("moment", pa.table({"as_of": [end], "day_before": [end - DAY]}))
    engine.register("signals", _signals((*detectors(), *others)))
    engine.read(
        "recent_costs",
        recent,
        "organization, CAST(COALESCE(cost, 0) AS DOUBLE) AS cost",
        f"event_type = 'inference' AND epoch_us(occurred_at) > {end - DAY} AND epoch_us(occurred_at) <= {end}",
    )
    left = [table for table in TABLES if table not in SHARING]
    for done, table in enumerate(left):
        progress("write", done, len(left))
        engine.write_dated(load(f"out_{table}").sql, folder / f"{table}.parquet")
    progress("write", len(left), len(left))


def _signals(known: tuple[Detector, ...]) -> pa.Table:
    rows = [(one.id, one.title, one.group, one.fact) for one in known]
    rows.append((BASE, "Where every cluster starts", "common", "abuse is rare among small groups"))
    rows.append((SIZE, "Size", "common", "{eligible} organizations belong together"))
    return pa.table(
        dict(zip(("signal", "title", "signal_group", "fact"), zip(*rows, strict=True), strict=True))
    )
