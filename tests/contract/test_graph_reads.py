"""Reads that put a store's primitives together give what networkx and plain Python give."""

from __future__ import annotations

import math
from collections import Counter
from datetime import datetime
from itertools import pairwise
from typing import Any

import networkx as nx
import pytest
from graph_properties import Opened, for_every, names, views
from graph_views import START, Edge, HandView, org_ref, ref
from hypothesis import strategies as st

from graph.errors import RingfenceError
from graph.paths import evidence_paths
from graph.referrals import Direction, referral_chain
from graph.rings import bridges, co_creation, timeline, top_identifiers
from graph.schema import EVIDENCE, RELATIONSHIPS
from graph.store import GraphStore, NodeRef, Relationship
from graph.walks import neighbourhood, shortest_path

CAPS = st.none() | st.integers(1, 6)
TYPES = st.none() | st.just(EVIDENCE) | st.sets(st.sampled_from(sorted(RELATIONSHIPS)), min_size=1)


def edge_of(rel: Relationship) -> Edge:
    return Edge(rel.type, rel.target, rel.source, rel.degree)


def wanted(view: HandView, types: Any, cap: int | None) -> tuple[list[Edge], nx.Graph]:
    """The relationships that count, and the graph of them with every node."""
    edges = [edge for edge in view.edges(types) if cap is None or edge.degree <= cap]
    graph = nx.Graph((edge.source, edge.target) for edge in edges)
    graph.add_nodes_from(view.oracle().nodes)
    return edges, graph


@for_every(120, view=views(), pick=st.integers(0, 99), depth=st.integers(1, 4), types=TYPES, cap=CAPS)
def test_a_neighbourhood_is_everything_within_its_depth(
    filled: Opened, view: HandView, pick: int, depth: int, types: Any, cap: int | None
) -> None:
    edges, graph = wanted(view, types, cap)
    start = sorted(graph)[pick % len(graph)]
    distance = nx.single_source_shortest_path_length(graph, start, cutoff=depth)
    inner = {node for node, steps in distance.items() if steps < depth}

    def nearest(edge: Edge) -> int:
        return min(distance.get(end, depth) for end in (edge.source, edge.target))

    found = neighbourhood(filled(view), start, depth=depth, types=types, degree_cap=cap)

    assert [node.ref for node in found.nodes] == sorted(distance, key=lambda node: (distance[node], node))
    expected = [edge for edge in edges if {edge.source, edge.target} & inner]
    assert [edge_of(rel) for rel in found.relationships] == sorted(
        expected, key=lambda edge: (nearest(edge), edge)
    )
    assert (found.total, found.cut) == (len(expected), False)
    assert found.hubs == len(
        {
            edge.target
            for edge in view.edges(types)
            if cap is not None and edge.degree > cap and {edge.source, edge.target} & inner
        }
    )


@for_every(60, view=views(), pick=st.integers(0, 99), limit=st.integers(0, 12))
def test_a_cut_neighbourhood_is_the_nearest_part_of_it(
    filled: Opened, view: HandView, pick: int, limit: int
) -> None:
    store = filled(view)
    nodes = sorted(view.oracle().nodes)
    start = nodes[pick % len(nodes)]
    whole = neighbourhood(store, start, depth=3, degree_cap=None)
    part = neighbourhood(store, start, depth=3, degree_cap=None, limit=limit)
    assert part.relationships == whole.relationships[:limit]
    assert part.nodes == tuple(node for node in whole.nodes if node in part.nodes)
    ends = {end for rel in part.relationships for end in (rel.source, rel.target)}
    assert {node.ref for node in part.nodes} == ends | {start}
    assert part.cut == (limit < len(whole.relationships))
    assert len(part.relationships) <= part.total <= whole.total
    assert (" of " in part.note) == part.cut


@for_every(
    200,
    view=views(),
    picks=st.tuples(*[st.integers(0, 99)] * 2),
    depth=st.integers(1, 8),
    cap=CAPS,
    types=TYPES,
)
def test_the_shortest_path_is_as_short_as_the_one_of_networkx(
    filled: Opened, view: HandView, picks: tuple[int, int], depth: int, cap: int | None, types: Any
) -> None:
    edges, graph = wanted(view, types, cap)
    a, b = (sorted(graph)[pick % len(graph)] for pick in picks)
    connected = nx.has_path(graph, a, b)
    paths = sorted(nx.all_shortest_paths(graph, a, b)) if connected else []

    found = shortest_path(filled(view), a, b, types=types, degree_cap=cap, max_depth=depth)

    if paths and len(paths[0]) <= depth + 1:
        assert list(found.nodes) == paths[0]
        known = {frozenset((edge.source, edge.target)): edge for edge in reversed(edges)}
        assert [edge_of(rel) for rel in found.relationships] == [
            known[frozenset(ends)] for ends in pairwise(paths[0])
        ]
    else:
        assert found.nodes == ()
        assert (found.searched, found.cut) == (depth, False)
        assert not (found.exhausted and connected)
        assert "none" in found.note


@for_every(
    120,
    view=views(),
    depth=st.integers(1, 6),
    limit=st.integers(1, 5),
    cap=st.integers(1, 6),
    hubs=st.booleans(),
)
def test_evidence_paths_are_the_rarest_that_networkx_finds(
    filled: Opened, view: HandView, depth: int, limit: int, cap: int, hubs: bool
) -> None:
    a, b = org_ref(view.organizations[0]), org_ref(view.organizations[1])
    edges, evidence = wanted(view, EVIDENCE, None if hubs else cap)
    degree = {edge.target: edge.degree for edge in edges}

    def rank(path: list[NodeRef]) -> tuple[int, int, list[NodeRef]]:
        return sum(round(math.log(degree[node]) * 1_000_000) for node in path[1::2]), len(path), path

    paths = sorted(nx.all_simple_paths(evidence, a, b, cutoff=depth), key=rank)

    found = evidence_paths(filled(view), a, b, depth=depth, limit=limit, degree_cap=cap, include_hubs=hubs)

    assert [list(path.nodes) for path in found.items] == paths[:limit]
    assert found.cut == (len(paths) > limit)
    assert ("none" in found.note) == (not paths)
    for path, expected in zip(found.items, paths, strict=False):
        assert path.commonness == pytest.approx(rank(expected)[0] / 1_000_000, abs=1e-5)
        assert [{rel.source, rel.target} for rel in path.relationships] == [
            {x, y} for x, y in pairwise(expected)
        ]


def referrals_of(view: HandView, direction: str) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from(map(org_ref, view.organizations))
    graph.add_edges_from((org_ref(brought), org_ref(by)) for brought, by in view.referrals)
    return graph if direction == "up" else graph.reverse()


@st.composite
def referred(draw: st.DrawFn) -> HandView:
    orgs = draw(names())
    pair = st.tuples(st.sampled_from(orgs), st.sampled_from(orgs))
    return HandView(orgs, referrals=draw(st.lists(pair, max_size=16, unique=True)))


@for_every(
    150,
    view=referred(),
    direction=st.sampled_from(Direction),
    depth=st.integers(1, 9),
    many=st.sampled_from([1, 10_000]),
)
def test_a_referral_chain_is_what_networkx_reaches_and_names_every_loop(
    filled: Opened, view: HandView, direction: Direction, depth: int, many: int
) -> None:
    start = org_ref(view.organizations[0])
    graph = referrals_of(view, direction)
    distance = nx.single_source_shortest_path_length(graph, start, cutoff=depth)
    followed = [(x, y) for x, y in graph.edges if distance.get(x, depth) < depth]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("graph.referrals.MANY", many)
        chain = referral_chain(filled(view), start, direction, depth=depth)
    assert {item.organization: item.depth for item in chain.items} == {
        node: steps for node, steps in distance.items() if steps
    }
    assert all(graph.has_edge(item.via, item.organization) for item in chain.items)
    assert [(item.depth, item.via, item.organization) for item in chain.items] == sorted(
        (
            distance[node],
            min((x for x, y in followed if y == node and distance[x] + 1 == distance[node])),
            node,
        )
        for node in distance
        if node != start
    )
    shown = nx.DiGraph(followed)
    loops = [
        group
        for group in nx.strongly_connected_components(shown)
        if len(group) > 1 or any(shown.has_edge(node, node) for node in group)
    ]
    assert [set(loop) for loop in chain.loops] == sorted(loops, key=sorted)
    assert {item.organization for item in chain.items if item.loop} == {
        node for loop in loops for node in loop if node != start
    }
    assert chain.total == chain.followed == len(followed)
    assert chain.more == any(graph[node] for node, steps in distance.items() if steps == chain.depth == depth)
    brought = Counter(by for _, by in view.referrals)
    assert [item.brought for item in chain.items] == [brought[str(item.org_id)] for item in chain.items]


@for_every(60, view=referred(), direction=st.sampled_from(Direction), limit=st.integers(0, 8))
def test_a_cut_referral_chain_says_so(
    filled: Opened, view: HandView, direction: Direction, limit: int
) -> None:
    store, start = filled(view), org_ref(view.organizations[0])
    whole = referral_chain(store, start, direction)
    part = referral_chain(store, start, direction, limit=limit)
    assert [item.organization for item in part.items] == [
        item.organization for item in whole.items[: len(part.items)]
    ]
    assert part.followed == min(limit, whole.followed)
    assert part.cut == (limit < whole.followed)
    assert (" of " in part.note) == part.cut


def test_a_million_relationships_do_not_stall_a_walk(store: GraphStore) -> None:
    hub = [f"org{number:04}" for number in range(3214)]
    view = HandView(
        hub, [("ip", "192.0.2.7", org) for org in hub], referrals=[(org, hub[0]) for org in hub[1:]]
    )
    store.publish(view)
    around = neighbourhood(store, org_ref(hub[1]), types=EVIDENCE)
    assert around.note == "0 relationships within 2 steps; 1 hubs of more than 200 left out"
    around = neighbourhood(store, ref("ip", "192.0.2.7"), degree_cap=None, limit=50, depth=1)
    assert around.note == "50 of 3,214 relationships within 1 steps"
    chain = referral_chain(store, org_ref(hub[0]), "down", limit=50)
    assert (chain.note, len(chain.items)) == ("50 of 3,213 referrals", 50)
    assert shortest_path(store, org_ref(hub[1]), org_ref(hub[2])).note == (
        "Shortest path: none, however long; hubs of more than 200 left out."
    )
    paths = evidence_paths(store, org_ref(hub[0]), org_ref(hub[1]))
    assert (
        paths.note == "Connections within 4 steps: none; identifiers of more than 200 organizations left out."
    )
    assert len(evidence_paths(store, org_ref(hub[0]), org_ref(hub[1]), include_hubs=True, depth=2).items) == 1


def test_a_search_that_meets_its_limit_says_so(store: GraphStore, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = [f"org{number}" for number in range(6)]
    uses = [("device", f"d{n}", org) for n, pair in enumerate(pairwise(chain)) for org in pair]
    store.publish(HandView(chain, uses))
    found = shortest_path(store, org_ref("org0"), org_ref("org5"), max_depth=12)
    assert found.note == "Shortest path: 10 steps."
    monkeypatch.setattr("graph.walks.SHORTEST_BUDGET", 3)
    found = shortest_path(store, org_ref("org0"), org_ref("org5"), max_depth=12)
    assert found.note == "Shortest path: none within 2 steps; the search met its limit."


def test_reads_that_make_no_sense_are_refused(store: GraphStore) -> None:
    store.publish(
        HandView(
            ["a", "b"],
            clusters={"cl_a": ["a", "b"]},
            created={"a": datetime(2001, 1, 1, tzinfo=START.tzinfo)},
        )
    )
    a, nobody = org_ref("a"), org_ref("nobody")
    for ask in (
        lambda: neighbourhood(store, nobody),
        lambda: shortest_path(store, a, nobody),
        lambda: evidence_paths(store, a, nobody),
        lambda: referral_chain(store, nobody),
        lambda: co_creation(store, nobody),
    ):
        with pytest.raises(RingfenceError, match="no Organization"):
            ask()
    for ask in (
        lambda: neighbourhood(store, a, depth=99),
        lambda: shortest_path(store, a, nobody, max_depth=0),
        lambda: evidence_paths(store, a, nobody, depth=99),
        lambda: referral_chain(store, a, depth=0),
    ):
        with pytest.raises(RingfenceError, match="out of range"):
            ask()
    for ask in (
        lambda: top_identifiers(store, "cl_b"),
        lambda: bridges(store, "cl_b"),
        lambda: timeline(store, "cl_b"),
    ):
        with pytest.raises(RingfenceError, match="no cluster cl_b"):
            ask()
    with pytest.raises(RingfenceError, match="same organization"):
        evidence_paths(store, a, a)
    with pytest.raises(RingfenceError, match="direction 'left'"):
        referral_chain(store, a, "left")
    with pytest.raises(RingfenceError, match="bucket 'month'"):
        timeline(store, "cl_a", "month")
    with pytest.raises(RingfenceError, match="too many to show"):
        timeline(store, "cl_a", "hour")
    assert shortest_path(store, a, a).nodes == (a,)
