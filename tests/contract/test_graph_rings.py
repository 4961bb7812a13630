"""Co-creation, and what a cluster's subgraph says about it: networkx and plain Python are the oracle."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise

import networkx as nx
from graph_properties import Opened, for_every, identifiers, moments, names
from graph_views import SHORT, START, HandView, org_ref, ref
from hypothesis import strategies as st

from graph.rings import bridges, co_creation, timeline, top_identifiers
from graph.schema import EVIDENCE

CAPS = st.none() | st.integers(1, 6)
MINUTE = timedelta(minutes=1)


@st.composite
def created(draw: st.DrawFn) -> HandView:
    orgs = draw(names())
    near = st.integers(-150, 150).map(lambda seconds: START + timedelta(seconds=seconds))
    use = st.tuples(st.just("ip"), st.sampled_from(["10.9.0.1", "10.9.0.2"]), st.sampled_from(orgs))
    uses = draw(st.lists(use, min_size=2, max_size=16, unique=True))
    times = st.lists(near, min_size=2, max_size=2).map(sorted)
    return HandView(
        orgs,
        uses,
        created={org: draw(st.none() | near) for org in orgs},
        seen={use: tuple(draw(times)) for use in uses},
    )


@for_every(
    150,
    view=created(),
    within=st.sampled_from([timedelta(), MINUTE, 2 * MINUTE]),
    cap=CAPS,
    limit=st.integers(0, 9),
)
def test_co_creation_finds_who_was_created_then_and_there(
    filled: Opened, view: HandView, within: timedelta, cap: int | None, limit: int
) -> None:
    one = view.organizations[0]
    users = Counter(text for _, text, _ in view.uses)
    expected = []
    for other in view.organizations[1:]:
        shared = []
        for text in users:
            both = [view.seen.get(("ip", text, org)) for org in (one, other)]
            if (cap is None or users[text] <= cap) and all(
                span and at and span[0] - within <= at <= span[1] + within
                for span, at in zip(both, (view.created[one], view.created[other]), strict=True)
            ):
                shared.append(ref("ip", text))
        if shared and abs(apart := view.created[other] - view.created[one]) <= within:  # type: ignore[operator]
            expected.append((abs(apart), org_ref(other), apart, tuple(sorted(shared))))
    expected.sort()

    found = co_creation(filled(view), org_ref(one), within=within, degree_cap=cap, limit=limit)

    assert [(item.organization, item.apart, item.addresses) for item in found.items] == [
        row[1:] for row in expected[:limit]
    ]
    assert found.total == len(expected)


@st.composite
def rings(draw: st.DrawFn) -> HandView:
    orgs = draw(names(12))
    use = st.tuples(identifiers, st.sampled_from(orgs)).map(lambda drawn: (*drawn[0], drawn[1]))
    uses = draw(st.lists(use, max_size=30, unique=True))
    size = draw(st.integers(1, len(orgs)))
    moment = moments()
    return HandView(
        orgs,
        uses,
        {"cl_a": orgs[:size], SHORT[6]: orgs[size:]} if size < len(orgs) else {"cl_a": orgs},
        created={org: draw(st.none() | moment) for org in orgs},
        last={org: draw(moment) for org in orgs},
    )


@for_every(100, view=rings(), limit=st.integers(0, 9))
def test_top_identifiers_are_what_most_members_share(filled: Opened, view: HandView, limit: int) -> None:
    graph = view.sharing("cl_a")
    degree = {edge.target: edge.degree for edge in view.edges(EVIDENCE)}
    shared = [(-len(graph[node]), degree[node], node) for node in graph if node in degree]
    found = top_identifiers(filled(view), "cl_a", limit=limit)
    assert [(-item.members, item.degree, item.identifier) for item in found.items] == sorted(shared)[:limit]
    assert found.total == len(shared)


@for_every(150, view=rings(), limit=st.integers(0, 9))
def test_bridges_are_the_articulation_points(filled: Opened, view: HandView, limit: int) -> None:
    graph = view.sharing("cl_a")
    expected = []
    for node in nx.articulation_points(graph):
        whole = graph.subgraph(nx.node_connected_component(graph, node) - {node})
        sizes = [
            sum(other.label == "Organization" for other in part) for part in nx.connected_components(whole)
        ]
        expected.append((-(sum(sizes) - max(sizes)), node))
    found = bridges(filled(view), "cl_a", limit=limit)
    assert [(-item.organizations, item.node) for item in found.items] == sorted(expected)[:limit]
    assert (found.total, found.partial) == (len(expected), False)


@for_every(80, view=rings(), bucket=st.sampled_from(["hour", "day", "week"]))
def test_a_timeline_counts_every_member_once_and_leaves_no_gap(
    filled: Opened, view: HandView, bucket: str
) -> None:
    members = view.clusters["cl_a"]

    def start(at: datetime) -> datetime:
        at = at.replace(minute=0, second=0, microsecond=0)
        if bucket != "hour":
            at = at.replace(hour=0)
        return at - timedelta(days=at.weekday()) if bucket == "week" else at

    signups = Counter(start(at) for org in members if (at := view.created[org]) is not None)
    active = Counter(start(view.last[org]) for org in members)
    found = timeline(filled(view), "cl_a", bucket)
    assert Counter({at: n for at, n in zip(found.starts, found.signups, strict=True) if n}) == signups
    assert Counter({at: n for at, n in zip(found.starts, found.last_active, strict=True) if n}) == active
    assert {y - x for x, y in pairwise(found.starts)} <= {found.bucket.length}
    assert {found.starts[0], found.starts[-1]} <= signups.keys() | active.keys()
    assert found.undated == len(members) - sum(signups.values())
