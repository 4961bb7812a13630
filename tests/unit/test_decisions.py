"""What people and feeds decide: the latest counts, people before feeds; whoever contradicts himself does not count."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from detection.decisions import Decisions, decide, labels_of
from detection.engines.duckdb import Engine
from detection.run import run
from detection.settings import EngineSettings
from tests.unit.worlds import add, at, event, home_of, numbered

HOUR = 3_600_000_000
ORGS = ("org-a", "org-b", "org-c", "org-d")
KEYS = {org: bytes([number + 1]) * 16 for number, org in enumerate(ORGS)}
CARD = b"\x77" * 16
SCHEMA = pa.schema(
    [
        ("event_id", pa.string()),
        ("source", pa.string()),
        ("event_type", pa.string()),
        ("decided_at", pa.int64()),
        ("known_at", pa.int64()),
        ("organization", pa.uuid()),
        ("other_organization", pa.uuid()),
        ("label", pa.string()),
        ("label_source", pa.string()),
        ("action", pa.string()),
        ("reason", pa.string()),
        ("entity_type", pa.string()),
        ("entity", pa.uuid()),
    ]
)
Row = dict[str, Any]


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(EngineSettings()) as engine:
        yield engine


def said(event_type: str, org: str | None, hours: float, **more: Any) -> Row:
    """A decision about `org`; known when it was taken, unless `known` says how many hours later."""
    at_hours = hours + more.pop("known", 0.0)
    return {
        "event_type": event_type,
        "source": "default",
        "decided_at": int(hours * HOUR),
        "known_at": int(at_hours * HOUR),
        "organization": None if org is None else KEYS.get(org, b"\xee" * 16),
        **more,
    }


def label(org: str, label: str, hours: float, source: str | None = "person", **more: Any) -> Row:
    return said("organization_labelled", org, hours, label=label, label_source=source, **more)


def decided(engine: Engine, *rows: Row) -> Decisions:
    named = [{"event_id": f"e{number}", **row} for number, row in enumerate(rows)]
    engine.register("decisions_parts", pa.Table.from_pylist(named, SCHEMA))
    organizations = {
        "org": pa.array(range(len(ORGS)), pa.int32()),
        "org_id": list(ORGS),
        "organization": pa.ExtensionArray.from_storage(pa.uuid(), pa.array(KEYS.values(), pa.binary(16))),
    }
    engine.register("organizations", pa.table(organizations))
    return decide(engine)


def test_without_decisions_nothing_is_decided(engine: Engine) -> None:
    found = decided(engine)
    assert (found.labels, found.protected, found.warnings) == ({}, frozenset(), ())
    assert found.not_linked.shape == (0, 2)


def test_the_latest_label_of_a_source_counts(engine: Engine) -> None:
    found = decided(engine, label("org-a", "abusive", 1), label("org-a", "legitimate", 90))
    assert found.labels == {0: "legitimate"}
    assert found.warnings == ()


def test_a_person_may_correct_what_was_dated_alike(engine: Engine) -> None:
    """`ringfence label` dates labels at the latest event: which came later is known by its arrival."""
    rows = label("org-a", "abusive", 1), label("org-a", "legitimate", 1, known=0.01)
    assert decided(engine, *rows).labels == {0: "legitimate"}
    assert decided(engine, *rows[::-1]).labels == {0: "legitimate"}


def test_a_person_counts_before_any_feed(engine: Engine) -> None:
    found = decided(engine, label("org-a", "abusive", 1), label("org-a", "legitimate", 900, "feed"))
    assert found.labels == {0: "abusive"}


def test_feeds_that_disagree_leave_no_label(engine: Engine) -> None:
    found = decided(
        engine,
        label("org-a", "abusive", 1, "one"),
        label("org-a", "legitimate", 2, "two"),
        label("org-b", "abusive", 1, "one"),
        label("org-b", "abusive", 2, "two"),
    )
    assert found.labels == {1: "abusive"}


def test_a_feed_that_contradicts_itself_counts_for_nothing_there_and_is_named(engine: Engine) -> None:
    found = decided(
        engine,
        label("org-a", "abusive", 1, "feed"),
        label("org-a", "legitimate", 2, "feed"),
        label("org-b", "abusive", 2, "feed"),
        label("org-c", "abusive", 2, "feed"),
        label("org-c", "legitimate", 80, "feed"),
    )
    assert found.labels == {1: "abusive", 2: "legitimate"}
    (warning,) = found.warnings
    assert "'feed' contradict themselves about 1" in warning
    assert "'org-a'" in warning


def test_a_feed_without_a_name_is_its_source(engine: Engine) -> None:
    found = decided(engine, label("org-a", "abusive", 1, None), label("org-a", "legitimate", 1, None))
    assert found.labels == {}
    assert "'default'" in found.warnings[0]


def test_identifiers_are_labelled_by_the_same_rules(engine: Engine) -> None:
    card = {"entity_type": "payment_method", "entity": CARD, "label_source": "feed"}
    own = {"entity_type": "organization", "entity": KEYS["org-d"], "label_source": "feed"}
    found = decided(
        engine,
        said("entity_labelled", None, 1, label="abusive", **card),
        said("entity_labelled", None, 1, label="legitimate", **own),
    )
    assert found.labels == {3: "legitimate"}
    labels = engine.fetch("SELECT kind, key, label FROM entity_labels").to_pylist()
    assert [(row["kind"], row["key"].bytes, row["label"]) for row in labels] == [
        ("payment_method", CARD, "abusive")
    ]


def test_a_protection_holds_until_it_is_ended(engine: Engine) -> None:
    protect = "organization_protected"
    found = decided(
        engine,
        said(protect, "org-a", 1),
        said(protect, "org-b", 1),
        said(protect, "org-b", 2, action="end"),
        said(protect, "org-c", 2, action="end"),
        said(protect, "org-c", 3),
    )
    assert found.protected == {0, 2}


def test_pairs_are_not_linked_whoever_is_named_first(engine: Engine) -> None:
    pair = "organizations_not_linked"
    found = decided(
        engine,
        said(pair, "org-c", 1, other_organization=KEYS["org-a"]),
        said(pair, "org-a", 2, other_organization=KEYS["org-c"]),
        said(pair, "org-b", 2, other_organization=KEYS["org-b"]),
        said(pair, "org-b", 2, other_organization=b"\xaa" * 16),
    )
    assert found.not_linked.tolist() == [[0, 2]]
    assert found.warnings == ("1 declarations of 'not linked' name an organization without events",)


def test_a_run_knows_decisions_and_labels_can_be_asked_for_later(tmp_path: Path) -> None:
    """Two who share everything are parted for ever; whatever comes later does not join them again."""
    ring = [
        event(org, hour, device_id="dev-one", phone="+14155550101")
        for hour in range(3)
        for org in ("a", "b", "c")
    ]
    home = home_of(tmp_path, numbered(ring))
    assert len(set(run(home).table("members", ["cluster_id"])["cluster_id"].to_pylist())) == 1
    pair = event("a", 2, "organizations_not_linked", other_org_id="b", event_id="pair")
    add(home, [pair, event("c", 2, "organization_labelled", label="abusive", event_id="label")])
    for hours in (2, 400):
        add(home, [event(org, hours, device_id="dev-two", event_id=f"{org}{hours}") for org in ("a", "b")])
        files = run(home, as_of=at(hours))
        cluster = {row["org_id"]: row["cluster_id"] for row in files.table("members").to_pylist()}
        assert cluster.get("a") is None or cluster.get("a") != cluster.get("b")
    assert labels_of(home, files) == {"c": "abusive"}
