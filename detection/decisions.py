"""Decisions as facts: what people and feeds have said about organizations and identifiers, and what of it holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detection.engines.duckdb import Engine
from detection.links import EVENT_COLUMNS
from detection.runs import RunFiles
from detection.settings import EngineSettings
from graph.facts import FactsReader
from graph.home import Home

Ints = npt.NDArray[np.int64]

STAGES = (
    "decisions",
    "label_claims",
    "org_labels",
    "entity_labels",
    "protected_organizations",
    "not_linked",
)
"""In order; they read `decisions_parts` and `organizations`, and each leaves the table of its name."""


@dataclass(frozen=True)
class Decisions:
    """What holds in one run, organizations by their numbers in `organizations`.

    `labels`: organization -> `abusive` or `legitimate`; `protected`: organizations; `not_linked`: pairs (n, 2) with
    the lesser number first, sorted; `warnings`: what was not believed, in words.
    """

    labels: dict[int, str]
    protected: frozenset[int]
    not_linked: Ints
    warnings: tuple[str, ...]


def decide(engine: Engine) -> Decisions:
    """Leave the tables of `STAGES` in the engine, and return what holds."""
    for stage in STAGES:
        engine.stage(stage)
    labels = engine.fetch("SELECT org, label FROM org_labels ORDER BY org")
    protected = engine.fetch("SELECT org FROM protected_organizations")
    pairs = engine.fetch("SELECT a, b FROM not_linked ORDER BY a, b")
    return Decisions(
        labels=dict(zip(labels["org"].to_pylist(), labels["label"].to_pylist(), strict=True)),
        protected=frozenset(protected["org"].to_pylist()),
        not_linked=np.column_stack([pairs["a"].to_numpy(), pairs["b"].to_numpy()]).astype(np.int64),
        warnings=(*_contradictions(engine), *_unknown(engine)),
    )


def _contradictions(engine: Engine) -> list[str]:
    found = engine.fetch(
        "SELECT c.label_source, COUNT(*) AS subjects, COALESCE(MIN(o.org_id), '') AS example FROM label_claims AS c"
        " LEFT JOIN organizations AS o ON c.org = o.org WHERE c.contradicted GROUP BY c.label_source ORDER BY 1"
    )
    return [
        f"labels of {row['label_source']!r} contradict themselves about {row['subjects']:,} of their subjects"
        f"{', such as ' + repr(row['example']) if row['example'] else ''}: those count for nothing"
        for row in found.to_pylist()
    ]


def _unknown(engine: Engine) -> list[str]:
    found = engine.fetch(
        "SELECT COUNT(*) AS pairs FROM decisions"
        " WHERE decision = 'organizations_not_linked' AND (org IS NULL OR other IS NULL)"
    )
    pairs = found["pairs"][0].as_py()
    return [f"{pairs:,} declarations of 'not linked' name an organization without events"] if pairs else []


def labels_of(home: Home, files: RunFiles) -> dict[str, str]:
    """The label of each labelled organization of a run, by its id, with all labels that the home knows by now."""
    events = [file.path for file in FactsReader(home).event_files()]
    organizations = files.table("organizations", ["org_id", "organization"])
    numbers = pa.array(np.arange(len(organizations)), pa.int32())
    with Engine(EngineSettings()) as engine:
        engine.register("organizations", organizations.append_column("org", numbers))
        engine.read("events", events, EVENT_COLUMNS)
        engine.stage("day_decisions")
        engine.register("decisions_parts", engine.fetch("SELECT * FROM day_decisions"))
        for stage in STAGES[:3]:
            engine.stage(stage)
        found = engine.fetch(
            "SELECT o.org_id, l.label FROM org_labels AS l INNER JOIN organizations AS o ON l.org = o.org"
        )
    return dict(zip(found["org_id"].to_pylist(), found["label"].to_pylist(), strict=True))
