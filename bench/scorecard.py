"""Fits the scorecard that ships: `python -m bench.scorecard` writes detection/scorecard.json.

Worlds of every difficulty are simulated, ingested and run; each cluster is one sample, abusive when at least half of
its members are. A logistic regression over binned signals, with weights that may not fall as a signal rises, is
turned into whole points: 20 points double the odds. The seeds are used here and nowhere else.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow.parquet as pq

from detection.detector import detectors
from detection.fitting import POINTS, Fit, Step, bins_of, fit, names, reached, risk_table, steps_of
from detection.run import run
from detection.runs import RunFiles
from detection.scoring import BASE, SIZE
from graph.home import Home
from ingest.job import ingest
from ingest.settings import IngestSettings
from sim.campaigns import Campaign, simulate

TARGET = Path(__file__).resolve().parent.parent / "detection" / "scorecard.json"
VERSION = "2026-11"
PRIOR_MEMBERS = 2.0
ORGANIZATIONS = 20_000
WORLDS = [
    Campaign(organizations=ORGANIZATIONS, seed=seed, difficulty=difficulty)
    for seed, difficulty in enumerate(
        (
            "plain",
            "plain",
            "plain",
            "mimic",
            "mimic",
            "mimic",
            "adaptive",
            "adaptive",
            "rotate",
            "rotate",
            "serial",
        ),
        start=9_001,
    )
] + [Campaign(organizations=ORGANIZATIONS, seed=9_101, abusive_share=0.2, attack_days=3)]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Samples:
    """Clusters of one world: values by signal (columns as `names`), whether abusive, how many organizations."""

    values: Floats
    abusive: npt.NDArray[np.bool_]
    sizes: Floats
    baselines: dict[str, float]


def observe(campaign: Campaign, folder: Path) -> Samples:
    """Simulate, ingest, run, and read what the signals say of each cluster."""
    simulate(campaign, folder, None)
    home = Home(folder / "home")
    ingest(
        home, [str(folder / "events.parquet")], settings=IngestSettings(workers=2), pepper=bytes(range(32))
    )
    files = run(home)
    truth = pq.read_table(folder / "truth.parquet", columns=["org_id", "campaign"])
    return _samples(files, dict(zip(truth["org_id"].to_pylist(), truth["campaign"].to_pylist(), strict=True)))


def _samples(files: RunFiles, campaign_of: dict[str, int]) -> Samples:
    members = files.table("members", ["org_id", "cluster_id"])
    counts: dict[str, list[int]] = {}
    for org, cluster in zip(members["org_id"].to_pylist(), members["cluster_id"].to_pylist(), strict=True):
        count = counts.setdefault(cluster, [0, 0])
        count[0] += 1
        count[1] += campaign_of[org] >= 0
    order = {cluster: row for row, cluster in enumerate(counts)}
    column = {name: place for place, name in enumerate(names())}
    values = np.zeros((len(order), len(column)))
    evidence = files.table("evidence", ["cluster_id", "signal", "value", "baseline"])
    baselines: dict[str, float] = {}
    for cluster, signal, value, baseline in zip(
        *(evidence[name].to_pylist() for name in evidence.column_names), strict=True
    ):
        if signal != BASE:
            values[order[cluster], column[signal]] = value
        if baseline is not None:
            baselines[signal] = baseline
    sizes = np.array([count[0] for count in counts.values()], dtype=float)
    abusive = np.array([2 * count[1] >= count[0] for count in counts.values()])
    return Samples(values, abusive, sizes, baselines)


def card(found: Fit, steps: list[Step], baselines: dict[str, float]) -> dict[str, object]:
    """The scorecard as it is stored."""
    return {
        "version": VERSION,
        "trained_on": f"{len(WORLDS)} simulated worlds of {ORGANIZATIONS} organizations (bench/scorecard.py)",
        "base_points": round(found.start * POINTS),
        "prior_members": PRIOR_MEMBERS,
        "bins": bins_of(found.weights, steps),
        "baselines": baselines,
        "risk_table": risk_table(),
    }


def main() -> int:
    """Fit on all worlds and write the scorecard."""
    worlds = []
    for campaign in WORLDS:
        with tempfile.TemporaryDirectory() as folder:
            worlds.append(observe(campaign, Path(folder)))
        one = worlds[-1]
        print(
            f"{campaign.difficulty:9} seed {campaign.seed}: {len(one.sizes)} clusters, {one.abusive.sum()} abusive",
            flush=True,
        )
    baselines = {
        one.id: round(float(np.median([world.baselines.get(one.id, 0.0) for world in worlds])), 4)
        for one in detectors()
    }
    steps = [one for one in steps_of() if one.signal == SIZE or one.at_least > baselines[one.signal]]
    x = reached(np.concatenate([one.values for one in worlds]), baselines, steps)
    y = np.concatenate([one.abusive for one in worlds])
    weight = np.sqrt(np.concatenate([one.sizes for one in worlds]))
    found = card(fit(x, y, weight), steps, baselines)
    TARGET.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
    print(f"wrote {TARGET.name}: base {found['base_points']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
