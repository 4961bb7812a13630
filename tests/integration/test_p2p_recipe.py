"""The payments recipe from tables to clusters on the command line, and the measures of what clusters are worth there.

Two months of the tables are enough for that, and take seconds; `python -m bench.p2p` measures all of them.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from api.cli import invoke
from bench.lift import companions, company, components, lift, top

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data" / "p2p"
DATES = {"HAS_CC": "cardDate", "USED": "deviceDate"}
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the payments data is not at ../shared/data/p2p")


def excerpt(folder: Path) -> Path:
    """September and October 2017 of cards and devices, the users who have some, and who of these invited whom."""
    folder.mkdir()
    tables = {name: pq.read_table(DATA / f"{name}.parquet") for name in (*DATES, "User", "REFERRED")}
    for name, column in DATES.items():
        day = tables[name][column]
        within = pc.and_(pc.greater_equal(day, "2017-09-01"), pc.less(day, "2017-11-01"))
        tables[name] = tables[name].filter(within)
    users = pa.concat_arrays([tables[name]["from_user_id"].combine_chunks() for name in DATES]).unique()
    tables["User"] = tables["User"].filter(pc.is_in(tables["User"]["id"], users))
    both = [pc.is_in(tables["REFERRED"][column], users) for column in ("from_user_id", "to_user_id")]
    tables["REFERRED"] = tables["REFERRED"].filter(pc.and_(*both))
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    return folder


def unlabelled(path: Path) -> Path:
    """The shipped recipe with the labels deleted, as docs/recipes/p2p.md tells the reader to do."""
    text = (ROOT / "ingest" / "recipes" / "p2p.yaml").read_text(encoding="utf-8")
    recipe = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - every scalar is text
    for rule in recipe["inputs"]:
        if "events" in rule:
            kept = [one for one in rule["events"] if one["event_type"] != "organization_labelled"]
            assert len(kept) == len(rule["events"]) - 2
            rule["events"] = kept
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The excerpt ingested and run twice: with the labels in the input (`labelled`) and without (`home`)."""
    folder = tmp_path_factory.mktemp("p2p")
    tables = excerpt(folder / "tables")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RINGFENCE_PEPPER_FILE", str(folder / "pepper"))
        for home, mapping in (("labelled", "p2p"), ("home", str(unlabelled(folder / "unlabelled.yaml")))):
            assert invoke(["ingest", str(tables), "--mapping", mapping, "--home", str(folder / home)]) == 0
            assert invoke(["run", "--home", str(folder / home)]) == 0
        yield folder


def members(home: Path, out: Path) -> list[dict[str, Any]]:
    assert invoke(["export", "members", "--format", "json", "-o", str(out), "--home", str(home)]) == 0
    found: list[dict[str, Any]] = json.loads(out.read_text(encoding="utf-8"))
    return found


def partition(rows: list[dict[str, Any]]) -> set[frozenset[str]]:
    groups: dict[str, set[str]] = {}
    for row in rows:
        groups.setdefault(row["cluster_id"], set()).add(row["org_id"])
    return {frozenset(group) for group in groups.values()}


@needs_data
def test_no_label_reaches_an_unlabelled_home(folder: Path) -> None:
    def types(home: str) -> Counter[str]:
        files = (folder / home / "facts" / "events").rglob("*.parquet")
        tables = [pq.read_table(path) for path in files if "event_type" in pq.read_schema(path).names]
        events = [table for table in tables if "label" in table.column_names]
        return Counter(str(one) for table in events for one in table["event_type"].to_pylist())

    fraudulent = sum(pq.read_table(folder / "tables" / "User.parquet")["fraudMoneyTransfer"].to_pylist())
    assert fraudulent > 10
    assert types("labelled") - types("home") == Counter(organization_labelled=fraudulent)


@needs_data
def test_labels_do_not_decide_who_belongs_together(folder: Path, tmp_path: Path) -> None:
    without = partition(members(folder / "home", tmp_path / "a.json"))
    assert len(without) > 100
    assert partition(members(folder / "labelled", tmp_path / "b.json")) == without


@needs_data
def test_a_cluster_and_a_pair_are_explained(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = str(folder / "home")
    capsys.readouterr()
    assert invoke(["clusters", "--limit", "1", "--json", "--home", home]) == 0
    cluster = json.loads(capsys.readouterr().out)["clusters"][0]
    assert invoke(["cluster", cluster["cluster_id"], "--home", home]) == 0
    said = capsys.readouterr().out
    assert "Why this score" in said
    assert cluster["founder"] in said

    current = folder / "home" / "runs" / (folder / "home" / "runs" / "current").read_text("utf-8").strip()
    tie = pq.read_table(current / "ties.parquet").sort_by([("weight", "descending"), ("a", "ascending")])
    one, other = tie["a"][0].as_py(), tie["b"][0].as_py()
    assert invoke(["why", one, other, "--json", "--home", home]) == 0
    told = json.loads(capsys.readouterr().out)
    kinds = {reason["kind"] for step in told["path"] for reason in step["reasons"]}
    assert kinds <= {"payment_method", "device", "referral_code"}
    assert shared(folder / "tables", one, other) >= kinds - {"referral_code"}


def shared(tables: Path, one: str, other: str) -> set[str]:
    """What two users share, read from the tables."""
    kinds = set()
    for kind, name, column in (
        ("payment_method", "HAS_CC", "to_card_id"),
        ("device", "USED", "to_device_id"),
    ):
        used = pq.read_table(tables / f"{name}.parquet")
        things = [
            set(used.filter(pc.equal(used["from_user_id"], int(user)))[column].to_pylist())
            for user in (one, other)
        ]
        if things[0] & things[1]:
            kinds.add(kind)
    return kinds


@needs_data
def test_the_figures_agree_with_the_tables(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("psutil", reason="bench/requirements.lock is not installed")
    from bench.p2p import Users, find, judge, without

    kinds = {one.event_type for rule in without(["organization_labelled"]).inputs for one in rule.events}
    assert kinds == {"organization_created"}
    users = Users.read(folder / "tables")
    found = find(folder / "tables", tmp_path / "home", ["organization_labelled"], users.place)
    listed = {row["org_id"] for row in members(folder / "home", tmp_path / "m.json")}
    assert {user for user, row in users.place.items() if found.size[row]} == listed
    judged = judge(found, users)
    everybody = judged["lifts"]["all members"]
    table = pq.read_table(folder / "tables" / "User.parquet")
    bad = {str(user) for user in table.filter(pc.equal(table["fraudMoneyTransfer"], 1))["id"].to_pylist()}
    assert (everybody.users, everybody.bad) == (len(listed), len(bad & listed))
    assert everybody.lift == pytest.approx(len(bad & listed) / len(listed) / (len(bad) / table.num_rows))
    assert everybody.lift_low <= everybody.lift <= everybody.lift_high
    assert judged["outside"].hits == len(bad - listed)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_lift_finds_what_was_planted_and_nothing_else(seed: int) -> None:
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(2000), 3)
    chosen = (groups < 500).astype(float)
    planted = lift(chosen, random.random(6000) < np.where(groups < 500, 0.2, 0.05), groups, seed=seed)
    assert planted.lift_low > 1.5
    assert planted.rate == pytest.approx(0.2, abs=0.04)
    nothing = lift(chosen, random.random(6000) < 0.1, groups, seed=seed)
    assert nothing.lift == pytest.approx(1, abs=0.25)
    assert np.isnan(lift(np.zeros(6000), chosen > 0, groups, seed=seed).rate)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_bounds_are_wider_where_members_stand_or_fall_together(seed: int) -> None:
    groups = np.repeat(np.arange(200), 10)
    bad = np.repeat(np.random.default_rng(seed).random(200) < 0.1, 10)
    chosen = (groups < 100).astype(float)
    together = lift(chosen, bad, groups, seed=seed)
    apart = lift(chosen, bad, np.arange(2000), seed=seed)
    assert together.rate == apart.rate
    assert together.rate_high - together.rate_low > 2 * (apart.rate_high - apart.rate_low)


def test_equals_at_the_cut_share_what_is_left() -> None:
    assert top(np.array([3.0, 1.0, 1.0, 0.0]), 2).tolist() == [1.0, 0.5, 0.5, 0.0]
    assert top(np.array([3.0, 0.0]), 2).tolist() == [0.0, 0.0]


def test_companions_and_components_are_counted_over_distinct_things() -> None:
    users, things = np.array([0, 0, 1, 2, 2, 3]), np.array([7, 7, 7, 7, 9, 9])
    assert companions(users, things, 5).tolist() == [2, 2, 2, 1, 0]
    found = components(users, things, 5)
    assert len(set(found[:4])) == 1
    assert found[4] not in found[:4]


def test_company_tells_rings_from_chance() -> None:
    groups = np.repeat(np.arange(300), 4)
    together = company(groups < 20, groups, seed=1)
    assert together.found == 20
    assert together.found > together.high
    apart = np.arange(1200) % 4 == 0
    assert company(apart & (groups < 80), groups, seed=1).found == 0
