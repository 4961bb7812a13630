"""Finding things, looking around them, and asking why two belong together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import Query

from api.answers import connections
from api.answers.search import search as find
from api.auth.masking import Mask
from api.http.guard import Routes
from api.http.problems import Problem
from api.routes.needs import Limit, MaskOf, ReadsOf
from api.schemas.base import Page
from api.schemas.graph import CommonOf, Connection, Expanded, Found, Organization, Point, TieOf, Why
from graph.lookup import organization_ref
from graph.schema import NODE_OF_KIND, NODES, RELATIONSHIPS
from graph.store import DEGREE_CAP, Node, NodeRef

routes = Routes("search")
OrgId = Annotated[str, Query(min_length=1, max_length=512, description="An organization's id, exactly.")]


@routes.reads("/search")
def search(
    reads: ReadsOf,
    mask: MaskOf,
    q: Annotated[str, Query(min_length=1, max_length=500, examples=["org_1"])],
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> Page[Found]:
    """Organizations, clusters and identifiers that are, are spelled like, look like or begin with a text."""
    found = find(reads.store(), q, limit)
    items = [
        Found(
            kind=each.kind,
            value=mask.text(_label(each.kind), each.display),
            match=each.match,
            count=each.count,
            organizations=each.organizations,
            cluster_id=each.cluster,
        )
        for each in found.rows
    ]
    return Page(items=items, total=found.total)


def _label(kind: str) -> str:
    name = kind.replace(" ", "_")
    return NODE_OF_KIND[name].label if name in NODE_OF_KIND else name.capitalize()


@routes.reads("/expand")
def expand(
    reads: ReadsOf,
    mask: MaskOf,
    node: Annotated[list[str], Query(min_length=1, max_length=100, description="`Label:key` or `org:ID`.")],
    type: Annotated[list[str] | None, Query(max_length=30)] = None,  # noqa: A002 - the graph's word
    degree_cap: Annotated[int, Query(ge=0, le=1_000_000)] = DEGREE_CAP,
    leaves: Annotated[
        bool, Query(description="Also what one organization alone has; without its text.")
    ] = False,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
) -> Expanded:
    """All relationships at some nodes, in either direction, and the nodes at their other ends."""
    frontier = [_ref(text, reads.pepper) for text in node]
    for name in type or ():
        if name not in RELATIONSHIPS:
            raise Problem(
                "invalid", "there is no such relationship", f"Choose of: {', '.join(RELATIONSHIPS)}."
            )
    store = reads.with_leaves() if leaves else reads.store()
    found = store.expand(frontier, types=type, degree_cap=degree_cap, limit=limit)
    ends = {end for each in found.items for end in (each.source, each.target)}
    nodes = reads.store().get_nodes(sorted(ends))
    return Expanded(
        run_id=reads.run_id(),
        nodes=[_point(ref, nodes, mask) for ref in sorted(ends)],
        relationships=[Connection.of(each) for each in found.items],
        total=found.total,
        hubs=found.hubs,
    )


def _point(ref: NodeRef, nodes: Mapping[NodeRef, Node], mask: Mask) -> Point:
    known = nodes.get(ref)
    if known is None:
        return Point(label=ref.label, key=ref.key, name=None, degree=1)
    return Point.of(known, mask)


def _ref(text: str, pepper: bytes) -> NodeRef:
    label, _, key = text.partition(":")
    if label == "org" and key:
        return organization_ref(key, pepper)
    if label not in NODES or not key or len(key) > 512:
        raise Problem("invalid", "a node is named `Label:key` or `org:ID`", f"Labels: {', '.join(NODES)}.")
    return NodeRef(label, key)


@routes.reads("/why")
def why(reads: ReadsOf, mask: MaskOf, a: OrgId, b: OrgId | None = None, limit: Limit = 10) -> Why:
    """Why two organizations belong together, or what ties one of them to anybody."""
    run, store = reads.resident(), reads.store()
    if b is None:
        single = connections.one(run, store, reads.organization(a), limit)
        return Why(
            run_id=run.run_id,
            a=Organization.of(single.organization),
            b=None,
            path=[TieOf.of(tie, mask) for tie in single.ties],
            common=[],
            total=single.total,
            organizations=single.organizations,
        )
    both = connections.pair(run, store, reads.organization(a), reads.organization(b))
    return Why(
        run_id=run.run_id,
        a=Organization.of(both.a),
        b=Organization.of(both.b),
        path=[TieOf.of(tie, mask) for tie in both.path],
        common=[CommonOf.of(each, mask) for each in both.common],
        total=len(both.path),
        organizations=both.organizations,
    )
