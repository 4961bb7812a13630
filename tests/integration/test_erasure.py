"""An erased organization leaves no raw value in any file's decoded content, and does not come back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from actions import appeals, audit, planning, protections
from actions.model import Action, PlanRequest, Selector
from api.deciding import planned, working
from api.deciding.desk import Desk, opened
from api.erasing import Erasure, erase_organization
from api.services import detect, ingest_files, retry_quarantine, simulate_campaign
from api.stores import open_store
from detection.runs import Runs
from graph import facts_erasing
from graph.facts import FactsReader
from graph.home import Home, load_pepper
from graph.lookup import organization_ref
from graph.tombstones import erased

ORG = "org_the-one-to-forget"
OTHER = "org_of-somebody-else"
OWN = (
    ORG,
    "user-of-the-forgotten",
    "Forgotten.Person@forgotten-domain.example",
    "forgotten-domain.example",
    "198.51.100.77",
    "device-of-the-forgotten",
    "Forgotten & Sons Ltd",
    "CODE-OF-THE-FORGOTTEN",
    "an extra word of the forgotten",
    "id-of-an-event-of-the-forgotten",
    "4111111111111111",
)
"""Every value that only it brings, as it writes it."""
SHARED = "203.0.113.99"
START = "2026-09-30T10:{:02d}:00Z"


def events() -> list[dict[str, Any]]:
    own = {
        "org_id": ORG,
        "user_id": OWN[1],
        "email": OWN[2],
        "ip": OWN[4],
        "device_id": OWN[5],
        "org_name": OWN[6],
        "referral_code": OWN[7],
        "remark": OWN[8],
        "payment_method": OWN[10],
    }
    return [
        {"event_type": "organization_created", "event_id": OWN[9], "occurred_at": START.format(1), **own},
        {"event_type": "session_started", "occurred_at": START.format(2), **own, "ip": SHARED},
        {
            "event_type": "session_started",
            "event_id": "s1",
            "occurred_at": START.format(3),
            "org_id": OTHER,
            "ip": SHARED,
        },
        {
            "event_type": "reward_earned",
            "event_id": "r1",
            "occurred_at": START.format(4),
            "org_id": OTHER,
            "other_org_id": ORG,
            "reward_usd": "5",
        },
        {"event_type": "session_started", "event_id": "bad", "occurred_at": "never", **own},
        {
            "event_type": "session_started",
            "event_id": "bad2",
            "occurred_at": "never",
            "org_id": OTHER,
            "ip": OWN[4],
        },
        {"event_type": "session_started", "event_id": "bad3", "occurred_at": "never", "org_id": OTHER},
    ]


@dataclass(frozen=True)
class World:
    home: Home
    source: Path
    before: dict[str, set[str]]
    done: Erasure


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("erasure")
    home = Home(folder / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RINGFENCE_PEPPER_FILE", str(folder / "pepper"))
        patch.delenv("RINGFENCE_STORE", raising=False)
        source = folder / "events.ndjson"
        simulate_campaign(folder / "campaign", 400, seed=7, difficulty="plain")
        source.write_text("\n".join([*map(json.dumps, events()), "{broken " + ORG, ""]))
        ring = renamed(folder / "campaign")
        ingest_files(home, [str(ring), str(source)])
        detect(home)
        with opened(home) as desk:
            act(desk)
            before = raw_values(home)
            done = erase_organization(desk, ORG, "they asked for it")
        yield World(home, source, before, done)


def renamed(campaign: Path) -> Path:
    """The campaign with the organization in the place of one that its first trial farm ends with."""
    truth = pq.read_table(campaign / "truth.parquet").to_pylist()
    farms = [row["org_id"] for row in truth if row["kind"] == "trial_farm" and row["level"] == 0]
    events = pq.read_table(campaign / "events.parquet")
    for name in ("org_id", "other_org_id", "referrer_org_id"):
        column = pc.replace_with_mask(
            events[name].cast(pa.string()).combine_chunks(),
            pc.fill_null(pc.equal(events[name].cast(pa.string()), farms[0]), False).combine_chunks(),
            pa.scalar(ORG),
        )
        events = events.set_column(events.schema.get_field_index(name), name, column)
    path = campaign.with_name("campaign.parquet")
    pq.write_table(events, path)
    return path


def act(desk: Desk) -> None:
    """Everything that the ledger can know of an organization."""
    cluster = next(
        row["cluster_id"]
        for row in pq.read_table(Runs(desk.home).open().folder / "members.parquet").to_pylist()
        if row["org_id"] == ORG
    )
    request = PlanRequest(
        Action.THROTTLE, Selector("cluster", cluster), reason=f"{ORG} burns", sinks=("feed", "file")
    )
    with desk.ledger.transaction() as tx:
        made = planning.plan(tx, request, desk.principal, desk.population())
    planned.started(desk, made)
    working.work(desk, made.plan_id)
    with desk.ledger.transaction() as tx:
        appeals.open_appeal(
            tx, ORG, desk.principal, statement=f"we of {ORG} did nothing", independent_life=True
        )
        protections.protect(tx, ORG, desk.principal, reason=f"{ORG} pays")


def decoded(home: Path) -> Iterator[tuple[str, bytes]]:
    """The decoded content of every file of a home: columns of Parquet, cells and pages of SQLite, logs, texts."""
    for path in sorted(home.rglob("*")):
        if path.is_dir():
            continue
        name = path.relative_to(home).as_posix()
        yield name, path.read_bytes()
        if path.suffix == ".parquet":
            for column in pq.read_table(path).columns:
                yield name, _text(column)
        if path.read_bytes()[:15] == b"SQLite format 3":
            yield name, _dump(path)


def _text(column: pa.ChunkedArray) -> bytes:
    if isinstance(column.type, pa.BaseExtensionType):  # a key: bytes
        return b""
    return "\n".join(str(value) for value in column.unique().to_pylist()).encode("utf-8", "replace")


def _dump(path: Path) -> bytes:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        connection.text_factory = bytes
        tables = [
            row[0].decode()
            for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        found = []
        for table in tables:
            try:
                rows = connection.execute(f'SELECT * FROM "{table}"').fetchall()
            except (
                sqlite3.OperationalError
            ):  # a virtual table of a module that this library lacks: its tables are read
                continue
            found += [cell if isinstance(cell, bytes) else str(cell).encode() for row in rows for cell in row]
    return b"\n".join(found)


def raw_values(home: Home) -> dict[str, set[str]]:
    """Which of the values stand in which files."""
    found: dict[str, set[str]] = {}
    for name, content in decoded(home.path):
        lowered = content.lower()
        for value in OWN:
            spellings = {value, value.lower(), json.dumps(value)[1:-1]}
            if any(each.encode().lower() in lowered for each in spellings):
                found.setdefault(value, set()).add(name.partition("/")[0])
    return found


def test_before_it_was_erased_its_values_were_found(world: World) -> None:
    assert set(world.before) == set(OWN) - {OWN[10]}  # a card never gets in as it is
    assert {"facts", "quarantine", "runs", "graph.sqlite", "ledger.sqlite", "effects.ndjson"} <= world.before[
        ORG
    ]


def test_afterwards_no_file_holds_any(world: World) -> None:
    assert raw_values(world.home) == {}
    assert world.done.events > 2
    assert world.done.mentions >= 1
    assert world.done.quarantined == 3


def test_others_keep_what_is_theirs(world: World) -> None:
    reader = FactsReader(world.home)
    values = pa.concat_tables([pq.read_table(path) for path in reader.value_files()])
    assert SHARED in values["canonical"].to_pylist()
    kept = [row for row in values.to_pylist() if row["canonical"] == SHARED]
    assert {row["organization"].bytes for row in kept} == {bytes.fromhex(ref(OTHER).key)}
    assert reader.rows() == sum(pq.read_metadata(file.path).num_rows for file in reader.event_files())
    text = "".join(path.read_text() for path, _ in reader.quarantine_files())
    assert '"bad3"' in text.replace("\\", "")


def ref(org_id: str) -> Any:
    return organization_ref(org_id, load_pepper())


def test_the_graph_shows_somebody_without_a_name(world: World) -> None:
    store = open_store(world.home)
    try:
        found = store.get_node("Organization", ref(ORG).key)
        assert found is not None
        assert str(found.name).startswith("erased:s_")
        assert store.get_node("Organization", ref(OTHER).key) is not None
        assert store.find(ORG).total == 0
    finally:
        store.close()


def test_the_audit_verifies_and_says_that_it_was_erased(world: World) -> None:
    with opened(world.home) as desk:
        assert audit.verify(desk.ledger, [desk.signer]).problems == []
        with desk.ledger.reading() as reading:
            entries = audit.entries(reading, desk.principal, limit=1_000)
    last = entries[-1].content
    assert (last["verb"], last["why"]) == ("organization.erased", "they asked for it")
    assert last["details"] == {"organization": world.done.known_as}
    assert all(ORG not in entry.names.values() for entry in entries)


def test_ingesting_again_does_not_bring_it_back(world: World) -> None:
    before = FactsReader(world.home).rows()
    again = world.source.with_name("again.ndjson")
    fresh = [{**each, "event_id": f"again-{at}"} for at, each in enumerate(events())]
    again.write_text("\n".join([*map(json.dumps, fresh), "{broken " + ORG, ""]))
    columns = {
        "org_id": [ORG, OTHER],
        "event_type": ["session_started"] * 2,
        "occurred_at": [START.format(9)] * 2,
    }
    pq.write_table(pa.table(columns), world.source.with_name("again.parquet"))
    csv = world.source.with_name("again.csv")
    csv.write_text(
        f"org_id,event_type,occurred_at\n{ORG},session_started,never\n{OTHER},session_started,never\n"
    )
    reports = [
        ingest_files(world.home, [str(path)])
        for path in (world.source, again, world.source.with_name("again.parquet"), csv)
    ]
    for report in reports:
        total = report.totals
        assert total.rows == total.stored + total.duplicates + total.quarantined + total.erased
        assert total.erased
    retry_quarantine(world.home, None)
    assert FactsReader(world.home).rows() == before + 3
    detect(world.home)
    with opened(world.home) as desk:
        erase_organization(
            desk, ORG, "once more"
        )  # a mention by others in an input that lies in the home, say
    found = raw_values(world.home)
    found.pop(OWN[4], None)  # another one used this address since
    assert found == {}
    assert erased(world.home) == {bytes.fromhex(ref(ORG).key)}
    assert (
        ORG
        not in pq.read_table(Runs(world.home).open().folder / "organizations.parquet")["org_id"].to_pylist()
    )


def test_an_erasure_that_was_cut_off_is_finished_by_asking_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGFENCE_PEPPER_FILE", str(tmp_path / "pepper"))
    home = Home(tmp_path / "home")
    source = tmp_path / "events.ndjson"
    source.write_text("\n".join(map(json.dumps, events())))
    ingest_files(home, [str(source)])
    detect(home)
    real, calls = facts_erasing.write_atomically, iter(range(9))

    def dying(path: Path, content: bytes) -> None:
        if path.parent.name == "commits" and next(calls) == 0:
            raise KeyboardInterrupt
        real(path, content)

    monkeypatch.setattr(facts_erasing, "write_atomically", dying)
    with opened(home) as desk:
        with pytest.raises(KeyboardInterrupt):
            erase_organization(desk, ORG, "first")
        assert FactsReader(home).rows() == 4
        done = erase_organization(desk, ORG, "again")
    assert (done.events, done.mentions) == (2, 1)
    assert raw_values(home) == {}
    assert FactsReader(home).rows() == 2
