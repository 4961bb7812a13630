"""What only the SQLite store can get wrong: its file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from graph_views import HandView

from graph.errors import RingfenceError
from graph.schema import SCHEMA_VERSION
from graph.stores.sqlite import SqliteStore, sqlite_version


def _set(path: Path, pragma: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA {pragma}")
        connection.commit()


def test_a_newer_schema_is_refused_for_reading_and_writing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "graph.sqlite")
    store.publish(HandView(["a"]))
    _set(tmp_path / "graph.sqlite", f"user_version = {SCHEMA_VERSION + 1}")
    for action in (store.run_id, store.migrate, lambda: store.publish(HandView(["b"]))):
        with pytest.raises(RingfenceError, match="Upgrade Ringfence"):
            action()


def test_an_older_schema_becomes_an_empty_graph(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "graph.sqlite")
    store.publish(HandView(["a"]))
    _set(tmp_path / "graph.sqlite", "user_version = 0")
    with pytest.raises(RingfenceError, match="older schema"):
        store.find("a")
    store.migrate()
    assert store.find("a").total == 0
    store.close()


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100])
def test_a_file_that_is_no_graph_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "graph.sqlite").write_bytes(content)
    with pytest.raises(RingfenceError, match="graph"):
        SqliteStore(tmp_path / "graph.sqlite").run_id()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RingfenceError, match="cannot write the graph"):
        SqliteStore(tmp_path / "file" / "graph.sqlite").publish(HandView(["a"]))


def test_an_old_library_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tuple(map(int, sqlite_version().split("."))) >= (3, 51, 3)
    monkeypatch.setattr("graph.stores.sqlite.sqlite_version", lambda: "3.40.1")
    with pytest.raises(RingfenceError, match="too old"):
        SqliteStore(tmp_path / "graph.sqlite")
