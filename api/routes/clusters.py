"""Clusters: the queue, one of them, who is in it, what they share, and what became of it."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

import numpy as np
import orjson
from fastapi import Path, Query, Request
from starlette.responses import Response

from api.answers.columns import columns
from api.answers.reading import Row, key_bytes
from api.answers.resident import Resident
from api.answers.timeline import timeline as stretches
from api.auth.masking import Mask
from api.http import etag
from api.http.guard import Routes
from api.http.problems import not_found
from api.reads import Reads
from api.routes.needs import After, CursorsOf, Limit, MaskOf, ReadsOf
from api.schemas.base import Page
from api.schemas.clusters import (
    CLUSTER_ID,
    SORTS,
    Bucket,
    Change,
    Cluster,
    ClusterDetail,
    Evidence,
    EvidenceRow,
    LineageOf,
    Member,
    Sort,
    SubgraphOf,
    Timeline,
)
from graph.lineage import UnknownClusterError, lineage
from graph.schema import NODE_OF_KIND
from graph.store import ClusterFilter, NodeRef

routes = Routes("clusters")
ClusterId = Annotated[
    str, Path(pattern=CLUSTER_ID, description="A cluster's id.", examples=["cl_iuyzaqhqd5"])
]
Risk = Annotated[float, Query(ge=0, le=100, allow_inf_nan=False)]
FRESH_S = 5
"""Seconds for which a picture of a cluster is given again before statuses are looked up anew."""


@routes.reads("/clusters")
def list_clusters(
    reads: ReadsOf,
    cursors: CursorsOf,
    sort: Sort = "risk",
    min_risk: Risk = 0,
    max_risk: Risk = 100,
    min_size: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
    pattern: Annotated[str | None, Query(max_length=100)] = None,
    q: Annotated[str | None, Query(max_length=200, description="Beginning of the id or the name.")] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[Cluster]:
    """Clusters that pass all filters, the largest first by risk, size, cost or change (new members in 24 h)."""
    asked = ["clusters", sort, min_risk, max_risk, min_size, pattern, q]
    place = None if after is None else cursors.read(asked, after)
    where = ClusterFilter(min_risk, max_risk, min_size, pattern, q or None)
    page = reads.store().clusters(where, order=SORTS[sort], after=place, limit=limit)
    following = None if page.after is None else cursors.make(asked, page.after)
    return Page(items=[Cluster.of(node) for node in page.items], next=following, total=page.total)


@routes.reads("/clusters/{cluster_id}")
def get_cluster(reads: ReadsOf, cluster_id: ClusterId) -> ClusterDetail:
    """One cluster with the rows of its score."""
    node = reads.cluster(cluster_id)
    store = reads.store()
    shows = store.expand([node.ref], types=["SHOWS"], degree_cap=None).items
    signals = store.get_nodes([each.target for each in shows])
    evidence = [Evidence.of(each, signals.get(each.target)) for each in shows]
    evidence.sort(key=lambda each: (-each.points, each.signal))
    return ClusterDetail(run_id=reads.run_id(), cluster=Cluster.of(node), evidence=evidence)


@routes.reads("/clusters/{cluster_id}/members")
def list_members(
    reads: ReadsOf,
    cursors: CursorsOf,
    cluster_id: ClusterId,
    actionable: bool | None = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[Member]:
    """Its members, the riskiest first."""
    asked = ["members", cluster_id, actionable]
    place = None if after is None else cursors.read(asked, after)
    table = _known(reads, cluster_id).members.rows(cluster_id)
    if actionable is not None:
        table = table.filter(np.asarray(table["actionable"].to_numpy()) == actionable)
    first = 0
    if place is not None:
        risk, org_id = place
        risks = np.asarray(table["member_risk"].to_numpy())
        first = int((risks > risk).sum())
        same = table["org_id"].slice(first, int((risks == risk).sum())).to_pylist()
        first += sum(each <= org_id for each in same)
    rows: list[Row] = table.slice(first, limit).to_pylist()
    more = table.num_rows > first + limit
    following = cursors.make(asked, [rows[-1]["member_risk"], rows[-1]["org_id"]]) if more else None
    return Page(items=[Member.of(row) for row in rows], next=following, total=table.num_rows)


@routes.reads("/clusters/{cluster_id}/evidence")
def list_evidence(
    reads: ReadsOf,
    cursors: CursorsOf,
    mask: MaskOf,
    cluster_id: ClusterId,
    signal: Annotated[str | None, Query(max_length=100)] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[EvidenceRow]:
    """The observations behind its score, oldest first: who used what when."""
    run = _known(reads, cluster_id)
    asked = ["evidence", run.run_id, cluster_id, signal]
    first = 0 if after is None else int(cursors.read(asked, after))
    table = run.evidence_rows.rows(cluster_id)
    if signal is not None:
        table = table.filter(np.asarray(table["signal"].to_pylist(), dtype=object) == signal)
    rows: list[Row] = table.slice(first, limit).to_pylist()
    more = table.num_rows > first + limit
    following = cursors.make(asked, first + limit) if more else None
    return Page(items=_evidence_rows(reads, mask, rows), next=following, total=table.num_rows)


@routes.reads("/clusters/{cluster_id}/subgraph", response_model=SubgraphOf)
def get_subgraph(
    request: Request,
    reads: ReadsOf,
    mask: MaskOf,
    cluster_id: ClusterId,
    min_members: Annotated[int, Query(ge=1, le=1_000_000)] = 2,
    limit: Annotated[int, Query(ge=1, le=100_000, description="Identifiers at most.")] = 20_000,
) -> Response:
    """It by column, with a tag: its members, the identifiers that they share, and who uses which.

    A change of an organization's status shows within five seconds.
    """

    def make() -> etag.Prepared:
        found = reads.with_leaves().cluster_subgraph(cluster_id, min_members=min_members, limit=limit)
        if found is None:
            raise not_found(f"cluster {cluster_id}", "See /v1/clusters.")
        body = {"run_id": reads.run_id(), "cluster_id": cluster_id, **columns(found, mask.text)}
        return etag.Prepared.of(orjson.dumps(body))

    recent = int(time.monotonic() / FRESH_S)
    prepared = reads.kept("subgraph", (cluster_id, min_members, limit, mask, recent), make, etag.weight)
    return etag.answer(request, prepared)


@routes.reads("/clusters/{cluster_id}/timeline")
def get_timeline(reads: ReadsOf, cluster_id: ClusterId, unit: Literal["day", "hour"] = "day") -> Timeline:
    """When its members appeared and were last seen, and when what speaks against them happened."""
    run = _known(reads, cluster_id)
    buckets = [
        Bucket(at=each.at, appeared=each.appeared, last_seen=each.last_seen, evidence=dict(each.evidence))
        for each in stretches(run, cluster_id, unit)
    ]
    return Timeline(run_id=run.run_id, as_of=run.as_of, cluster_id=cluster_id, unit=unit, buckets=buckets)


@routes.reads("/clusters/{cluster_id}/lineage")
def get_lineage(reads: ReadsOf, cluster_id: ClusterId) -> LineageOf:
    """What became of it over the runs, also where it is no more."""

    def make() -> LineageOf:
        try:
            found = lineage(reads.home.runs, cluster_id)
        except UnknownClusterError:
            raise not_found(
                f"cluster {cluster_id}", "No run that is kept had it: see /v1/clusters."
            ) from None
        return LineageOf(
            cluster_id=found.cluster_id,
            alive=found.alive,
            last_run=found.last_run,
            successors=list(found.successors),
            changes=[Change(**vars(each)) for each in found.changes],
        )

    return reads.kept("lineage", cluster_id, make)


def _known(reads: Reads, cluster_id: str) -> Resident:
    """The run in memory, once it is known that the cluster exists."""
    reads.cluster(cluster_id)
    return reads.resident()


def _evidence_rows(reads: Reads, mask: Mask, rows: list[Row]) -> list[EvidenceRow]:
    refs = {_ref(row) for row in rows}
    nodes = reads.store().get_nodes([ref for ref in refs if ref is not None])
    found = []
    for row in rows:
        ref = _ref(row)
        node = nodes.get(ref) if ref is not None else None
        given: dict[str, Any] = {name: row[name] for name in ("signal", "org_id", "happened_at", "count")}
        found.append(
            EvidenceRow(
                label=ref.label if ref else None,
                key=ref.key if ref else None,
                value=mask.text(node.ref.label, node.name) if node else None,
                **given,
            )
        )
    return found


def _ref(row: Row) -> NodeRef | None:
    if row["key"] is None or row["kind"] not in NODE_OF_KIND:
        return None
    return NodeRef(NODE_OF_KIND[row["kind"]].label, key_bytes(row["key"]).hex())
