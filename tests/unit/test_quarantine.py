"""Quarantine: listed, exported, tried again; what passes leaves it, the rest stays."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graph.errors import RingfenceError
from graph.facts import FactsReader
from graph.home import Home
from ingest.job import ingest
from ingest.mapping import Mapping, parse_mapping
from ingest.quarantine import Quarantine, QuarantineSummary
from ingest.refused import RefusedRow
from ingest.report import IngestReport
from ingest.settings import IngestSettings

PEPPER = b"p" * 32
ARRIVED = datetime(2026, 3, 1, tzinfo=UTC)
GOOD = {"event_type": "user_added", "occurred_at": "2026-02-01T00:00:00Z", "org_id": "a"}
LOCAL = {**GOOD, "occurred_at": "2026-02-01T10:00:00"}
BERLIN = "inputs:\n  - timezone: Europe/Berlin\n"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def take(home: Home, path: Path, mapping: Mapping | None = None) -> IngestReport:
    settings = IngestSettings(workers=0)
    return ingest(home, [str(path)], settings=settings, pepper=PEPPER, arrived_at=ARRIVED, mapping=mapping)


def retry(home: Home, mapping: str | None = None, **changes: Any) -> IngestReport:
    report = Quarantine(home).retry(
        settings=IngestSettings(workers=0, **changes),
        pepper=PEPPER,
        arrived_at=ARRIVED,
        mapping=None if mapping is None else parse_mapping(mapping, "fixed", "fixed.yaml"),
    )
    for one in report.inputs:
        assert one.rows == one.stored + one.duplicates + one.quarantined
    return report


def write(path: Path, *rows: dict[str, Any] | str) -> Path:
    path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in rows))
    return path


def stored(home: Home) -> list[dict[str, Any]]:
    files = FactsReader(home).event_files()
    return [one for file in files for one in pq.ParquetFile(file.path).read().to_pylist()]


def test_what_is_listed(tmp_path: Path, home: Home) -> None:
    path = write(tmp_path / "a.ndjson", LOCAL, GOOD, LOCAL, "{")
    report = take(home, path)
    quarantine = Quarantine(home)
    assert quarantine.list() == [
        QuarantineSummary(report.ingest, str(path), "invalid_json", 1),
        QuarantineSummary(report.ingest, str(path), "timestamp_without_zone", 2),
    ]
    rows = list(quarantine.rows())
    assert [(one.line, one.field, one.source, one.form) for one in rows] == [
        (4, None, "default", "line"),
        (1, "occurred_at", "default", "line"),
        (3, "occurred_at", "default", "line"),
    ]
    assert json.loads(rows[1].raw) == LOCAL
    assert all(one.detail and one.at == ARRIVED.isoformat() for one in rows)


def test_export_is_the_rows(tmp_path: Path, home: Home) -> None:
    take(home, write(tmp_path / "a.ndjson", LOCAL, "{"))
    out = tmp_path / "out.ndjson"
    assert Quarantine(home).export(out) == 2
    lines = out.read_bytes().splitlines()
    assert [RefusedRow.decode(line) for line in lines] == list(Quarantine(home).rows())
    with pytest.raises(RingfenceError, match="cannot write"):
        Quarantine(home).export(tmp_path / "none" / "out.ndjson")


def test_nothing_to_retry(home: Home) -> None:
    with pytest.raises(RingfenceError) as caught:
        retry(home)
    assert caught.value.exit_code == 3


def test_what_passes_leaves_and_the_rest_stays(tmp_path: Path, home: Home) -> None:
    first = write(tmp_path / "a.ndjson", LOCAL, GOOD, "{", {**LOCAL, "plan": "gold"})
    second = write(tmp_path / "b.ndjson", {**LOCAL, "org_id": "b"})
    take(home, first)
    take(home, second)
    report = retry(home, BERLIN)
    assert [(one.rows, one.stored, one.quarantined) for one in report.inputs] == [(3, 1, 2), (1, 1, 0)]
    assert [(one.line, one.reason) for one in Quarantine(home).rows()] == [
        (3, "invalid_json"),
        (4, "unknown_plan"),
    ]
    assert len(list(home.quarantine.iterdir())) == 1
    times = {one["occurred_at"].hour for one in stored(home)}
    assert times == {0, 9}


def test_retrying_again_changes_nothing(tmp_path: Path, home: Home) -> None:
    take(home, write(tmp_path / "a.ndjson", LOCAL, "{"))
    retry(home, BERLIN)
    before = {path: path.read_bytes() for path in home.path.rglob("*") if path.is_file()}
    report = retry(home, BERLIN)
    assert (report.totals.rows, report.totals.quarantined) == (1, 1)
    assert {path: path.read_bytes() for path in home.path.rglob("*") if path.is_file()} == before


def test_a_retried_row_is_the_row_of_the_file(tmp_path: Path, home: Home) -> None:
    """Ingesting the whole file with the corrected mapping finds the retried rows already stored."""
    rows = [LOCAL, LOCAL, {**LOCAL, "unknown": {"b": 1, "a": 2.50}}]
    path = write(tmp_path / "a.ndjson", *rows)
    take(home, path)
    assert retry(home, BERLIN).totals.stored == 3
    report = take(home, path, parse_mapping(BERLIN, "m", "m"))
    assert (report.totals.stored, report.totals.duplicates) == (0, 3)


@pytest.mark.parametrize("form", ["csv", "parquet", "log"])
def test_every_format_can_be_retried(tmp_path: Path, home: Home, form: str) -> None:
    path = tmp_path / f"a.{form}"
    mapping = None
    fixed = BERLIN
    if form == "csv":
        path.write_text("event_type;occurred_at;org_id;note\nuser_added;2026-02-01T10:00:00;a;x\n")
    elif form == "parquet":
        table = pa.Table.from_pylist([{**LOCAL, "requests": 3, "note": 7}])
        pq.write_table(table.set_column(1, "occurred_at", pa.array([datetime(2026, 2, 1, 10)])), path)
    else:
        path.write_text("2026-02-01T10:00:00 a\n2026-02-01T10:00:00,a\n")
        log = "inputs:\n  - format: log\n    pattern: '(?P<occurred_at>[^ ]+){} (?P<org_id>.+)'\n"
        log += "    constants: {{event_type: user_added}}\n"
        mapping = parse_mapping(log.format(""), "m", "m")
        fixed = log.format("").replace(" (?P<org", "[ ,](?P<org") + "    timezone: Europe/Berlin\n"
        fixed = fixed.replace("[^ ]+", "[^ ,]+")
    count = 2 if form == "log" else 1
    assert take(home, path, mapping).totals.quarantined == count
    assert retry(home, fixed).totals.stored == count
    assert list(Quarantine(home).rows()) == []
    assert {one["occurred_at"].hour for one in stored(home)} == {9}
    assert take(home, path, parse_mapping(fixed, "m", "m")).totals.duplicates == count


def test_secrets_get_the_same_key_by_way_of_quarantine(tmp_path: Path, home: Home) -> None:
    secrets = {"api_key": "sk-live-0123456789", "payment_method": "4111111111111111", "phone": "+16502530000"}
    good = write(tmp_path / "a.ndjson", {**GOOD, **secrets, "event_id": "1"})
    bad = write(tmp_path / "b.ndjson", {**LOCAL, **secrets, "event_id": "2"})
    take(home, good)
    take(home, bad)
    assert all(
        secret not in path.read_text() for path in home.quarantine.iterdir() for secret in secrets.values()
    )
    retry(home, BERLIN)
    one, two = stored(home)
    for name in (*secrets, "payment_bin", "phone_country"):
        assert one[name] is not None
        assert one[name] == two[name]


def test_settings_can_be_the_fix(tmp_path: Path, home: Home) -> None:
    take(home, write(tmp_path / "a.ndjson", {**GOOD, "org_name": "n" * 70_000}))
    assert Quarantine(home).list()[0].reason == "too_long"
    assert retry(home, max_identifier=100_000).totals.stored == 1


def test_a_conflicting_duplicate_stays(tmp_path: Path, home: Home) -> None:
    take(
        home,
        write(tmp_path / "a.ndjson", {**GOOD, "event_id": "1"}, {**GOOD, "event_id": "1", "org_id": "b"}),
    )
    report = retry(home)
    assert (report.totals.rows, report.totals.quarantined) == (1, 1)
    assert [one.reason for one in Quarantine(home).rows()] == ["conflicting_duplicate"]


def test_another_epoch_unit_needs_a_stated_one(tmp_path: Path, home: Home) -> None:
    rows = [{**GOOD, "occurred_at": 1_770_000_000}, {**GOOD, "occurred_at": 1_770_000_000_000}]
    take(home, write(tmp_path / "a.ndjson", *rows))
    assert retry(home).totals.quarantined == 1
    assert retry(home, "inputs:\n  - time_format: epoch_ms\n").totals.stored == 1


def test_rows_of_a_mapping_need_that_mapping(tmp_path: Path, home: Home) -> None:
    mapping = parse_mapping("inputs:\n  - columns: {org_id: account}\n", "mine", "mine.yaml")
    row = {**LOCAL, "account": "a"}
    take(home, write(tmp_path / "a.ndjson", row), mapping)
    with pytest.raises(RingfenceError) as caught:
        retry(home)
    assert "mine" in caught.value.message
    assert retry(home, BERLIN + "    columns: {org_id: account}\n").totals.stored == 1


def test_what_a_killed_ingest_left_is_not_seen(tmp_path: Path, home: Home) -> None:
    take(home, write(tmp_path / "a.ndjson", LOCAL))
    (path,) = home.quarantine.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"torn')
    assert len(list(Quarantine(home).rows())) == 1
    take(home, write(tmp_path / "b.ndjson", GOOD))
    assert path.read_bytes() == whole
