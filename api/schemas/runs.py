"""Runs, signals, detectors and named queries over the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue

from api.schemas.base import AT, Answered, Given, Moment, example

_RUN = {
    "run_id": "run_20260304T120000Z_0000abcd",
    "current": True,
    "as_of": AT,
    "created_at": AT,
    "previous": None,
    "grade": "unproven",
    "scorecard": "",
    "counts": {"organizations": 5000, "clusters": 93},
    "warnings": [],
    "unfit_for_lasting_actions": [],
}


class Run(Answered):
    """One execution of the pipeline. `current` marks the one that is shown."""

    model_config = ConfigDict(json_schema_extra=example(_RUN))
    run_id: str
    current: bool
    as_of: Moment
    created_at: Moment
    previous: str | None
    grade: str
    scorecard: str
    counts: dict[str, int]
    warnings: list[str]
    unfit_for_lasting_actions: list[str]

    @classmethod
    def of(cls, manifest: dict[str, Any], current: str | None) -> Run:
        """From a manifest."""
        given = {**manifest, "current": manifest["run_id"] == current}
        return cls(**{name: given[name] for name in cls.model_fields})


class RunDetail(Answered):
    """One run with all that its manifest says."""

    model_config = ConfigDict(
        json_schema_extra=example({"run": _RUN, "manifest": {"run_id": _RUN["run_id"], "peak_rss_mb": 300}})
    )
    run: Run
    manifest: dict[str, JsonValue]


class Signal(Answered):
    """Something that a detector looks for, and how many clusters of the run it gives points."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"signal": "shared_phone", "title": "Shared phone numbers", "group": "common", "clusters": 12}
        )
    )
    signal: str
    title: str
    group: str
    clusters: int


class DetectorOf(Answered):
    """A detector: `ships` with the product, or one of the home's with its state."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "id": "shared_phone",
                "state": "ships",
                "title": "Shared phone numbers",
                "group": "common",
                "language": "sql",
                "points": 62.0,
                "hits": 12,
                "tested_at": None,
                "note": "",
            }
        )
    )
    id: str
    state: str
    title: str
    group: str
    language: str
    points: float
    hits: int | None
    tested_at: Moment | None
    note: str


class ParameterOf(Answered):
    """One parameter of a named query."""

    name: str
    type: str
    meaning: str
    required: bool
    default: JsonValue
    range: str


class ColumnOf(Answered):
    """One column of a named query's answer."""

    name: str
    type: str
    meaning: str


class QueryOf(Answered):
    """A named query."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "name": "members_of_cluster",
                "title": "Members of a cluster",
                "purpose": "Who belongs to it, the riskiest first.",
                "parameters": [
                    {
                        "name": "cluster_id",
                        "type": "text",
                        "meaning": "The cluster.",
                        "required": True,
                        "default": None,
                        "range": "",
                    }
                ],
                "columns": [{"name": "org_id", "type": "text", "meaning": "The member."}],
                "example": {"cluster_id": "cl_iuyzaqhqd5"},
            }
        )
    )
    name: str
    title: str
    purpose: str
    parameters: list[ParameterOf]
    columns: list[ColumnOf]
    example: dict[str, str]


class QueryRequest(Given):
    """Values for a named query's parameters; those left out have their defaults."""

    model_config = ConfigDict(
        json_schema_extra=example({"parameters": {"cluster_id": "cl_iuyzaqhqd5", "limit": 10}})
    )
    parameters: Annotated[
        dict[str, str | int | float | bool | None], Field(max_length=50, default_factory=dict)
    ]


class QueryAnswer(Answered):
    """The rows of a named query; `cut` says that there are more."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"run_id": "run_1", "columns": ["org_id"], "rows": [["org_1"], ["org_2"]], "cut": False}
        )
    )
    run_id: str
    columns: list[str]
    rows: list[list[Any]]
    cut: bool


class Health(Answered):
    """That the process answers."""

    model_config = ConfigDict(json_schema_extra=example({"status": "ok"}))
    status: Literal["ok"] = "ok"


class Ready(Answered):
    """That it can answer questions, and about which run."""

    model_config = ConfigDict(json_schema_extra=example({"status": "ready", "run_id": "run_1"}))
    status: Literal["ready"] = "ready"
    run_id: str
