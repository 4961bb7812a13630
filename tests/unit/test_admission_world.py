"""Admission on a small simulated world in which rings frame the innocent."""

from __future__ import annotations

from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest
from worlds import HERE, PEPPER

from api.answers.admission import standing
from api.answers.pairs import one
from api.answers.reading import RunReader
from detection import admission
from detection.run import run
from graph.home import Home
from ingest.job import ingest
from sim.campaigns import Campaign, simulate
from sim.victims import METHODS, VICTIMS


class World(NamedTuple):
    """A run's members with what the truth says of each, and the run."""

    members: list[dict[str, Any]]
    truth: dict[str, dict[str, Any]]
    reader: RunReader

    def named(self, *, actionable: bool) -> list[str]:
        return [row["org_id"] for row in self.members if row["actionable"] is actionable]


@pytest.fixture(scope="module", params=["plain", "mimic"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("admission")
    kinds = len(VICTIMS) * len(METHODS)
    made = simulate(
        Campaign(organizations=6_000, seed=105, difficulty=request.param, framed_victims=4 * kinds), folder
    )
    home = Home(folder / "home")
    home.ensure()
    ingest(home, [str(made.events_path)], settings=HERE, pepper=PEPPER)
    files = run(home)
    truth = {row["org_id"]: row for row in pq.read_table(made.truth_path).to_pylist()}
    return World(files.table("members").to_pylist(), truth, RunReader(home, files))


def test_nobody_legitimate_is_actionable_and_most_of_the_rings_are(world: World) -> None:
    actionable = world.named(actionable=True)
    assert [org for org in actionable if world.truth[org]["campaign"] < 0] == []
    abusive = sum(row["campaign"] >= 0 for row in world.truth.values())
    assert len(actionable) > 0.6 * abusive


def test_victims_of_every_kind_and_way_are_spared_though_rings_hold_them(world: World) -> None:
    framed = [row for row in world.members if world.truth[row["org_id"]]["framed"]]
    assert not any(row["actionable"] for row in framed)
    assert sum(row["cluster_risk"] >= 90 for row in framed) > 40
    reasons = {row["spared_reason"] for row in framed if row["cluster_risk"] >= 90}
    assert admission.FORGEABLE in reasons


def test_everybody_is_either_actionable_or_spared_for_a_known_reason(world: World) -> None:
    for row in world.members:
        assert (row["spared_reason"] is None) is row["actionable"]
    assert {row["spared_reason"] for row in world.members} - {None} <= set(admission.REASONS)
    clusters = world.reader.files.table("clusters", ["actionable"])["actionable"].to_pylist()
    assert sum(clusters) == len(world.named(actionable=True))


def test_why_names_the_ties_that_decided(world: World) -> None:
    for org in world.named(actionable=True)[:5]:
        found = standing(world.reader, org)
        assert found is not None
        assert found.actionable
        assert len({tie.type for tie in found.ties if tie.decides}) >= 2
        assert all(tie.counts for tie in found.ties if tie.decides)
    spared = next(row for row in world.members if row["spared_reason"] == admission.FORGEABLE)
    answer = one(world.reader, spared["org_id"]).admission
    assert answer is not None
    assert answer.spared_reason == admission.FORGEABLE
    assert not any(tie.counts for tie in answer.ties)
    assert "others could have made such ties" in answer.words


def test_links_and_reasons_tell_what_they_took(world: World) -> None:
    links = world.reader.files.table("links", ["kind", "evidence_class"]).to_pylist()
    assert {row["evidence_class"] for row in links if row["kind"] == "phone"} == {"unilateral", "verified"}
    assert {row["evidence_class"] for row in links if row["kind"] == "ip"} == {"unilateral"}
    reasons = world.reader.files.table("reasons", ["evidence_class"])["evidence_class"].to_pylist()
    assert {"unilateral", "verified"} <= set(reasons)


def test_who_is_in_no_cluster_has_no_standing(world: World) -> None:
    listed = {row["org_id"] for row in world.members}
    alone = next(org for org in world.truth if org not in listed)
    assert standing(world.reader, alone) is None
