"""A run as decisions see it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from actions.population import UnknownPopulation
from actions.run_population import RunPopulation
from detection.runs import Manifest, RunFiles
from tests.unit.run_files import AS_OF, MEMBERS, ORGS, RING, write_run

RUN = "run_20251003T000000Z_00000001"


@pytest.fixture
def population(tmp_path: Path) -> RunPopulation:
    folder = write_run(tmp_path / RUN)
    lineage = {
        "cluster_id": pa.array([RING], pa.string()),
        "previous_id": pa.array(["cl_gone000000"], pa.string()),
        "change": pa.array(["merged"], pa.string()),
        "jaccard": pa.array([0.5]),
        "as_of": pa.array([AS_OF], pa.timestamp("us", tz="UTC")),
    }
    pq.write_table(pa.table(lineage), folder / "lineage.parquet")
    manifest = Manifest(
        run_id=RUN,
        as_of=AS_OF,
        created_at=AS_OF,
        previous=None,
        inputs={},
        settings={},
        versions={},
        counts={"organizations": len(ORGS)},
        timings={},
        peak_rss_mb=0,
        checksums={},
        warnings=[],
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    keys = {ORGS[0]: ("key_1",)}
    return RunPopulation(RunFiles(manifest, folder), unfit=("late",), keys=lambda _: keys)


def test_a_cluster_is_its_members_in_order(population: RunPopulation) -> None:
    members = [member for batch in population.cluster(RING) for member in batch]
    assert [member.org_id for member in members] == sorted(MEMBERS[RING])
    assert {member.cluster_id for member in members} == {RING}
    assert {member.org_id: member.key_ids for member in members}[ORGS[0]] == ("key_1",)
    assert (population.run_id, population.as_of, population.unfit) == (RUN, AS_OF, ("late",))
    assert population.active_organizations == len(ORGS)


def test_an_old_cluster_leads_to_where_its_members_went(population: RunPopulation) -> None:
    found = [member.org_id for batch in population.cluster("cl_gone000000") for member in batch]
    assert found == sorted(MEMBERS[RING])
    assert [batch for batch in population.cluster("cl_never00000") if batch] == []


def test_organizations_are_found_in_a_cluster_or_not(population: RunPopulation) -> None:
    wanted = [ORGS[0], "alone", "nobody"]
    found = {member.org_id: member for batch in population.organizations(wanted) for member in batch}
    assert sorted(found) == sorted([ORGS[0], "alone"])
    assert found["alone"].cluster_id is None
    assert (found["alone"].actionable, found["alone"].spared_reason) == (False, "in no cluster")


def test_without_a_run_nobody_is_there_and_nothing_lasting_may_happen() -> None:
    nobody = UnknownPopulation()
    assert list(nobody.cluster(RING)) == list(nobody.organizations(ORGS)) == []
    assert (nobody.consumption(ORGS, AS_OF - timedelta(days=1)), nobody.legitimate_hits("bin", ["1"])) == (
        {},
        {},
    )
    assert nobody.unfit
