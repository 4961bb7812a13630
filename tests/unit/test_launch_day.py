"""A legitimate launch, ten times the sign-ups on one day, makes nobody actionable."""

from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from detection.run import run
from graph.home import Home
from ingest.job import ingest
from sim.campaigns import Campaign, simulate
from tests.unit.worlds import HERE, PEPPER

DAY = 12


@pytest.mark.parametrize("seed", [101, 102])
def test_a_launch_day_makes_no_ring(tmp_path: Path, seed: int) -> None:
    campaign = Campaign(organizations=5_000, seed=seed, abusive_share=0.0, launch_day=DAY)
    simulate(campaign, tmp_path)
    created = pq.read_table(
        tmp_path / "events.parquet",
        columns=["event_type", "occurred_at"],
        filters=[("event_type", "==", "organization_created")],
    )
    days = pc.day(created.column("occurred_at")).to_numpy()
    by_day = [int((days == day).sum()) for day in range(1, 31)]
    usual = (sum(by_day) - by_day[DAY]) / 29
    # Not all come by the public's rhythm (followers come after whom they follow), so not quite ten times.
    assert by_day[DAY] > 6 * usual
    home = Home(tmp_path / "home").ensure()
    ingest(home, [str(tmp_path / "events.parquet")], settings=HERE, pepper=PEPPER)
    members = run(home).table("members", ["org_id", "actionable"])
    assert members.num_rows > 0
    assert members.filter(members.column("actionable")).column("org_id").to_pylist() == []


def test_a_launch_day_lies_in_the_window() -> None:
    with pytest.raises(ValueError, match="launch_day"):
        Campaign(launch_day=30)
