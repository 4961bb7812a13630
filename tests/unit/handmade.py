"""A run written by hand: two clusters, five organizations, exact figures to assert."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from detection.runs import Manifest, Runs
from graph.home import Home

AS_OF = datetime(2026, 3, 4, 12, tzinfo=UTC)
RING, PAIR = "cl_aaaaaaaaaa", "cl_bbbbbbbbbb"
ORGS = ("ring-a", "ring-b", "ring-c", "pair-d", "pair-e", "alone")
DEVICE, ADDRESS, CARD = b"\x01" * 16, b"\x02" * 16, b"\x03" * 16
MOMENT = pa.timestamp("us", tz="UTC")


def at(hours: float) -> datetime:
    return AS_OF - timedelta(hours=hours)


def write_run(home: Home, run_id: str = "run_20260304T120000Z_0000abcd", *, serve: bool = True) -> str:
    runs = Runs(home)
    folder = runs.prepare(run_id)
    for name, table in tables().items():
        pq.write_table(table, folder / f"{name}.parquet")
    manifest = Manifest(
        run_id=run_id,
        as_of=AS_OF,
        created_at=AS_OF,
        previous=None,
        inputs={"commits": 0, "last_sequence": 0, "events": 12},
        settings={},
        versions={},
        counts={"events": 12, "organizations": len(ORGS), "ties": 3, "clusters": 2, "members": 5},
        timings={"links": 1.0, "ties": 0.5},
        peak_rss_mb=100,
        checksums={},
        warnings=["six organizations are few"],
    )
    runs.finish(folder, manifest)
    if serve:
        runs.switch(run_id)
    return run_id


def tables() -> dict[str, pa.Table]:
    return {
        "clusters": _clusters(),
        "members": _members(),
        "organizations": _organizations(),
        "evidence": _evidence(),
        "evidence_rows": pa.table({"cluster_id": pa.array([], pa.string())}),
        "ties": _ties(),
        "reasons": _reasons(),
        "links": _links(),
        "lineage": _lineage(),
    }


def _keys(values: list[bytes]) -> pa.Array:
    return pa.ExtensionArray.from_storage(pa.uuid(), pa.array(values, pa.binary(16)))


def _own_key(org: str) -> bytes:
    return bytes([100 + ORGS.index(org)]) * 16


def _clusters() -> pa.Table:
    common = {"born_at": AS_OF, "first_at": at(30), "last_at": at(1), "cost_24h": 2.5, "credit_used": 9.0}
    ring = {
        "cluster_id": RING,
        "name": f"Trial farm {RING}",
        "pattern": "trial_farm",
        "size": 3,
        "risk": 97.5,
        "points": 61.0,
        "founder": "ring-a",
        "new_24h": 2,
        "cost": 1234.5,
        "ties": 2,
        "top_evidence": "trial_burn;shared_device",
    }
    pair = {
        "cluster_id": PAIR,
        "name": f"Mixed {PAIR}",
        "pattern": "mixed",
        "size": 2,
        "risk": 12.0,
        "points": -30.0,
        "founder": "pair-d",
        "new_24h": 0,
        "cost": 3.0,
        "ties": 1,
        "top_evidence": "",
    }
    return _table([ring | common, pair | common], {"born_at": MOMENT, "first_at": MOMENT, "last_at": MOMENT})


def _members() -> pa.Table:
    rows = []
    for org, cluster, risk in [
        ("ring-a", RING, 99.0),
        ("ring-b", RING, 98.0),
        ("ring-c", RING, 80.0),
        ("pair-d", PAIR, 12.0),
        ("pair-e", PAIR, 11.0),
    ]:
        rows.append(
            {
                "org_id": org,
                "cluster_id": cluster,
                "cluster_risk": 97.5 if cluster == RING else 12.0,
                "member_risk": risk,
                "actionable": False,
                "spared_reason": "admission not evaluated",
                "top_evidence": "trial_burn;shared_device" if cluster == RING else "",
                "first_at": at(20),
                "last_at": at(1),
                "cost": 400.0,
            }
        )
    table = _table(rows, {"first_at": MOMENT, "last_at": MOMENT})
    return table.add_column(1, "organization", _keys([_own_key(row["org_id"]) for row in rows]))


def _organizations() -> pa.Table:
    clusters = [RING, RING, RING, PAIR, PAIR, None]
    risks = [99.0, 98.0, 80.0, 12.0, 11.0, None]
    table = pa.table(
        {
            "org_id": list(ORGS),
            "created_at": pa.array([at(20)] * 5 + [None], MOMENT),
            "first_at": pa.array([at(20)] * 6, MOMENT),
            "last_at": pa.array([at(1)] * 6, MOMENT),
            "country": pa.array(["DE"] * 6),
            "plan": pa.array(["trial"] * 6),
            "cost": [400.0] * 6,
            "events": pa.array([2] * 6, pa.int64()),
            "cluster_id": pa.array(clusters, pa.string()),
            "member_risk": pa.array(risks, pa.float64()),
        }
    )
    return table.add_column(1, "organization", _keys([_own_key(org) for org in ORGS]))


def _evidence() -> pa.Table:
    def row(cluster: str, signal: str, points: float, fact: str, baseline: float | None) -> dict[str, Any]:
        return {
            "cluster_id": cluster,
            "signal": signal,
            "title": signal.replace("_", " ").capitalize(),
            "group": "common",
            "value": 0.9,
            "baseline": baseline,
            "affected": 3,
            "eligible": 3,
            "points": points,
            "fact": fact,
        }

    rows = [
        row(RING, "trial_burn", 71.25, "3 of 3 used their credit up within hours", 0.01),
        row(RING, "shared_device", 19.75, "3 of 3 share a device", 0.02),
        row(RING, "base", -30.0, "where every cluster starts", None),
        row(RING, "lockstep", 0.0, "0 of 3 act in lockstep", 0.0),
        row(PAIR, "base", -30.0, "where every cluster starts", None),
    ]
    return _table(rows, {"baseline": pa.float64()})


def _ties() -> pa.Table:
    return pa.table(
        {
            "a": ["ring-a", "ring-b", "pair-d"],
            "b": ["ring-b", "ring-c", "pair-e"],
            "weight": pa.array([750_000, 310_000, 250_000], pa.int64()),
            "cluster_id": [RING, RING, PAIR],
        }
    )


def _reasons() -> pa.Table:
    table = pa.table(
        {
            "a": ["ring-a", "ring-a", "ring-b", "pair-d"],
            "b": ["ring-b", "ring-b", "ring-c", "pair-e"],
            "kind": ["device", "ip", "device", "ip"],
            "weight": pa.array([650_000, 100_000, 310_000, 250_000], pa.int64()),
            "gap_s": pa.array([240, 7200, 90_000, 30], pa.int64()),
            "a_at": pa.array([at(20), at(20), at(19), at(5)], MOMENT),
            "b_at": pa.array([at(20 - 240 / 3600), at(18), at(44), at(5 - 30 / 3600)], MOMENT),
        }
    )
    return table.add_column(3, "key", _keys([DEVICE, ADDRESS, DEVICE, CARD]))


def _links() -> pa.Table:
    rows = [
        ("ring-a", "device", DEVICE, 3),
        ("ring-b", "device", DEVICE, 3),
        ("ring-c", "device", DEVICE, 3),
        ("ring-a", "ip", ADDRESS, 2),
        ("ring-b", "ip", ADDRESS, 2),
        ("pair-d", "ip", CARD, 4),
        ("pair-e", "ip", CARD, 4),
    ]
    table = pa.table(
        {
            "org_id": [row[0] for row in rows],
            "kind": [row[1] for row in rows],
            "first_at": pa.array([at(20)] * len(rows), MOMENT),
            "last_at": pa.array([at(1)] * len(rows), MOMENT),
            "uses": pa.array([1] * len(rows), pa.int64()),
            "orgs": pa.array([row[3] for row in rows], pa.int64()),
        }
    )
    table = table.add_column(1, "organization", _keys([_own_key(row[0]) for row in rows]))
    return table.add_column(3, "key", _keys([row[2] for row in rows]))


def _lineage() -> pa.Table:
    return pa.table(
        {
            "cluster_id": [RING, RING],
            "previous_id": pa.array([RING, "cl_cccccccccc"]),
            "change": ["merged", "merged"],
            "jaccard": [0.6, 0.4],
            "as_of": pa.array([AS_OF] * 2, MOMENT),
        }
    )


def _table(rows: list[dict[str, Any]], types: dict[str, pa.DataType]) -> pa.Table:
    table = pa.Table.from_pylist(rows)
    for name, kind in types.items():
        table = table.set_column(table.column_names.index(name), name, table[name].cast(kind))
    return table
