"""Publishing what changed since the run before equals publishing all of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_files import AS_OF, key, write_run, write_values

from graph.schema import NODES, RELATIONSHIPS
from graph.stores.sqlite.store import SqliteStore
from graph.view import RunView

KINDS = ("ip", "device", "device_attested", "mailbox", "api_key", "name", "referral_code")
SIGNALS = ("base", "size", "shared_device")
POOL = 24


class Drawn:
    """The rows of a run by table, drawn from a seed; `next` changes a share of them."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.organizations = {name: self._organization() for name in range(POOL) if self.rng.random() < 0.8}
        self.links: dict[tuple[str, int, int], dict[str, Any]] = {}
        for org in self.organizations:
            for kind in KINDS:
                self.links[kind, int(self.rng.integers(6)), org] = self._use()
        self.clusters = {
            f"cl_{number}": {"risk": float(self.rng.integers(100)), "cost": 1.5, "name": f"Ring {number}"}
            for number in range(4)
        }
        self.members = {org: {"cluster": f"cl_{org % 4}", "risk": 50.0} for org in self.organizations}
        self.shows = {(name, signal): self._points() for name in self.clusters for signal in SIGNALS}
        self.referrals = {org: org - 1 for org in self.organizations if org - 1 in self.organizations}

    def next(self, share: float) -> None:
        """Change, drop and add rows."""
        for org in range(POOL):
            if self.rng.random() < share:
                self._change(org)
        self.links = self._changed(self.links, self._use, share)
        self.shows = self._changed(self.shows, self._points, share)
        self.clusters["cl_4"] = {"risk": 1.0, "cost": None, "name": "New"}
        if self.rng.random() < share:
            self.clusters.pop("cl_2", None)
            self.clusters["cl_5"] = {"risk": 2.0, "cost": 1.0, "name": "Newer"}
        for org in list(self.members):
            if self.rng.random() < share:
                self.members[org] = {"cluster": f"cl_{self.rng.integers(6)}", "risk": 20.0}
        self.members = {one: row for one, row in self.members.items() if row["cluster"] in self.clusters}
        self.shows = {one: row for one, row in self.shows.items() if one[0] in self.clusters}

    def _change(self, org: int) -> None:
        if org in self.organizations and self.rng.random() < 0.5:
            self._drop(org)
        else:
            self.organizations[org] = self._organization()
            self.links["ip", int(self.rng.integers(6)), org] = self._use()

    def _changed(self, rows: dict[Any, Any], draw: Callable[[], Any], share: float) -> dict[Any, Any]:
        chance = {one: self.rng.random() for one in rows}
        return {
            one: draw() if chance[one] < share / 2 else row
            for one, row in rows.items()
            if chance[one] < 1 - share / 2
        }

    def _drop(self, org: int) -> None:
        del self.organizations[org]
        self.links = {one: row for one, row in self.links.items() if one[2] != org}
        self.members.pop(org, None)
        self.referrals = {one: by for one, by in self.referrals.items() if org not in (one, by)}

    def _organization(self) -> dict[str, Any]:
        plan = (None, "free", "paid")[self.rng.integers(3)]
        return {"events": int(self.rng.integers(9)), "plan": plan, "cost": float(self.rng.integers(3))}

    def _use(self) -> dict[str, Any]:
        weight = None if self.rng.random() < 0.3 else float(self.rng.random())
        evidence = ("unilateral", "mutual", "verified")[self.rng.integers(3)]
        uses = int(self.rng.integers(9))
        return {"hours": int(self.rng.integers(1, 99)), "uses": uses, "weight": weight, "class": evidence}

    def _points(self) -> dict[str, Any]:
        return {"points": float(self.rng.integers(-1, 3)), "fact": f"Of {self.rng.integers(3)}"}

    def write(self, folder: Path) -> Path:
        """The run's files, in an order of their own."""
        write_run(folder, [])
        for name, rows in {
            "organizations": self._organization_rows(),
            "links": self._link_rows(),
            "clusters": [
                {"cluster_id": one, "size": 0, "pattern": "mixed", "top_evidence": "", **row}
                for one, row in self.clusters.items()
            ],
            "members": [
                {"organization": org_key(org), "cluster_id": row["cluster"], "member_risk": row["risk"]}
                for org, row in self.members.items()
            ],
            "evidence": [
                {"cluster_id": one, "signal": signal, "title": signal.title(), "group": "common", **row}
                for (one, signal), row in self.shows.items()
            ],
            "referrals": [
                {"organization": org_key(org), "referrer": org_key(by), "first_at": AS_OF}
                for org, by in self.referrals.items()
            ],
        }.items():
            schema = pq.read_schema(folder / f"{name}.parquet")
            shuffled = [rows[at] for at in self.rng.permutation(len(rows))]
            pq.write_table(table_of(shuffled, schema), folder / f"{name}.parquet")
        return folder

    def _organization_rows(self) -> list[dict[str, Any]]:
        brought = list(self.referrals.values())
        return [
            {
                "org_id": f"org {org}",
                "organization": org_key(org),
                "first_at": AS_OF,
                "referred": brought.count(org),
                **row,
            }
            for org, row in self.organizations.items()
        ]

    def _link_rows(self) -> list[dict[str, Any]]:
        return [
            {
                "org_id": f"org {org}",
                "organization": org_key(org),
                "kind": kind,
                "key": key(kind, f"value {value}"),
                "first_at": AS_OF - timedelta(hours=row["hours"]),
                "last_at": AS_OF - timedelta(hours=row["hours"] // 2),
                "uses": row["uses"],
                "weight": row["weight"],
                "evidence_class": row["class"],
            }
            for (kind, value, org), row in self.links.items()
        ]


def org_key(org: int) -> bytes:
    return key("organization", f"org {org}")


def table_of(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    columns = []
    for field in schema:
        values = [row.get(field.name) for row in rows]
        if isinstance(field.type, pa.UuidType):
            columns.append(pa.ExtensionArray.from_storage(pa.uuid(), pa.array(values, pa.binary(16))))
        else:
            columns.append(pa.array(values, field.type))
    return pa.table(columns, names=schema.names)


def everything(store: SqliteStore) -> dict[str, pa.Table]:
    return {name: store.scan(name).read_all() for name in (*NODES, *RELATIONSHIPS)}


def values_of(path: Path) -> list[Path]:
    uses = [(kind, f"value {value}", "") for kind in KINDS for value in range(6)]
    return [write_values(path, uses)]


@given(seed=st.integers(0, 2**32), share=st.sampled_from([0.0, 0.02, 0.1, 0.3]))
@settings(max_examples=8, deadline=None)
def test_changes_and_a_full_publication_show_the_same(
    tmp_path_factory: pytest.TempPathFactory, seed: int, share: float
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    values = values_of(folder / "values.parquet")
    drawn = Drawn(seed)
    views = []
    for name in ("run_a", "run_b", "run_c"):
        views.append(RunView(drawn.write(folder / name), name, AS_OF, values))
        drawn.next(share)
    store, fresh = SqliteStore(folder / "graph.sqlite"), SqliteStore(folder / "fresh.sqlite")
    with pytest.MonkeyPatch.context() as patch:  # however much changed
        patch.setattr("graph.run_changes.MOST", 1_000)
        assert all(after.changes_since(before.run_id) for before, after in pairwise(views))
        for view in views:
            store.publish(view)
    fresh.publish(RunView(folder / "run_c", "run_c", AS_OF, values))
    assert everything(store) == everything(fresh)
    store.close()
    fresh.close()


def test_changes_are_unknown_where_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    values = values_of(tmp_path / "values.parquet")
    drawn = Drawn(1)
    drawn.write(tmp_path / "run_a")
    drawn.next(0.01)
    view = RunView(drawn.write(tmp_path / "run_b"), "run_b", AS_OF, values)
    assert view.changes_since("run_a") is not None
    assert view.changes_since("run_b") is None  # a run published once more is published whole
    for name in ("run_none", "", "..", "../run_a", "run_a/"):
        assert view.changes_since(name) is None
    (tmp_path / "run_a" / "members.parquet").write_bytes(b"cut")
    assert view.changes_since("run_a") is None


def test_a_run_of_an_older_version_is_no_base(tmp_path: Path) -> None:
    drawn = Drawn(1)
    older = drawn.write(tmp_path / "run_a") / "links.parquet"
    pq.write_table(pq.read_table(older).drop_columns("weight"), older)
    view = RunView(drawn.write(tmp_path / "run_b"), "run_b", AS_OF, [])
    assert view.changes_since("run_a") is None


def test_too_much_change_is_published_whole(tmp_path: Path) -> None:
    first, second = Drawn(1), Drawn(2)
    first.write(tmp_path / "run_a")
    assert RunView(second.write(tmp_path / "run_b"), "run_b", AS_OF, []).changes_since("run_a") is None


def test_a_key_that_occurs_twice_makes_changes_unknown(tmp_path: Path) -> None:
    drawn = Drawn(1)
    drawn.write(tmp_path / "run_a")
    view = RunView(drawn.write(tmp_path / "run_b"), "run_b", AS_OF, [])
    members = tmp_path / "run_b" / "members.parquet"
    table = pq.read_table(members)
    pq.write_table(pa.concat_tables([table, table.slice(0, 1)]), members)
    assert view.changes_since("run_a") is None
