"""What is looked up beside the graph of a run: identifiers that only one organization has, and coordinates."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa

from detection.engines.duckdb import Engine
from detection.layout import lay_out
from detection.links import Progress, aggregate
from detection.runs import UNFINISHED, RunFiles, Runs
from detection.settings import DetectionSettings
from graph.durable import sync
from graph.facts import FactsReader
from graph.home import Home
from graph.layouts import has_layout
from graph.link_rows import PROOFS
from graph.run_index import LEAF_KEYS, LEAVES, ROW_GROUP
from queries import load


def index(home: Home, run: RunFiles, settings: DetectionSettings, progress: Progress) -> None:
    """Write the leaves and the layout of a finished run into its folder, as far as they are not there.

    Both follow from the facts and the run, so that they can be deleted. Raises RingfenceError when a file of the
    run or of the facts cannot be read.
    """
    if not (run.folder / f"{LEAF_KEYS}.parquet").exists():
        progress("leaves", 0, None)
        _leaves(home, run, settings, progress)
    if not has_layout(run.folder):
        before = run.manifest.previous
        runs = Runs(home)
        known = before is not None and any(one.run_id == before for one in runs.list())
        lay_out(run.folder, runs.open(before).folder if known else None, progress)


def _leaves(home: Home, run: RunFiles, settings: DetectionSettings, progress: Progress) -> None:
    files = FactsReader(home).event_files()
    with (
        tempfile.TemporaryDirectory(prefix=f"{UNFINISHED}leaves-", dir=home.runs) as place,
        Engine(settings.engine, Path(place)) as engine,
    ):
        scratch = Path(place)
        parts = aggregate(engine, home, files, run.manifest.as_of, scratch, progress)
        engine.read("links_parts", parts.files["links"])
        engine.register("proofs", pa.table({"kind": list(PROOFS)}))
        engine.write_dated(load(f"out_{LEAVES}").sql, scratch / LEAVES, row_group=ROW_GROUP)
        engine.read("leaves", [scratch / LEAVES])
        engine.write(load(f"out_{LEAF_KEYS}").sql, scratch / LEAF_KEYS, row_group=ROW_GROUP)
        for name in (LEAVES, LEAF_KEYS):
            sync(scratch / name)
            (scratch / name).replace(run.folder / f"{name}.parquet")
    sync(run.folder)
