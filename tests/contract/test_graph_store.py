"""What every home of the graph promises, on every one of them; networkx and plain Python are the oracle."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from graph_properties import Opened, for_every, views
from graph_views import NASTY, PEPPER, START, HandView, org_ref, ref
from hypothesis import strategies as st

from graph.errors import RingfenceError
from graph.home import Home
from graph.lookup import keys_of
from graph.schema import EVIDENCE, NODES, RELATIONSHIPS
from graph.store import Follow, GraphStore, Match, NodeRef
from graph.stores import open_store


@for_every(
    160,
    view=views(),
    picks=st.sets(st.integers(0, 30), max_size=6),
    types=st.none() | st.sets(st.sampled_from(sorted(RELATIONSHIPS))),
    cap=st.none() | st.integers(0, 6),
    limit=st.integers(0, 12) | st.just(1000),
    follow=st.sampled_from(Follow),
)
def test_expand_finds_every_relationship_at_the_frontier(
    filled: Opened,
    view: HandView,
    picks: set[int],
    types: set[str] | None,
    cap: int | None,
    limit: int,
    follow: Follow,
) -> None:
    nodes = sorted(view.oracle().nodes)
    frontier = {nodes[pick % len(nodes)] for pick in picks} | {NodeRef("Ip", "0" * 32)}
    touching = [
        edge
        for edge in view.edges(types)
        if (edge.source in frontier and follow is not Follow.IN)
        or (edge.target in frontier and follow is not Follow.OUT)
    ]
    expected = [edge for edge in touching if cap is None or edge.degree <= cap]

    found = filled(view).expand(frontier, types=types, degree_cap=cap, limit=limit, follow=follow)

    assert [(rel.type, rel.target, rel.source, rel.degree) for rel in found.items] == expected[:limit]
    assert found.total == len(expected)
    assert found.cut == (len(expected) > limit)
    assert found.left_out == {edge.target for edge in touching} - {edge.target for edge in expected}


@for_every(80, view=views(), limit=st.integers(0, 4))
def test_shared_identifiers_are_the_common_neighbours(filled: Opened, view: HandView, limit: int) -> None:
    a, b = org_ref(view.organizations[0]), org_ref(view.organizations[1])
    graph = view.oracle(EVIDENCE)
    edges = {edge.target: edge for edge in view.edges(EVIDENCE)}
    shared = sorted(
        (edges[node].degree, edges[node].type, node.key) for node in set(graph[a]) & set(graph[b])
    )
    page = filled(view).shared_identifiers(a, b, limit=limit)
    assert [(item.degree, item.type, item.identifier.key) for item in page.items] == shared[:limit]
    assert page.total == len(shared)
    assert all(item.a["uses"] == 2 and item.b["first_at"] == START for item in page.items)


@for_every(50, view=views())
def test_a_scan_gives_back_what_was_published(filled: Opened, view: HandView) -> None:
    store = filled(view)
    for label, node in NODES.items():
        assert store.scan(label).read_all() == pa.Table.from_batches(view.nodes(label), node.arrow)
    for name, rel in RELATIONSHIPS.items():
        assert store.scan(name).read_all() == pa.Table.from_batches(view.relationships(name), rel.arrow)


def test_a_node_has_plain_values(store: GraphStore) -> None:
    store.publish(HandView(["a", "b"], [("ip", "192.0.2.7", "a"), ("ip", "192.0.2.7", "b")]))
    wanted = ref("ip", "192.0.2.7")
    node = store.get_node(wanted.label, wanted.key)
    assert node is not None
    assert (node.ref, node.name, node.degree) == (wanted, "192.0.2.7", 2)
    assert node.properties["key"] == wanted.key
    assert node.properties["hidden"] is False
    assert node.properties["first_at"] == START
    assert store.get_node("Ip", "0" * 32) is None
    assert store.get_node("Ip", "not a key") is None
    assert store.get_node("Nothing", "x") is None
    assert set(store.get_nodes([wanted, org_ref("a"), org_ref("nobody")])) == {wanted, org_ref("a")}


@pytest.mark.parametrize("name", NASTY, ids=ascii)
def test_nasty_ids_are_stored_and_found_never_interpreted(store: GraphStore, name: str) -> None:
    store.publish(HandView(NASTY, [("user", each, each) for each in NASTY], {"cl_x": NASTY}))
    node = store.get_node("Organization", org_ref(name).key)
    assert node is not None
    assert node.properties["org_id"] == name
    found = store.find(name)
    exact = {item.ref for item in found.items if item.match is Match.EXACT}
    assert exact == {org_ref(name), NodeRef("User", ref("user", name).key)}
    assert [rel.source for rel in store.expand([ref("user", name)]).items] == [org_ref(name)]
    assert len(store.expand([NodeRef("Cluster", "cl_x")], types=["MEMBER_OF"]).items) == len(NASTY)
    assert store.run_id() == "run_one"


def test_find_ranks_exact_before_spelling_before_look_alike_before_prefix(store: GraphStore) -> None:
    mails = ["paypal@corp.example", "paypa1@corp.example", "paypal@corp.example.net"]
    store.publish(
        HandView(["one", "two"], [("mailbox", mail, name) for mail in mails for name in ("one", "two")])
    )
    found = store.find("paypal@corp.example", keys_of=keys_of(PEPPER), labels=["Email"])
    assert [(item.name, item.match) for item in found.items] == [
        ("paypal@corp.example", Match.EXACT),
        ("paypa1@corp.example", Match.LOOK_ALIKE),
        ("paypal@corp.example.net", Match.PREFIX),
    ]
    assert (found.total, found.cut, found.items[0].degree) == (3, False, 2)
    spelled = store.find("  PayPal@Corp.Example ", keys_of=keys_of(PEPPER), labels=["Email"])
    assert (spelled.items[0].name, spelled.items[0].match) == ("paypal@corp.example", Match.SPELLING)


def test_secrets_are_found_by_their_key_alone(store: GraphStore) -> None:
    secrets = [
        ("api_key", "sk-live-0123456789"),
        ("phone", "+14155550123"),
        ("payment_method", "pm_987654321"),
    ]
    store.publish(HandView(["one", "two"], [(kind, text, "one") for kind, text in secrets]))
    for kind, text in secrets:
        assert store.find(text).total == 0
        assert [item.ref for item in store.find(text, keys_of=keys_of(PEPPER)).items] == [ref(kind, text)]
        assert [item.ref for item in store.find(ref(kind, text).key).items] == [ref(kind, text)]


@for_every(
    100,
    texts=st.sets(st.text("ab\ud7ff\ue000\U0010ffff", min_size=1, max_size=4), min_size=1, max_size=8),
    query=st.text("ab\ud7ff\U0010ffff", min_size=1, max_size=3),
    limit=st.integers(1, 9),
)
def test_find_gives_every_id_that_begins_so(filled: Opened, texts: set[str], query: str, limit: int) -> None:
    expected = sorted(
        (text for text in texts if text.startswith(query)), key=lambda text: (text != query, text)
    )
    found = filled(HandView(sorted(texts))).find(query, limit=limit)
    assert [item.name for item in found.items] == expected[:limit]
    assert found.total == len(expected)


def test_find_of_nothing_and_of_what_no_text_can_be(store: GraphStore) -> None:
    store.publish(HandView(["a"]))
    assert store.find("").total == 0
    assert store.find("\ud800").total == 0
    assert store.find("cl_unknown").items == ()


def test_clusters_and_runs_are_found_by_id_and_name(store: GraphStore) -> None:
    store.publish(HandView(["a", "b"], clusters={"cl_abc": ["a", "b"]}))
    assert [item.ref for item in store.find("cl_abc").items] == [NodeRef("Cluster", "cl_abc")]
    assert [item.ref for item in store.find("Ring cl_").items] == [NodeRef("Cluster", "cl_abc")]
    assert [item.ref for item in store.find("run_").items] == [NodeRef("Run", "run_one")]


def test_a_cut_answer_says_so(store: GraphStore) -> None:
    names = [f"org{number:04}" for number in range(3214)]
    store.publish(HandView(names, [("ip", "192.0.2.7", name) for name in names]))
    found = store.find("org")
    assert (len(found.items), found.note) == (50, "50 of 3,214")
    hub = ref("ip", "192.0.2.7")
    expansion = store.expand([hub], degree_cap=None, limit=50)
    assert (expansion.note, expansion.hubs) == ("50 of 3,214", 0)
    assert store.expand([hub]).hubs == 1
    assert store.expand([hub]).items == ()


def test_questions_that_make_no_sense_are_refused(store: GraphStore) -> None:
    store.publish(HandView(["a", "b"]))
    with pytest.raises(RingfenceError, match="no relationship"):
        store.expand([org_ref("a")], types=["LOVES"])
    with pytest.raises(RingfenceError, match="has no"):
        store.scan("Unicorn")
    with pytest.raises(RingfenceError, match="no graph store"):
        open_store("papyrus", Home(Path("unused")))


def test_a_store_without_a_graph_says_what_to_do(store: GraphStore) -> None:
    assert store.run_id() is None
    with pytest.raises(RingfenceError, match="ringfence run"):
        store.find("a")
    store.migrate()
    assert store.run_id() is None
    assert store.find("a").total == 0
