"""What the tests of ingest share: rows, homes, and the check that nothing was lost or doubled."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from graph.facts import FactsReader
from graph.home import Home
from ingest.job import ingest
from ingest.quarantine import Quarantine
from ingest.report import IngestReport
from ingest.settings import IngestSettings

PEPPER = b"p" * 32
ARRIVED = datetime(2026, 3, 1, tzinfo=UTC)
HERE = IngestSettings(workers=0)


def row(number: int, **changes: Any) -> dict[str, Any]:
    """A good row, one of many; a change to None removes the column."""
    one = {
        "event_id": f"e{number}",
        "event_type": "inference",
        "occurred_at": f"2026-02-{1 + number % 20:02d}T{number % 24:02d}:00:00Z",
        "org_id": f"org-{number % 97}",
        "ip": f"198.51.{number % 7}.{number % 250 + 1}",
        "user_agent": "client/1.0",
        "cost_usd": "0.25",
        "tokens": str(number),
    }
    return {name: value for name, value in {**one, **changes}.items() if value is not None}


def write_ndjson(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


def take(home: Home, *paths: Path | str, **options: Any) -> IngestReport:
    """Ingest in this process, and check the books."""
    options = {"settings": HERE, "pepper": PEPPER, "arrived_at": ARRIVED, **options}
    report = ingest(home, [str(path) for path in paths], **options)
    check_books(home, report)
    return report


def check_books(home: Home, report: IngestReport | None = None) -> None:
    """Conservation in the report and in every commit, and only files that commits name."""
    reader = FactsReader(home)
    commits = reader.commits()
    for one in report.inputs if report else ():
        assert one.rows == one.stored + one.duplicates + one.quarantined, one
    for commit in commits:
        for entry in commit.inputs:
            assert entry.rows == entry.stored + entry.duplicates + entry.quarantined
    events = read_events(home, ["source", "event_id"])
    assert events.num_rows == reader.rows() == sum(entry.stored for c in commits for entry in c.inputs)
    ids = list(zip(events["source"].to_pylist(), events["event_id"].to_pylist(), strict=True))
    assert len(set(ids)) == len(ids)
    named = {file.path for file in reader.event_files()} | set(reader.value_files())
    replaced = {path for commit in commits for path in commit.replaced_ids}
    named |= {path for commit in commits for path in commit.ids} - replaced
    found = {path for path in home.facts.rglob("*.parquet") if "aggregates" not in path.parts}
    assert found == named
    indexed = sum(pq.read_metadata(path).num_rows for path in named if path.parent.name == "ids")
    assert indexed == reader.rows()
    assert {path for path, _ in reader.quarantine_files()} == set(home.quarantine.glob("*.ndjson"))
    assert all(path.stat().st_size == size for path, size in reader.quarantine_files())


def read_events(home: Home, columns: list[str] | None = None) -> pa.Table:
    """All committed events, or some of their columns."""
    tables = [
        pq.ParquetFile(file.path).read(columns, use_threads=False) for file in FactsReader(home).event_files()
    ]
    if not tables:
        return pa.table({"source": pa.array([], pa.string()), "event_id": pa.array([], pa.string())})
    return pa.concat_tables(tables).unify_dictionaries()


def stored_ids(home: Home) -> list[str]:
    return sorted(read_events(home)["event_id"].to_pylist())


def reasons(home: Home) -> list[tuple[int, str]]:
    """Line and reason of every quarantined row."""
    return sorted((one.line, one.reason) for one in Quarantine(home).rows())
