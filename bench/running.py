"""From facts to scored clusters: cold, with the graph published, and again after one per cent of new events."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.commands import Measured, ringfence
from bench.plan import Plan
from bench.results import Result, Target
from bench.worlds import World, clone, ingested, world

SHARE = 0.01


def run(plan: Plan) -> Result:
    """Run on clones of one ingested home."""
    large = world(plan.large, plan.seeds[0])
    plan.say(f"ingesting {large.rows:,} events")
    base = ingested(large)
    more = later_events(large, plan.seeds[0])
    figures: dict[str, float] = {}
    details: dict[str, object] = {}
    for name, store in (("unpublished", "none"), ("published", "sqlite")):
        home = clone(base, f"running-{name}")
        plan.say(f"run, {name}")
        _add(figures, details, name, ringfence("run", "--store", store, "--json", home=home))
        plan.say(f"run, {name}, after {SHARE:.0%} new events")
        ringfence("ingest", more, home=home)
        again = ringfence("run", "--store", store, "--json", home=home)
        _add(figures, details, f"{name}_again", again)
        shutil.rmtree(home)
    return Result(
        "running",
        f"Run: {plan.large:,} organizations, {large.rows:,} events",
        figures,
        (
            Target("unpublished_s", 45, 15),
            Target("published_s", 105, 60),
            Target("unpublished_peak_mib", 4096, 3072),
            Target("published_peak_mib", 4096, 3072),
            Target("unpublished_again_s", 15, 3),
        ),
        (plan.seeds[0],),
        {"organizations": plan.large, "events": large.rows, "new_events": pq.read_metadata(more).num_rows},
        ("again: after new events of the following day; the command from start to end, not a stage",),
        details,
    )


def later_events(large: World, seed: int) -> Path:
    """One per cent as many events: those of the last day drawn again, a day later and with ids of their own."""
    path = large.folder / "later.parquet"
    if path.exists():
        return path
    latest = pc.max(pq.read_table(large.events, columns=["occurred_at"]).column("occurred_at")).as_py()
    recent = pq.read_table(large.events, filters=[("occurred_at", ">", latest - timedelta(days=1))])
    # An organization is created once; everything else happens again.
    recent = recent.filter(
        pc.not_equal(recent.column("event_type").cast(pa.string()), "organization_created")
    )
    count = max(1, round(large.rows * SHARE))
    drawn = recent.take(pa.array(np.random.default_rng(seed).integers(0, len(recent), count)))
    moved = pc.add(drawn.column("occurred_at"), pa.scalar(timedelta(days=1), pa.duration("us")))
    columns = {"occurred_at": moved, "event_id": pa.array([f"later-{n}" for n in range(count)])}
    for name, values in columns.items():
        drawn = drawn.set_column(drawn.column_names.index(name), name, values)
    pq.write_table(drawn, path)
    return path


def _add(figures: dict[str, float], details: dict[str, object], name: str, done: Measured) -> None:
    figures[f"{name}_s"] = done.seconds
    figures[f"{name}_peak_mib"] = done.peak_mib
    manifest = done.json()
    details[name] = {"timings": manifest.get("timings"), "counts": manifest.get("counts")}
