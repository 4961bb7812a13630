"""What only the SQLite store can get wrong: its files, its ids and its SQL."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from graph_views import PEPPER, START, HandChanges, HandView, ref
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.errors import RingfenceError
from graph.lookup import organization_ref
from graph.schema import NODES, RELATIONSHIPS, SCHEMA_VERSION
from graph.store import NodeRef
from graph.stores.sqlite.store import SqliteStore, sqlite_version

NOBODY = 65_534
BANNED_AT = datetime(2025, 10, 5, 12, tzinfo=UTC)
SETTING = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from graph.store import NodeRef
from graph.stores.sqlite.store import SqliteStore

store = SqliteStore(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for key in sys.argv[3:]:
    assert store.set_status([NodeRef("Organization", key)], sys.argv[2], datetime.now(UTC)) == 1
"""


def org(name: str) -> NodeRef:
    return organization_ref(name, PEPPER)


def everything(store: SqliteStore) -> dict[str, pa.Table]:
    return {name: store.scan(name).read_all() for name in (*NODES, *RELATIONSHIPS)}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "graph.sqlite")
    yield opened
    opened.close()


def _set(path: Path, pragma: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA {pragma}")
        connection.commit()


def test_a_newer_schema_is_refused_for_reading_and_writing(store: SqliteStore, tmp_path: Path) -> None:
    store.publish(HandView(["a"]))
    _set(tmp_path / "graph.sqlite", f"user_version = {SCHEMA_VERSION + 1}")
    store.close()
    changes = HandChanges(HandView(["a"]), HandView(["b"]))
    actions = [store.run_id, store.migrate, lambda: store.publish(HandView(["b"]))]
    for action in (*actions, lambda: store.apply(changes), lambda: store.set_status([], None, START)):
        with pytest.raises(RingfenceError, match="Upgrade Ringfence"):
            action()


def test_statuses_of_a_newer_version_are_neither_read_nor_changed(store: SqliteStore, tmp_path: Path) -> None:
    store.publish(HandView(["a"]))
    store.set_status([org("a")], "banned", BANNED_AT)
    store.close()
    _set(tmp_path / "graph.status.sqlite", "user_version = 99")
    for action in (store.statuses, lambda: store.set_status([org("a")], None, BANNED_AT)):
        with pytest.raises(RingfenceError, match="Upgrade Ringfence"):
            action()


def test_an_older_schema_becomes_an_empty_graph(store: SqliteStore, tmp_path: Path) -> None:
    store.publish(HandView(["a"]))
    _set(tmp_path / "graph.sqlite", f"user_version = {SCHEMA_VERSION - 1}")
    store.close()
    with pytest.raises(RingfenceError, match="older schema"):
        store.find("a")
    with pytest.raises(RingfenceError, match="older schema"):
        store.apply(HandChanges(HandView(["a"]), HandView(["b"])))
    store.migrate()
    assert store.find("a").total == 0


def test_an_older_schema_is_published_whole(store: SqliteStore, tmp_path: Path) -> None:
    before = HandView(["a"])
    store.publish(before)
    _set(tmp_path / "graph.sqlite", f"user_version = {SCHEMA_VERSION - 1}")
    store.publish(HandView(["a", "b"], run_id="run_two", before=before))
    assert store.run_id() == "run_two"
    assert everything(store)["Organization"].num_rows == 2


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100])
def test_a_file_that_is_no_graph_is_refused(store: SqliteStore, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "graph.sqlite").write_bytes(content)
    with pytest.raises(RingfenceError, match="graph"):
        store.run_id()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RingfenceError, match="cannot write the graph"):
        SqliteStore(tmp_path / "file" / "graph.sqlite").publish(HandView(["a"]))


def test_an_old_library_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tuple(map(int, sqlite_version().split("."))) >= (3, 51, 3)
    monkeypatch.setattr("graph.stores.sqlite.store.sqlite_version", lambda: "3.40.1")
    with pytest.raises(RingfenceError, match="too old"):
        SqliteStore(tmp_path / "graph.sqlite")


@contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """Somebody who may read a folder and not write to it, also where tests run as root."""
    folder.chmod(0o555)
    root = os.geteuid() == 0
    try:
        if root:
            for path in (folder, *folder.iterdir()):
                os.chown(path, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_a_folder_to_be_read_only_is_read() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # whose parents everybody may enter
        folder = Path(name)
        store = SqliteStore(folder / "graph.sqlite")
        store.publish(HandView(["a"]))
        store.set_status([org("a")], "banned", BANNED_AT)
        store.close()
        with unprivileged(folder):
            node = store.get_node(*_parts(org("a")))
            assert node is not None
            assert (node.properties["status"], node.properties["status_at"]) == ("banned", BANNED_AT)
            assert store.run_id() == "run_one"
            for action in (
                lambda: store.publish(HandView(["b"])),
                lambda: store.set_status([org("a")], None, BANNED_AT),
            ):
                with pytest.raises(RingfenceError, match="cannot write") as told:
                    action()
                assert "permission" in told.value.remedy
        store.close()


def _parts(node: NodeRef) -> tuple[str, str]:
    return node.label, node.key


@contextmanager
def full_at(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: the nearest thing to a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 30_000, 300_000])
def test_a_full_disk_leaves_what_is_served(store: SqliteStore, tmp_path: Path, size: int) -> None:
    view = HandView(["a", "b"], uses=[("ip", "192.0.2.7", "a")])
    store.publish(view)
    before = everything(store)
    larger = HandView([f"{'a' * 9_000}{number}" for number in range(90)], run_id="run_two", before=view)
    actions = [
        lambda: store.publish(larger),
        lambda: store.apply(HandChanges(view, larger)),
        lambda: store.set_status([org("a")], "x" * 400_000, BANNED_AT),
    ]
    for action in actions:
        with full_at(size), pytest.raises(RingfenceError, match="cannot write") as told:
            action()
        assert "Make room" in told.value.remedy
        assert everything(store) == before
        assert store.statuses().num_rows == 0
    assert not list(tmp_path.glob("*.new-*"))
    assert store.set_status([org("a")], "banned", BANNED_AT) == 1
    store.publish(larger)
    assert store.run_id() == "run_two"


class Interrupted(HandView):
    """A view that does something while it is published."""

    def nodes(self, label: str) -> Iterator[pa.RecordBatch]:
        if label == "Cluster":
            self.meanwhile()
        yield from super().nodes(label)

    def meanwhile(self) -> None:
        raise NotImplementedError


def test_of_two_publishers_the_second_is_refused(store: SqliteStore, tmp_path: Path) -> None:
    store.publish(HandView(["a"]))
    second = SqliteStore(tmp_path / "graph.sqlite")
    refused: list[RingfenceError] = []

    class Crossed(Interrupted):
        def meanwhile(self) -> None:
            for action in (
                lambda: second.publish(HandView(["c"])),
                lambda: second.apply(HandChanges(HandView(["a"]), HandView(["c"]))),
            ):
                with pytest.raises(RingfenceError, match="another process is publishing") as told:
                    action()
                refused.append(told.value)
            assert second.get_node(*_parts(org("a"))) is not None  # reading and acting go on
            assert second.set_status([org("a")], "banned", BANNED_AT) == 1

    store.publish(Crossed(["a", "b"], run_id="run_two"))
    assert len(refused) == 2
    assert second.run_id() == "run_two"
    assert second.statuses().num_rows == 1
    second.close()


def test_who_reads_keeps_a_snapshot_and_the_next_question_sees_the_new_run(
    store: SqliteStore, tmp_path: Path
) -> None:
    names = [f"org {number}" for number in range(9)]
    view = HandView(names)
    store.publish(view)
    reader = store.scan("Organization")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("graph.stores.sqlite.nodes.SCAN_ROWS", 2)
        writer = SqliteStore(tmp_path / "graph.sqlite")
        assert reader.read_next_batch().num_rows == 2
        writer.publish(HandView(["only"], run_id="run_two", before=view))
        assert (store.run_id(), store.find("org").total) == ("run_two", 0)
        assert sum(batch.num_rows for batch in reader) == len(names) - 2
        assert store.scan("Organization").read_all()["org_id"].to_pylist() == ["only"]
        writer.close()


def test_logs_that_belong_to_no_file_are_not_replayed(store: SqliteStore, tmp_path: Path) -> None:
    store.publish(HandView(["a"]))
    before = everything(store)
    store.close()
    path = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("CREATE TABLE x AS SELECT randomblob(9999)")
        other.commit()
        for suffix in ("-wal", "-journal"):
            (tmp_path / f"graph.sqlite{suffix}").write_bytes((tmp_path / "other.sqlite-wal").read_bytes())
    assert everything(store) == before
    store.publish(HandView(["a"]))
    assert everything(store) == before


def test_two_processes_set_statuses_at_once_and_both_land(store: SqliteStore, tmp_path: Path) -> None:
    names = [f"org {number}" for number in range(40)]
    store.publish(HandView(names))
    halves = {"banned": names[:20], "throttled": names[20:]}
    running = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                SETTING,
                str(tmp_path / "graph.sqlite"),
                status,
                *(org(name).key for name in half),
            ],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for status, half in halves.items()
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.communicate("go\n", timeout=60)
        assert process.returncode == 0
    for status, half in halves.items():
        nodes = store.get_nodes([org(name) for name in half])
        assert [node.properties["status"] for node in nodes.values()] == [status] * len(half)


names_ = st.lists(st.integers(0, 40), unique=True, max_size=14)


@given(rounds=st.lists(names_, min_size=2, max_size=4), gap=st.sampled_from([1, 2, 4, 1024]))
@settings(max_examples=25, deadline=None)
def test_ids_ascend_with_keys_also_where_there_is_no_room_between(rounds: list[list[int]], gap: int) -> None:
    views = []
    for number, orgs in enumerate(rounds):
        names = [f"org {one}" for one in orgs]
        views.append(
            HandView(
                names,
                uses=[("ip", f"192.0.2.{one % 5}", f"org {one}") for one in orgs],
                clusters={f"cl_{one}": [f"org {one}"] for one in orgs},
                run_id=f"run_{number}",
                before=views[-1] if views else None,
                referrals=[(one, names[0]) for one in names[1:]],
            )
        )
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("graph.stores.sqlite.load.GAP", gap)
        patch.setattr("graph.stores.sqlite.apply.GAP", gap)
        patched, fresh = (SqliteStore(Path(folder) / name) for name in ("patched.sqlite", "fresh.sqlite"))
        for view in views:
            patched.publish(view)
        fresh.publish(views[-1])
        assert patched.run_id() == views[-1].run_id
        assert everything(patched) == everything(fresh)
        assert patched.find("org").items == fresh.find("org").items
        patched.close()
        fresh.close()


def test_changes_that_do_not_fit_are_refused_and_a_publication_then_writes_all(store: SqliteStore) -> None:
    store.publish(HandView(["a"]))
    pretended = HandView(["a", "b"])
    after = HandView(["a", "b"], uses=[("ip", "192.0.2.7", "b")], run_id="run_two", before=pretended)
    with pytest.raises(RingfenceError, match="not among the nodes"):
        store.apply(HandChanges(pretended, after))
    assert store.run_id() == "run_one"
    store.publish(after)
    assert store.run_id() == "run_two"
    assert store.get_node(*_parts(ref("ip", "192.0.2.7"))) is not None


def test_nothing_can_be_changed_before_something_is_published(store: SqliteStore) -> None:
    with pytest.raises(RingfenceError, match="no published run") as told:
        store.apply(HandChanges(HandView([]), HandView(["a"])))
    assert told.value.exit_code == 3
