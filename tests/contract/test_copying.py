"""A graph that is copied shows the same, statuses included, on whatever store."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from graph_views import PEPPER, HandView

from graph.copying import StoredView, copy
from graph.errors import RingfenceError
from graph.home import Home
from graph.lookup import organization_ref
from graph.schema import NODES, RELATIONSHIPS
from graph.store import GraphStore
from graph.stores.sqlite.store import SqliteStore

AT = datetime(2025, 10, 4, 12, 30, tzinfo=UTC)
VIEW = HandView(
    ["a", "b", "c", "o'brien"],
    [("ip", "10.9.0.1", org) for org in "abc"] + [("api_key", "k", org) for org in ("a", "o'brien")],
    {"cl_one": ["a", "b"]},
    referrals=[("b", "a")],
    shows={"cl_one": {"size": 3.5, "lockstep": 20.0}},
)


def test_a_copy_shows_what_the_original_does(store: GraphStore, tmp_path: Path) -> None:
    source = SqliteStore(Home(tmp_path / "other").graph)
    source.publish(VIEW)
    banned = [organization_ref(name, PEPPER) for name in ("a", "o'brien")]
    source.set_status(banned, "banned", AT)
    store.publish(HandView(["z"], run_id="run_before"))

    assert copy(source, store) == VIEW.run_id == store.run_id()

    for name in (*NODES, *RELATIONSHIPS):
        assert store.scan(name).read_all() == source.scan(name).read_all()
    assert store.statuses() == source.statuses()
    assert store.statuses().num_rows == len(banned)
    source.close()


def test_there_must_be_something_to_copy(store: GraphStore, tmp_path: Path) -> None:
    source = SqliteStore(Home(tmp_path / "other").graph)
    with pytest.raises(RingfenceError, match="no graph to copy"):
        copy(source, store)


def test_a_graph_that_is_replaced_meanwhile_is_not_copied_in_part(store: GraphStore, tmp_path: Path) -> None:
    source = SqliteStore(Home(tmp_path / "other").graph)
    source.publish(VIEW)
    store.publish(HandView(["z"], run_id="run_before"))
    view = StoredView(source)
    source.publish(HandView(["a"], run_id="run_next"))
    with pytest.raises(RingfenceError, match="replaced while"):
        store.publish(view)
    assert store.run_id() == "run_before"
    source.close()
