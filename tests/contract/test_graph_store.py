"""What every home of the graph promises, on every one of them; networkx is the oracle."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import networkx as nx
import pyarrow as pa
import pytest
from graph_views import PEPPER, START, HandView, ref
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.errors import RingfenceError
from graph.home import Home
from graph.lookup import keys_of, organization_ref
from graph.paths import evidence_paths
from graph.schema import EVIDENCE, NODES, RELATIONSHIPS
from graph.store import GraphStore, Match, NodeRef
from graph.stores import STORES, open_store

KINDS = ("ip", "device", "api_key")
Opened = Callable[[HandView], GraphStore]

NASTY = [
    "o'brien",
    'say "hello"',
    "two\nlines\r\n",
    "back`tick",
    "\u202eevil\u202c",
    '\'; DROP TABLE "Organization"; --',
    "MATCH (n) DETACH DELETE n",
    "%_[a-z]*?",
    "org" + "x" * 10_000,
    "org" + "x" * 9_999 + "y",
    " spaced ",
    "-1",
    "1e5",
    "ünï\U0001f600",
    "\U0010ffff",
    "nul\x00inside",
    "nul\x00within",
]


def org(name: str) -> NodeRef:
    return organization_ref(name, PEPPER)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GraphStore]:
    opened = open_store(request.param, Home(tmp_path))
    yield opened
    opened.close()


@pytest.fixture(scope="module", params=STORES)
def filled(request: pytest.FixtureRequest) -> Iterator[Opened]:
    """For property tests: a store that shows a given view, until it is given the next one."""
    with TemporaryDirectory() as folder:
        opened = open_store(request.param, Home(Path(folder)))

        def show(view: HandView) -> GraphStore:
            opened.publish(view)
            return opened

        yield show
        opened.close()


@st.composite
def views(draw: st.DrawFn) -> HandView:
    names = [f"org {number}" for number in range(draw(st.integers(2, 9)))]
    use = st.tuples(
        st.sampled_from(KINDS), st.sampled_from(["10.9.0.1", "10.9.0.2", "10.9.0.3"]), st.sampled_from(names)
    )
    uses = draw(st.lists(use, max_size=30, unique=True))
    split = draw(st.integers(0, len(names)))
    clusters = {"cl_a": names[:split], "cl_b": names[split:]}
    return HandView(names, uses, {name: orgs for name, orgs in clusters.items() if orgs})


@given(
    view=views(),
    picks=st.sets(st.integers(0, 30), max_size=6),
    types=st.none() | st.sets(st.sampled_from(sorted(RELATIONSHIPS))),
    cap=st.none() | st.integers(0, 6),
    limit=st.integers(0, 12) | st.just(1000),
)
@settings(max_examples=120, deadline=None)
def test_expand_finds_what_networkx_finds(
    filled: Opened, view: HandView, picks: set[int], types: set[str] | None, cap: int | None, limit: int
) -> None:
    nodes = sorted(view.oracle().nodes)
    frontier = {nodes[pick % len(nodes)] for pick in picks}
    wanted = set(RELATIONSHIPS) if types is None else types
    graph = view.oracle(cap)
    edges = [
        (*data["ends"], name)
        for *_, name, data in graph.edges(graph.nbunch_iter(frontier), keys=True, data=True)
    ]
    expected = sorted({(name, b, a) for a, b, name in edges if name in wanted})
    every = view.oracle()
    hubs = {
        data["ends"][1]
        for *_, name, data in every.edges(every.nbunch_iter(frontier), keys=True, data=True)
        if name in wanted and cap is not None and data["degree"] > cap
    }

    found = filled(view).expand(frontier, types=types, degree_cap=cap, limit=limit)

    assert [(rel.type, rel.target, rel.source) for rel in found.items] == expected[:limit]
    assert found.total == len(expected)
    assert found.cut == (len(expected) > limit)
    assert found.hubs == len(hubs)
    for rel in found.items:
        assert rel.degree == graph.edges[rel.source, rel.target, rel.type]["degree"]


@given(
    view=views(), depth=st.integers(1, 6), limit=st.integers(1, 5), cap=st.integers(1, 6), hubs=st.booleans()
)
@settings(max_examples=120, deadline=None)
def test_evidence_paths_are_the_rarest_that_networkx_finds(
    filled: Opened, view: HandView, depth: int, limit: int, cap: int, hubs: bool
) -> None:
    a, b = org(view.organizations[0]), org(view.organizations[1])
    graph = view.oracle(None if hubs else cap)
    evidence = nx.Graph(
        (x, y, data) for x, y, name, data in graph.edges(keys=True, data=True) if name in EVIDENCE
    )

    def rank(path: list[NodeRef]) -> tuple[int, int, list[NodeRef]]:
        degrees = {data["ends"][1]: data["degree"] for *_, data in evidence.subgraph(path).edges(data=True)}
        return sum(round(math.log(degrees[node]) * 1_000_000) for node in path[1::2]), len(path), path

    known = a in evidence and b in evidence
    paths = sorted(nx.all_simple_paths(evidence, a, b, cutoff=depth) if known else [], key=rank)

    found = evidence_paths(filled(view), a, b, depth=depth, limit=limit, degree_cap=cap, include_hubs=hubs)

    assert [list(path.nodes) for path in found.items] == paths[:limit]
    assert found.cut == (len(paths) > limit)
    assert ("none" in found.note) == (not paths)
    for path, expected in zip(found.items, paths, strict=False):
        assert path.commonness == pytest.approx(rank(expected)[0] / 1_000_000, abs=1e-5)
        assert [{rel.source, rel.target} for rel in path.relationships] == [
            {x, y} for x, y in pairwise(expected)
        ]


@given(view=views())
@settings(max_examples=40, deadline=None)
def test_shared_identifiers_are_the_common_neighbours(filled: Opened, view: HandView) -> None:
    a, b = org(view.organizations[0]), org(view.organizations[1])
    graph = view.oracle()
    shared = (set(graph[a]) & set(graph[b])) - {NodeRef("Cluster", "cl_a"), NodeRef("Cluster", "cl_b")}
    page = filled(view).shared_identifiers(a, b)
    assert {item.identifier for item in page.items} == shared
    assert [item.degree for item in page.items] == sorted(item.degree for item in page.items)
    assert page.total == len(shared)
    assert all(item.a["uses"] == 2 and item.b["first_at"] == START for item in page.items)


@given(view=views())
@settings(max_examples=25, deadline=None)
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
    assert set(store.get_nodes([wanted, org("a"), org("nobody")])) == {wanted, org("a")}


@pytest.mark.parametrize("name", NASTY, ids=ascii)
def test_nasty_ids_are_stored_and_found_never_interpreted(store: GraphStore, name: str) -> None:
    store.publish(HandView(NASTY, [("user", each, each) for each in NASTY], {"cl_x": NASTY}))
    node = store.get_node("Organization", org(name).key)
    assert node is not None
    assert node.properties["org_id"] == name
    found = store.find(name)
    exact = {item.ref for item in found.items if item.match is Match.EXACT}
    assert exact == {org(name), NodeRef("User", ref("user", name).key)}
    assert [rel.source for rel in store.expand([ref("user", name)]).items] == [org(name)]
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


@given(
    texts=st.sets(st.text("ab\ud7ff\ue000\U0010ffff", min_size=1, max_size=4), min_size=1, max_size=8),
    query=st.text("ab\ud7ff\U0010ffff", min_size=1, max_size=3),
    limit=st.integers(1, 9),
)
@settings(max_examples=80, deadline=None)
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
    paths = evidence_paths(store, org(names[0]), org(names[1]))
    assert (
        paths.note == "Connections within 4 steps: none; identifiers of more than 200 organizations left out."
    )
    assert len(evidence_paths(store, org(names[0]), org(names[1]), include_hubs=True, depth=2).items) == 1


def test_questions_that_make_no_sense_are_refused(store: GraphStore) -> None:
    store.publish(HandView(["a", "b"]))
    with pytest.raises(RingfenceError, match="no Organization"):
        evidence_paths(store, org("a"), org("nobody"))
    with pytest.raises(RingfenceError, match="same organization"):
        evidence_paths(store, org("a"), org("a"))
    with pytest.raises(RingfenceError, match="out of range"):
        evidence_paths(store, org("a"), org("b"), depth=99)
    with pytest.raises(RingfenceError, match="no relationship"):
        store.expand([org("a")], types=["LOVES"])
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


def test_the_old_run_serves_until_the_switch(store: GraphStore, tmp_path: Path) -> None:
    store.publish(HandView(["a", "b"]))
    reader = open_store("sqlite", Home(tmp_path))
    seen: list[str | None] = []
    publisher = HandView(["c", "d"], run_id="run_two")

    def look(stage: str, done: int, total: int | None) -> None:
        del stage, done, total
        other = open_store("sqlite", Home(tmp_path))
        seen.extend([other.run_id(), reader.run_id()])
        other.close()

    store.publish(publisher, look)
    assert set(seen) == {"run_one"}
    assert store.run_id() == "run_two"
    assert reader.find("a").total == 1  # what it has open stays as it was
    reader.close()
    assert reader.run_id() == "run_two"
    assert reader.find("a").total == 0
    reader.close()


class Broken(HandView):
    """A view that fails, or does not keep what views promise."""

    def __init__(self, how: str) -> None:
        super().__init__(["a", "b"], [("ip", "192.0.2.7", "a")], run_id="run_two")
        self._how = how

    def nodes(self, label: str) -> Iterator[pa.RecordBatch]:
        if label == "Organization" and self._how == "unsorted":
            yield from (pa.RecordBatch.from_pylist(rows[::-1], NODES[label].arrow) for rows in [self._rows()])
        elif label == "Organization" and self._how == "twice":
            yield from (pa.RecordBatch.from_pylist([row, row], NODES[label].arrow) for row in self._rows())
        elif label == "Ip" and self._how == "dangling":
            return
        elif label == "Ip" and self._how == "schema":
            yield pa.RecordBatch.from_pydict({"key": [b"x" * 16]})
        else:
            yield from super().nodes(label)

    def _rows(self) -> list[dict[str, object]]:
        return [row for batch in super().nodes("Organization") for row in batch.to_pylist()]


@pytest.mark.parametrize("how", ["unsorted", "twice", "dangling", "schema"])
def test_a_view_that_breaks_its_promises_is_refused_and_the_old_run_stays(
    store: GraphStore, how: str
) -> None:
    store.publish(HandView(["a", "b"]))
    with pytest.raises(RingfenceError):
        store.publish(Broken(how))
    assert store.run_id() == "run_one"


CHILD = """
import os, resource, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from graph.errors import RingfenceError
from graph.home import Home
from graph.stores import open_store
from graph_views import HandView

def pause(stage, done, total):
    if stage == {stage!r} and done >= {done}:
        print("paused", flush=True)
        sys.stdin.read()

if {limit}:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
names = [f"org{{number}}" for number in range(300)]
view = HandView(names, [("ip", "192.0.2.7", name) for name in names], run_id="run_two")
try:
    open_store({name!r}, Home(Path({home!r}))).publish(view, pause)
except RingfenceError as error:
    print(str(error).splitlines()[0])
"""


def _child(home: Path, **more: object) -> list[str]:
    values = {"stage": "", "done": 0, "limit": 0, "name": "sqlite", **more}
    script = CHILD.format(tests=str(Path(__file__).parent), home=str(home), **values)
    return [sys.executable, "-c", script]


@pytest.mark.parametrize(
    ("stage", "done"), [("publish graph", 1), ("publish graph", 600), ("index graph", 30)]
)
def test_a_killed_publication_leaves_the_old_run(tmp_path: Path, stage: str, done: int) -> None:
    store = open_store("sqlite", Home(tmp_path))
    store.publish(HandView(["a", "b"]))
    before = (tmp_path / "graph.sqlite").read_bytes()
    child = subprocess.Popen(
        _child(tmp_path, stage=stage, done=done), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "paused\n"
        with pytest.raises(RingfenceError, match="another process is publishing"):
            store.publish(HandView(["c"]))
        child.kill()
    assert (tmp_path / "graph.sqlite").read_bytes() == before
    assert store.run_id() == "run_one"
    assert list(tmp_path.glob("graph.sqlite.new-*"))
    store.publish(HandView(["c"], run_id="run_three"))
    assert store.run_id() == "run_three"
    assert not list(tmp_path.glob("graph.sqlite.new-*"))
    store.close()


def test_a_full_disk_is_said_in_one_line_and_the_old_run_stays(tmp_path: Path) -> None:
    store = open_store("sqlite", Home(tmp_path))
    store.publish(HandView(["a", "b"]))
    ended = subprocess.run(_child(tmp_path, limit=50_000), capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("cannot write the graph")
    assert ended.stderr == ""
    assert store.run_id() == "run_one"
    assert not list(tmp_path.glob("graph.sqlite.new-*"))
    store.close()
