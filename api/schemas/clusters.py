"""Clusters over the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from api.answers.reading import Row
from api.schemas.base import AT, Answered, Moment, Money, example, money
from graph.store import ClusterOrder, Node, Relationship

SORTS: Mapping[str, ClusterOrder] = {
    "risk": ClusterOrder.RISK,
    "size": ClusterOrder.SIZE,
    "cost": ClusterOrder.COST,
    "change": ClusterOrder.NEW,
}
Sort = Literal["risk", "size", "cost", "change"]
CLUSTER_ID = r"^cl_[a-z0-9]{10}$"

_CLUSTER = {
    "cluster_id": "cl_iuyzaqhqd5",
    "name": "Trial farm cl_iuyzaqhqd5",
    "pattern": "trial_farm",
    "size": 22,
    "risk": 99.97,
    "points": 238.0,
    "founder": "org_1",
    "born_at": AT,
    "first_at": "2026-02-20T03:27:13Z",
    "last_at": AT,
    "actionable": 20,
    "new_24h": 3,
    "cost": "25.815862",
    "cost_24h": "1.250000",
    "credit_used": "24.405475",
    "ties": 180,
    "top_evidence": ["hidden_characters", "shared_phone", "shared_device"],
}
_EVIDENCE = {
    "signal": "shared_phone",
    "title": "Shared phone numbers",
    "group": "common",
    "points": 62.0,
    "value": 0.8,
    "baseline": 0.01,
    "affected": 18,
    "eligible": 22,
    "fact": "18 of 22 organizations gave a number that another of them gave",
}


class Cluster(Answered):
    """A tracked group of organizations that one operator seems to run."""

    model_config = ConfigDict(json_schema_extra=example(_CLUSTER))
    cluster_id: str
    name: str
    pattern: str | None
    size: int
    actionable: int
    risk: Annotated[float, Field(ge=0, le=100)]
    points: float
    founder: str | None
    born_at: Moment | None
    first_at: Moment | None
    last_at: Moment | None
    new_24h: int
    cost: Money | None
    cost_24h: Money | None
    credit_used: Money | None
    ties: int
    top_evidence: list[str]

    @classmethod
    def of(cls, node: Node) -> Cluster:
        """From the graph's node."""
        given = dict(node.properties)
        for name in ("cost", "cost_24h", "credit_used"):
            value = given[name]
            given[name] = money(value) if isinstance(value, float | int) else None
        top = str(given["top_evidence"] or "")
        fields: dict[str, Any] = {**given, "top_evidence": [one for one in top.split(";") if one]}
        return cls(**{name: fields[name] for name in cls.model_fields})


class Evidence(Answered):
    """One row of a score: the points of a cluster's rows add up to its total."""

    model_config = ConfigDict(json_schema_extra=example(_EVIDENCE))
    signal: str
    title: str
    group: str
    points: float
    value: float | None
    baseline: float | None
    affected: int | None
    eligible: int | None
    fact: str | None

    @classmethod
    def of(cls, shows: Relationship, signal: Node | None) -> Evidence:
        """From the relationship and its signal."""
        known = signal.properties if signal is not None else {}
        given: dict[str, Any] = dict(shows.properties)
        title, group = str(known.get("title") or shows.target.key), str(known.get("group") or "common")
        return cls(signal=shows.target.key, title=title, group=group, **given)


class ClusterDetail(Answered):
    """One cluster with the rows of its score, largest first."""

    model_config = ConfigDict(
        json_schema_extra=example({"run_id": "run_1", "cluster": _CLUSTER, "evidence": [_EVIDENCE]})
    )
    run_id: str
    cluster: Cluster
    evidence: list[Evidence]


class Member(Answered):
    """An organization in a cluster."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "org_id": "org_1",
                "cluster_id": "cl_iuyzaqhqd5",
                "member_risk": 99.9,
                "actionable": True,
                "spared_reason": None,
                "top_evidence": ["shared_phone"],
                "first_at": "2026-02-20T03:27:13Z",
                "last_at": AT,
                "cost": "1.020885",
            }
        )
    )
    org_id: str
    cluster_id: str
    member_risk: float
    actionable: bool
    spared_reason: str | None
    top_evidence: list[str]
    first_at: Moment | None
    last_at: Moment | None
    cost: Money | None

    @classmethod
    def of(cls, row: Row) -> Member:
        """From a row of the run's members."""
        top = [one for one in (row["top_evidence"] or "").split(";") if one]
        given = {**row, "top_evidence": top, "cost": money(row["cost"])}
        return cls(**{name: given[name] for name in cls.model_fields})


class EvidenceRow(Answered):
    """One observation behind a signal: what an organization used when, and how often. `value` is masked."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "signal": "shared_phone",
                "org_id": "org_1",
                "label": "Phone",
                "key": "00112233445566778899aabbccddeeff",
                "value": "•••4711",
                "happened_at": AT,
                "count": 2,
            }
        )
    )
    signal: str
    org_id: str | None
    label: str | None
    key: str | None
    value: str | None
    happened_at: Moment | None
    count: int | None


class Bucket(Answered):
    """One stretch of a timeline, from `at` on."""

    at: Moment
    appeared: Annotated[int, Field(description="Members whose first event is in it.")]
    last_seen: Annotated[int, Field(description="Members whose last event is in it.")]
    evidence: Annotated[dict[str, int], Field(description="Rows of evidence in it, by signal.")]


class Timeline(Answered):
    """What happened in a cluster, by day or hour; stretches in which nothing did are left out."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "run_id": "run_1",
                "as_of": AT,
                "cluster_id": "cl_iuyzaqhqd5",
                "unit": "day",
                "buckets": [
                    {
                        "at": "2026-03-01T00:00:00Z",
                        "appeared": 12,
                        "last_seen": 0,
                        "evidence": {"shared_phone": 9},
                    }
                ],
            }
        )
    )
    run_id: str
    as_of: Moment
    cluster_id: str
    unit: Literal["day", "hour"]
    buckets: list[Bucket]


class Change(Answered):
    """What one run did to a cluster."""

    run_id: str
    as_of: Moment
    cluster_id: str
    previous_id: str | None
    change: str
    jaccard: float


class LineageOf(Answered):
    """What became of a cluster over the runs that are kept, oldest first, and where its members are now."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "cluster_id": "cl_iuyzaqhqd5",
                "alive": True,
                "last_run": "run_1",
                "successors": [],
                "changes": [
                    {
                        "run_id": "run_1",
                        "as_of": AT,
                        "cluster_id": "cl_iuyzaqhqd5",
                        "previous_id": None,
                        "change": "born",
                        "jaccard": 0.0,
                    }
                ],
            }
        )
    )
    cluster_id: str
    alive: bool
    last_run: str | None
    successors: list[str]
    changes: list[Change]


class SubgraphOf(Answered):
    """A cluster by column: each table maps a column's name to its values, all of one length.

    `relationships` name rows of the two other tables by number. `cells` is null where the run has no layout.
    """

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "run_id": "run_1",
                "cluster_id": "cl_iuyzaqhqd5",
                "organizations": {"org_id": ["org_1", "org_2"], "member_risk": [99.9, 98.0]},
                "identifiers": {"label": ["Phone"], "key": ["00112233445566778899aabbccddeeff"]},
                "relationships": {"type": ["USED_PHONE", "USED_PHONE"], "source": [0, 1], "target": [0, 0]},
                "cells": None,
                "total": 1,
                "cut": False,
            }
        )
    )
    run_id: str
    cluster_id: str
    organizations: dict[str, list[Any]]
    identifiers: dict[str, list[Any]]
    relationships: dict[str, list[Any]]
    cells: dict[str, list[Any]] | None
    total: Annotated[int, Field(description="Identifiers that there are; the table may have fewer.")]
    cut: bool
