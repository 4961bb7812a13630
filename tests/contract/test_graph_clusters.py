"""Clusters by page and by column, statuses, changes and queries: what plain Python says about the same view."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pytest
from graph_properties import Opened, for_every, identifiers, names, views
from graph_views import NASTY, SHORT, START, HandChanges, HandView, org_ref
from hypothesis import assume
from hypothesis import strategies as st

from graph.errors import RingfenceError
from graph.schema import EVIDENCE, NODES, RELATIONSHIPS
from graph.store import ClusterFilter, ClusterOrder, GraphStore, Node, NodeRef

RISKS = [0.0, 10.0, 33.3, 50.0, 50.0, 99.9, 100.0]
SIGNALS = ["size", "lockstep", NASTY[1], NASTY[6]]


@st.composite
def many_clusters(draw: st.DrawFn) -> HandView:
    orgs = [f"org {number}" for number in range(10)]
    ids = draw(st.lists(st.sampled_from(["cl_a", "cl_b", "cl_c", "cl_A", *SHORT]), max_size=9, unique=True))
    clusters = {each: orgs[: draw(st.integers(1, 6))] for each in ids}
    return HandView(orgs, clusters=clusters, risks={each: draw(st.sampled_from(RISKS)) for each in ids})


def rows_of(view: HandView) -> list[dict[str, object]]:
    return view.node_rows("Cluster")


def passes(row: dict[str, object], where: ClusterFilter) -> bool:
    begins = (str(row[name]).startswith(where.text or "") for name in ("cluster_id", "name"))
    return (
        where.min_risk <= float(str(row["risk"])) <= where.max_risk
        and int(str(row["size"])) >= where.min_size
        and where.pattern in (None, row["pattern"])
        and any(begins)
    )


FILTERS = st.builds(
    ClusterFilter,
    min_risk=st.sampled_from([0, 10, 33.3, 50.1]),
    max_risk=st.sampled_from([100, 99.9, 50, 0]),
    min_size=st.integers(0, 5),
    pattern=st.none() | st.sampled_from(["mixed", "trial_farm", "'"]),
    text=st.none() | st.sampled_from(["cl_", "cl_a", "Ring ", "Ring cl_b", "%", "_", *NASTY]),
)


@for_every(
    160,
    view=many_clusters(),
    where=FILTERS | st.just(ClusterFilter()),
    order=st.sampled_from(ClusterOrder),
    limit=st.integers(1, 4),
)
def test_pages_of_clusters_put_together_are_the_sorted_list(
    filled: Opened, view: HandView, where: ClusterFilter, order: ClusterOrder, limit: int
) -> None:
    assume("\0" not in (where.text or ""))  # no id of ours has it; SQLite's substr ends a text there
    expected = [str(row["cluster_id"]) for row in ordered(view, order) if passes(row, where)]
    store = filled(view)
    shown: list[Node] = []
    after: str | None = None
    while True:
        page = store.clusters(where, order=order, after=after, limit=limit)
        assert page.total == len(expected)
        shown += page.items
        after = page.after
        if after is None:
            break
        assert len(page.items) == limit
    assert [node.ref.key for node in shown] == expected
    assert [node.properties for node in shown] == [
        node.properties for node in store.get_nodes([node.ref for node in shown]).values()
    ]


def ordered(view: HandView, order: ClusterOrder) -> list[dict[str, object]]:
    return sorted(rows_of(view), key=lambda row: (-float(str(row[order])), str(row["cluster_id"]).encode()))


def test_a_cursor_is_for_the_order_that_gave_it(store: GraphStore) -> None:
    store.publish(HandView(["a"], clusters={f"cl_{number}": ["a"] for number in range(5)}))
    page = store.clusters(limit=2)
    assert (page.note, page.cut) == ("2 of 5", True)
    assert page.after is not None
    for cursor in ("", "nonsense", "ünï\x00", page.after[:-5], page.after + "x", "bnVsbA==", "W10=", "e30="):
        with pytest.raises(RingfenceError) as refused:
            store.clusters(after=cursor)
        assert refused.value.exit_code == 2
    with pytest.raises(RingfenceError):
        store.clusters(order=ClusterOrder.SIZE, after=page.after)
    assert store.clusters(limit=0).items == ()


@st.composite
def shared(draw: st.DrawFn) -> HandView:
    orgs = draw(names(12))
    use = st.tuples(identifiers, st.sampled_from(orgs)).map(lambda drawn: (*drawn[0], drawn[1]))
    inside = draw(st.integers(1, len(orgs)))
    name = draw(st.sampled_from(["cl_a", *SHORT]))
    return HandView(orgs, draw(st.lists(use, max_size=40, unique=True)), {name: orgs[:inside]})


@for_every(150, view=shared(), least=st.integers(1, 4), limit=st.integers(0, 5) | st.just(100))
def test_a_subgraph_is_what_members_share(filled: Opened, view: HandView, least: int, limit: int) -> None:
    (cluster,) = view.clusters
    members = sorted(org_ref(org) for org in view.clusters[cluster])
    edges = [edge for edge in view.edges(EVIDENCE) if edge.source in members]
    used = Counter(edge.target for edge in edges)
    degree = {edge.target: edge.degree for edge in edges}
    every = sorted(
        (node for node in used if used[node] >= least), key=lambda node: (-used[node], degree[node], node)
    )
    kept = sorted(every[:limit])

    found = filled(view).cluster_subgraph(cluster, min_members=least, limit=limit)

    assert found is not None
    assert found.cluster.ref == NodeRef("Cluster", cluster)
    assert [key.hex() for key in found.organizations["key"].to_pylist()] == [ref.key for ref in members]
    organization, member = NODES["Organization"], RELATIONSHIPS["MEMBER_OF"]
    columns = (*organization.columns, *organization.kept, *member.properties)
    assert found.organizations.schema.names == [column.name for column in columns]
    assert [field.type for field in found.organizations.schema] == [column.type.arrow for column in columns]
    assert [
        (NodeRef(row["label"], row["key"]), row["members"], row["degree"])
        for row in found.identifiers.to_pylist()
    ] == [(node, used[node], degree[node]) for node in kept]
    assert (found.total, found.cut) == (len(every), len(every) > limit)
    assert [
        (row["type"], row["target"], row["source"], row["uses"], row["first_at"])
        for row in found.relationships.to_pylist()
    ] == sorted(
        (
            (edge.type, kept.index(edge.target), members.index(edge.source), 2, START)
            for edge in edges
            if edge.target in kept
        ),
        key=lambda row: row[1:3],
    )
    ends = [found.relationships.schema.field(name).type for name in ("source", "target")]
    assert ends == [pa.int32()] * 2


def test_there_is_no_subgraph_of_no_cluster(store: GraphStore) -> None:
    store.publish(HandView(["a"], clusters={"cl_a": ["a"]}))
    for name in ("cl_b", "", *NASTY):
        assert store.cluster_subgraph(name) is None


STATUSES = st.none() | st.sampled_from(["banned", "throttled", NASTY[5], NASTY[8]])


@for_every(
    60,
    view=views(),
    acts=st.lists(st.tuples(st.sets(st.integers(0, 12), min_size=1), STATUSES), max_size=4),
    left=st.integers(0, 9),
)
def test_statuses_are_the_last_ones_set_and_survive_publications(
    filled: Opened, view: HandView, acts: list[tuple[set[int], str | None]], left: int
) -> None:
    store = filled(view)
    store.set_status([org_ref(org) for org in [*NASTY, *view.organizations]], None, START)
    expected: dict[str, tuple[str, object]] = {}
    for number, (picks, status) in enumerate(acts):
        chosen = {view.organizations[pick % len(view.organizations)] for pick in picks}
        at = START + timedelta(microseconds=number)
        refs = [org_ref(org) for org in chosen] + [org_ref("nobody"), NodeRef("Ip", org_ref("nobody").key)]
        assert store.set_status(refs, status, at) == len(chosen)
        for org in chosen:
            if status is None:
                expected.pop(org_ref(org).key, None)
            else:
                expected[org_ref(org).key] = (status, at)

    assert kept(store) == expected
    after = HandView(view.organizations[: left + 1], run_id="run_two")
    store.publish(after)
    there = {org_ref(org).key for org in after.organizations}
    assert kept(store) == {key: value for key, value in expected.items() if key in there}
    for org in after.organizations:
        node = store.get_node("Organization", org_ref(org).key)
        assert node is not None
        shown = (node.properties["status"], node.properties["status_at"])
        assert shown == expected.get(org_ref(org).key, (None, None))


def kept(store: GraphStore) -> dict[str, tuple[str, object]]:
    table = store.statuses()
    rows = [(row["key"].hex(), (row["status"], row["status_at"])) for row in table.to_pylist()]
    assert [key for key, _ in rows] == sorted(key for key, _ in rows)
    return dict(rows)


@st.composite
def changed(draw: st.DrawFn) -> tuple[HandView, HandView]:
    """Two runs with organizations, uses, clusters and points in common, and others that come and go."""

    def run(name: str) -> HandView:
        view = draw(views())
        points = st.dictionaries(st.sampled_from(SIGNALS), st.sampled_from([-20.0, 5.5]), max_size=3)
        shows = {cluster: draw(points) for cluster in view.clusters}
        risks = {cluster: draw(st.sampled_from(RISKS)) for cluster in view.clusters}
        return replace(view, run_id=name, shows=shows, risks=risks)

    before = run("run_one")
    return before, replace(run("run_two"), before=before)


def everything(store: GraphStore) -> dict[str, pa.Table]:
    return {name: store.scan(name).read_all() for name in (*NODES, *RELATIONSHIPS)}


def tables(view: HandView) -> dict[str, pa.Table]:
    nodes = {label: pa.Table.from_batches(view.nodes(label), node.arrow) for label, node in NODES.items()}
    links = {
        name: pa.Table.from_batches(view.relationships(name), rel.arrow)
        for name, rel in RELATIONSHIPS.items()
    }
    return nodes | links


@for_every(100, runs=changed(), how=st.sampled_from(["apply", "publish"]))
def test_changes_make_the_same_graph_as_all_of_it_would(
    filled: Opened, runs: tuple[HandView, HandView], how: str
) -> None:
    before, after = runs
    store = filled(before)
    if how == "apply":
        store.apply(HandChanges(before, after))
    else:
        store.publish(after)
    assert store.run_id() == "run_two"
    assert everything(store) == tables(after)
    org = org_ref(after.organizations[-1])
    expected = [edge for edge in after.edges() if org in (edge.source, edge.target)]
    found = store.expand([org], degree_cap=None)
    assert [(rel.type, rel.target, rel.source, rel.degree) for rel in found.items] == expected
    assert [node.ref.key for node in store.clusters().items] == [
        row["cluster_id"] for row in ordered(after, ClusterOrder.RISK)
    ]


def test_changes_need_a_graph_and_the_nodes_that_they_speak_of(store: GraphStore) -> None:
    one = HandView(["a"])
    with pytest.raises(RingfenceError):
        store.apply(HandChanges(one, one))
    store.publish(one)
    with pytest.raises(RingfenceError):
        store.apply(
            HandChanges(HandView(["b"]), HandView(["b"], [("ip", "192.0.2.7", "c")], run_id="run_two"))
        )
    assert store.run_id() == "run_one"
    assert store.find("a").total == 1


ASK = {
    "sql": 'SELECT org_id, created_at, key FROM "Organization" WHERE org_id = :id OR :id IS NULL ORDER BY org_id',
    "cypher": "MATCH (o:Organization) WHERE o.org_id = $id OR $id IS NULL"
    " RETURN o.org_id AS org_id, o.created_at AS created_at, o.key AS key ORDER BY org_id",
}
WRITES = {
    "sql": [
        'DELETE FROM "Organization"',
        'DROP TABLE "Organization"',
        "CREATE TABLE x (y)",
        "VACUUM",
        "ATTACH 'x' AS y",
    ],
    "cypher": [
        "MATCH (n) DETACH DELETE n",
        "CREATE (:X)",
        "MATCH (n) SET n.x = 1",
        "CREATE INDEX x FOR (n:X) ON (n.y)",
    ],
}
ENDLESS = {
    "sql": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n",
    "cypher": "UNWIND range(1, 1000000) AS x UNWIND range(1, 1000000) AS y RETURN sum(x * y % 7)",
}


@pytest.mark.parametrize("name", NASTY, ids=ascii)
def test_a_parameter_of_a_query_is_never_interpreted(store: GraphStore, name: str) -> None:
    store.publish(HandView(NASTY))
    found = store.query(ASK[store.language], {"id": name})
    assert found.columns == ("org_id", "created_at", "key")
    assert found.rows == ((name, START, org_ref(name).key),)
    assert not found.cut


def test_a_query_reads_so_much_and_no_more(store: GraphStore) -> None:
    store.publish(HandView([f"org {number}" for number in range(7)]))
    found = store.query(ASK[store.language], {"id": None}, limit=5)
    assert ([row[0] for row in found.rows], found.cut) == ([f"org {number}" for number in range(5)], True)
    assert not store.query(ASK[store.language], {"id": None}, limit=7).cut
    assert store.query(ASK[store.language], {"id": None}, limit=0).cut


def test_a_query_that_writes_fails_or_takes_too_long_is_refused(store: GraphStore) -> None:
    view = HandView(["a", "b"])
    store.publish(view)
    for text in (
        *WRITES[store.language],
        "nonsense",
        ASK[store.language],
    ):  # the last lacks its parameter
        with pytest.raises(RingfenceError):
            store.query(text, {})
    with pytest.raises(RingfenceError, match="longer than"):
        store.query(ENDLESS[store.language], {}, timeout_s=0.2)
    assert everything(store) == tables(view)
