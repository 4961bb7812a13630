"""What a person knows or decides about organizations, stored as events like any other: labels, protections, pairs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from api.output import printable
from api.services import ingest_files
from graph.errors import RingfenceError
from graph.facts import FactsReader
from graph.home import Home
from graph.identifiers import is_stop_exact

SOURCE = "decisions"
LABELS = ("abusive", "legitimate")
PERSON = "person"
MOST_SHOWN = 5

Event = dict[str, Any]


@dataclass(frozen=True)
class Form:
    """One kind of decision: its event type, and the columns that say it, those that may be missing last."""

    event_type: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


LABEL = Form("organization_labelled", ("org_id", "label", "reason"), ("label_source",))
PROTECT = Form("organization_protected", ("org_id", "reason"), ("action",))
NOT_LINKED = Form("organizations_not_linked", ("org_id", "other_org_id", "reason"))


def record(home: Home, form: Form, rows: Sequence[Mapping[str, str]]) -> list[Event]:
    """Store one event of the source `decisions` for each row and return them; all of them or none.

    They are dated at the latest event, or now if that is earlier: a decision taken long after the events must not
    move the time from which every '24 h' counts. Raises RingfenceError (exit 2) that lists the first wrong rows by
    number, and (exit 1) for organizations without events.
    """
    facts = FactsReader(home)
    checked = _checked(form, rows)
    _require_known(
        facts, {row[name] for row in checked for name in ("org_id", "other_org_id") if name in row}
    )
    latest = facts.latest() or datetime.now(UTC)
    at = min(latest, datetime.now(UTC)).isoformat()
    events: list[Event] = [
        {"event_id": f"decision-{uuid4().hex}", "event_type": form.event_type, "occurred_at": at, **row}
        for row in checked
    ]
    with tempfile.TemporaryDirectory(prefix="ringfence-decisions-") as folder:
        file = Path(folder) / "decisions.ndjson"
        file.write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in events))
        report = ingest_files(home, [str(file)], source=SOURCE)
    refused = len(events) - report.totals.stored
    if refused:
        raise RingfenceError(
            f"{refused} of {len(events)} decisions were not accepted", "See why: ringfence quarantine list"
        )
    return events


def _checked(form: Form, rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    if not rows:
        raise RingfenceError(
            "there is no decision to record", f"Give rows with {', '.join(form.required)}.", exit_code=2
        )
    clean = [_clean(form, row) for row in rows]
    problems = [
        f"row {place}: {problem}" for place, row in enumerate(clean, 1) for problem in _problems(form, row)
    ]
    problems += _contradictions(clean)
    if problems:
        more = f" (and {len(problems) - MOST_SHOWN} more)" if len(problems) > MOST_SHOWN else ""
        raise RingfenceError(
            "; ".join(problems[:MOST_SHOWN]) + more,
            "Nothing was recorded. Correct them, then give all again.",
            exit_code=2,
        )
    return clean


def _clean(form: Form, row: Mapping[str, str]) -> dict[str, str]:
    kept = {name: row[name] for name in (*form.required, *form.optional) if row.get(name)}
    trimmed = {
        name: value if name.endswith("org_id") else " ".join(value.split()) for name, value in kept.items()
    }
    return {"label_source": PERSON, **trimmed} if form is LABEL else trimmed


def _problems(form: Form, row: Mapping[str, str]) -> Iterable[str]:
    for name in form.required:
        if not row.get(name):
            yield f"{name} is missing"
    if form is LABEL and row.get("label") and row["label"] not in LABELS:
        yield f"{row['label']!r} is not a label: choose one of {', '.join(LABELS)}"
    if form is NOT_LINKED and row.get("org_id") and row["org_id"] == row.get("other_org_id"):
        yield f"{printable(row['org_id'])} is named twice: name two organizations"
    if form is PROTECT and row.get("action") not in (None, "end"):
        yield f"{row['action']!r} is not an action: leave it out, or say 'end'"
    if any(is_stop_exact(row[name]) for name in ("org_id", "other_org_id") if row.get(name)):
        yield "a placeholder is no organization"


def _contradictions(rows: Sequence[Mapping[str, str]]) -> Iterable[str]:
    """Organizations to which one list gives both labels in the name of one source."""
    said: dict[tuple[str, str], str] = {}
    for place, row in enumerate(rows, 1):
        if "label" in row and "org_id" in row:
            before = said.setdefault((row["org_id"], row["label_source"]), row["label"])
            if before != row["label"]:
                yield f"row {place}: {printable(row['org_id'])} is {before} in an earlier row, {row['label']} here"


def _require_known(facts: FactsReader, wanted: set[str]) -> None:
    unknown = sorted(wanted - _known(facts, wanted))
    if not unknown:
        return
    shown = ", ".join(unknown[:MOST_SHOWN]) + (" …" if len(unknown) > MOST_SHOWN else "")
    many = "organizations have" if len(unknown) > 1 else "organization has"
    raise RingfenceError(
        f"{len(unknown)} {many} no events in this home: {printable(shown)}",
        "Ids are exact, capitals included: 'ringfence search TEXT' finds them. Nothing was recorded.",
    )


def _known(facts: FactsReader, wanted: set[str]) -> set[str]:
    files = facts.value_files()
    if not files:
        return set()
    asked = pa.array(sorted(wanted), pa.string())
    where = (pc.field("kind") == "organization") & pc.field("raw").isin(asked)
    found = ds.dataset(files, format="parquet").to_table(columns=["raw"], filter=where)
    return set(found["raw"].to_pylist())
