"""How fast events become facts, and that memory does not grow with the input."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq

from bench.commands import WORK, Measured, ringfence
from bench.plan import Plan
from bench.results import Result, Target
from bench.worlds import world

FLAT_MIB = 1536


def run(plan: Plan) -> Result:
    """Ingest Parquet at two sizes and NDJSON at two sizes, each into a new home."""
    large, small = world(plan.large, plan.seeds[0]), world(plan.middle, plan.seeds[0])
    text = ndjson(small.events, plan.text_rows)
    less_text = ndjson(small.events, plan.text_rows // 4)
    figures: dict[str, float] = {}
    plan.say(f"ingesting {large.rows:,} events from Parquet")
    _add(figures, "parquet", _ingest(large.events), large.rows)
    plan.say(f"ingesting {small.rows:,} events from Parquet")
    few = _ingest(small.events)
    figures["parquet_peak_mib_small"] = few.peak_mib
    figures["parquet_peak_growth"] = figures["parquet_peak_mib"] / few.peak_mib
    rows = min(plan.text_rows, small.rows)
    plan.say(f"ingesting {rows:,} events from NDJSON")
    _add(figures, "ndjson", _ingest(text), rows)
    figures["ndjson_peak_mib_small"] = _ingest(less_text).peak_mib
    figures["ndjson_peak_growth"] = figures["ndjson_peak_mib"] / figures["ndjson_peak_mib_small"]
    return Result(
        "ingestion",
        "Ingest into a new home",
        figures,
        (
            Target("parquet_events_per_s", 250_000, 800_000, lower=False),
            Target("ndjson_events_per_s", 100_000, 300_000, lower=False),
            Target("parquet_peak_mib", FLAT_MIB),
            Target("ndjson_peak_mib", FLAT_MIB),
        ),
        (plan.seeds[0],),
        {"parquet_events": large.rows, "ndjson_events": rows},
        (f"growth: peak of {large.rows:,} events over peak of {small.rows:,}; NDJSON: four times the rows",),
    )


def ndjson(events: Path, rows: int) -> Path:
    """The first rows of a Parquet file as lines of JSON, nulls left out; made once."""
    path = events.with_name(f"events-{rows}.ndjson")
    if path.exists():
        return path
    scratch = path.with_suffix(".new")
    with scratch.open("wb") as out:
        for row in islice(_rows(events), rows):
            kept = {name: value for name, value in row.items() if value is not None}
            out.write(orjson.dumps(kept, default=str, option=orjson.OPT_APPEND_NEWLINE))
    scratch.rename(path)
    return path


def _rows(events: Path) -> Iterator[dict[str, Any]]:
    for batch in pq.ParquetFile(events).iter_batches(batch_size=20_000):
        yield from batch.to_pylist()


def _ingest(path: Path) -> Measured:
    home = WORK / "homes" / "ingestion"
    shutil.rmtree(home, ignore_errors=True)
    done = ringfence("ingest", path, home=home)
    shutil.rmtree(home, ignore_errors=True)
    return done


def _add(figures: dict[str, float], name: str, done: Measured, rows: int) -> None:
    figures[f"{name}_events_per_s"] = rows / done.seconds
    figures[f"{name}_s"] = done.seconds
    figures[f"{name}_peak_mib"] = done.peak_mib
