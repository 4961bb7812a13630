"""Labels: what a person knows about an organization, stored as an event like any other."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pyarrow.compute as pc
import pyarrow.dataset as ds

from api.services import ingest_files
from graph.errors import RingfenceError
from graph.facts import FactsReader
from graph.home import Home

SOURCE = "labels"


def label_organization(home: Home, organization: str, label: str, reason: str) -> dict[str, Any]:
    """Store an `organization_labelled` event of the source `labels` and return it.

    It is dated at the latest event, or now if that is earlier: a label given long after the events must not
    move the time from which every '24 h' counts. Raises RingfenceError for an organization without events.
    """
    facts = FactsReader(home)
    latest = facts.latest()
    if latest is None or not _known(facts, organization):
        raise RingfenceError(
            f"organization {organization} has no events in this home",
            "Ids are exact, capitals included: 'ringfence search TEXT' finds them.",
        )
    event = {
        "event_id": f"label-{uuid4().hex}",
        "event_type": "organization_labelled",
        "occurred_at": min(latest, datetime.now(UTC)).isoformat(),
        "org_id": organization,
        "label": label,
        "label_source": "person",
        "reason": reason,
    }
    with tempfile.TemporaryDirectory(prefix="ringfence-label-") as folder:
        file = Path(folder) / "label.ndjson"
        file.write_bytes(orjson.dumps(event) + b"\n")
        report = ingest_files(home, [str(file)], source=SOURCE)
    if report.totals.stored != 1:
        raise RingfenceError(
            f"the label for {organization} was not accepted", "See why: ringfence quarantine list"
        )
    return event


def _known(facts: FactsReader, organization: str) -> bool:
    files = facts.value_files()
    if not files:
        return False
    where = (pc.field("kind") == "organization") & (pc.field("raw") == organization)
    return bool(ds.dataset(files, format="parquet").head(1, filter=where).num_rows)
