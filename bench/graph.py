"""The same questions to every home of the graph, side by side; networkx in memory beside them at the middle size."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import networkx as nx
import pyarrow as pa

from bench.commands import ringfence
from bench.plan import Plan
from bench.results import Result, Target, show
from bench.running import later_events
from bench.worlds import clone, ingested, world
from detection.runs import Runs
from graph.facts import FactsReader
from graph.home import Home
from graph.paths import evidence_paths
from graph.schema import EVIDENCE, NODES, RELATIONSHIPS
from graph.store import DEGREE_CAP, ClusterOrder, GraphChanges, GraphStore, NodeRef
from graph.stores import open_store
from graph.view import RunView
from graph.walks import neighbourhood, shortest_path
from tests.contract.neo4j_server import environment, new_server

NEO4J_MEMORY_MB = 4096
QUESTIONS = 300
WARM = 50
"""Questions of each sort that are asked before they count: a server that has just started compiles first."""
PAGES = 100
BIG = "cl_zzzzzzzzzz"
BIG_SIZE = 20_000


@dataclass
class Figures:
    """Seconds and milliseconds by name."""

    found: dict[str, float] = field(default_factory=dict)

    def once(self, name: str, action: Callable[[], object]) -> None:
        """Time one long action, in seconds."""
        started = time.perf_counter()
        action()
        self.found[f"{name}_s"] = time.perf_counter() - started

    def often(self, name: str, actions: Sequence[Callable[[], object]]) -> None:
        """Median and 99th percentile of many short actions, in milliseconds."""
        taken = []
        for action in actions[:WARM]:
            action()
        for action in actions:
            started = time.perf_counter()
            action()
            taken.append(1000 * (time.perf_counter() - started))
        taken.sort()
        self.found[f"{name}_p50_ms"] = taken[len(taken) // 2]
        self.found[f"{name}_p99_ms"] = taken[min(len(taken) - 1, round(0.99 * len(taken)))]


def run(plan: Plan) -> Result:
    """Publish two runs, one per cent of new events apart, to both stores, and ask."""
    large = world(plan.large, plan.seeds[0])
    home = Home(clone(ingested(large), "graph"))
    plan.say("two runs")
    ringfence("run", "--store", "none", home=home.path)
    first = Runs(home).open().manifest.run_id
    ringfence("ingest", later_events(large, plan.seeds[0]), home=home.path)
    ringfence("run", "--store", "none", home=home.path)
    figures = Figures()
    _measure(figures, "sqlite", home, first, plan)
    server = new_server(NEO4J_MEMORY_MB, brief=False)
    try:
        server.start()
        os.environ |= environment(server)
        _measure(figures, "neo4j", home, first, plan)
    finally:
        server.remove()
    _in_memory(figures, plan)
    return Result(
        "graph",
        f"Graph: {plan.large:,} organizations; networkx in memory: {plan.middle:,}",
        figures.found,
        TARGETS,
        (plan.seeds[0],),
        {"organizations": plan.large, "networkx_organizations": plan.middle, "questions": QUESTIONS},
        (
            "publish_again: the next run, after one per cent of new events",
            f"subgraph: a made cluster of {BIG_SIZE:,} organizations drawn from all clusters",
        ),
    )


def _measure(figures: Figures, name: str, home: Home, first: str, plan: Plan) -> None:
    store = open_store(name, home)
    plan.say(f"{name}: publish")
    _publish(figures, name, store, home, first)
    plan.say(f"{name}: ask")
    _ask(figures, name, store, plan.seeds[0])
    store.close()
    for figure, value in figures.found.items():
        if figure.startswith(name):
            plan.say(f"  {figure} {show(value)}")


def _publish(figures: Figures, name: str, store: GraphStore, home: Home, first: str) -> None:
    store.migrate()
    figures.once(f"{name}_publish", lambda: store.publish(_WithBig(_view(home, first))))
    figures.once(f"{name}_publish_again", lambda: store.publish(_WithBig(_view(home, None))))


def _view(home: Home, run_id: str | None) -> RunView:
    files = Runs(home).open(run_id)
    manifest = files.manifest
    return RunView(files.folder, manifest.run_id, manifest.as_of, FactsReader(home).value_files())


class _WithBig:
    """A view with one more, very large cluster, the same one in every run."""

    def __init__(self, view: RunView) -> None:
        self._view = view
        self.run_id = view.run_id

    def nodes(self, label: str) -> Iterator[pa.RecordBatch]:
        yield from self._view.nodes(label)
        if label == "Cluster":
            row = {"cluster_id": BIG, "name": "Large", "size": BIG_SIZE, "risk": 0.0, "pattern": "mixed"}
            yield pa.RecordBatch.from_pylist([row], schema=NODES[label].arrow)

    def relationships(self, name: str) -> Iterator[pa.RecordBatch]:
        members: list[bytes] = []
        for batch in self._view.relationships(name):
            if name == "MEMBER_OF":
                members += batch.column("source").to_pylist()
            yield batch
        if name == "MEMBER_OF":
            drawn = random.Random(1).sample(sorted(members), min(BIG_SIZE, len(members)))
            rows = [{"source": key, "target": BIG, "member_risk": 50.0} for key in sorted(drawn)]
            yield pa.RecordBatch.from_pylist(rows, schema=RELATIONSHIPS[name].arrow)

    def changes_since(self, run_id: str) -> GraphChanges | None:
        return self._view.changes_since(run_id)


def _ask(figures: Figures, name: str, store: GraphStore, seed: int) -> None:
    drawn = random.Random(seed)
    clusters = [page for page in store.clusters(limit=200).items if page.ref.key != BIG]
    members = [
        [rel.source for rel in store.expand([found.ref], types=["MEMBER_OF"], degree_cap=None).items]
        for found in drawn.sample(clusters, min(50, len(clusters)))
    ]
    everybody = [member for group in members for member in group]
    starts = [drawn.choice(everybody) for _ in range(QUESTIONS)]
    pairs = [_pair(drawn, members, everybody, at) for at in range(QUESTIONS)]
    figures.often(f"{name}_neighbourhood", [lambda at=at: neighbourhood(store, at) for at in starts])
    figures.often(f"{name}_shortest_path", [lambda p=p: shortest_path(store, *p) for p in pairs])
    figures.often(f"{name}_evidence_paths", [lambda p=p: evidence_paths(store, *p) for p in pairs])
    figures.often(f"{name}_cluster_page", [lambda p=p: p() for p in _pages(store)])
    figures.once(f"{name}_subgraph", lambda: store.cluster_subgraph(BIG))
    inside = [
        rel.source
        for rel in store.expand(
            [NodeRef("Cluster", BIG)], types=["MEMBER_OF"], degree_cap=None, limit=BIG_SIZE
        ).items
    ]
    now = datetime.now(UTC)
    figures.once(f"{name}_set_status", lambda: store.set_status(inside, "banned", now))


def _pair(
    drawn: random.Random, members: Sequence[Sequence[NodeRef]], everybody: Sequence[NodeRef], at: int
) -> tuple[NodeRef, NodeRef]:
    """Two organizations, half of the time of the same cluster."""
    while True:
        group = drawn.choice(members) if at % 2 else everybody
        a, b = drawn.choice(group), drawn.choice(group)
        if a != b:
            return a, b


def _pages(store: GraphStore) -> Iterator[Callable[[], object]]:
    """Pages one after the other, in every order."""
    cursors: dict[ClusterOrder, str | None] = dict.fromkeys(ClusterOrder)

    def turn(order: ClusterOrder) -> None:
        cursors[order] = store.clusters(order=order, after=cursors[order]).after

    for _ in range(PAGES):
        for order in ClusterOrder:
            yield lambda order=order: turn(order)


def _in_memory(figures: Figures, plan: Plan) -> None:
    """The same questions to networkx, which holds everything in memory."""
    plan.say("networkx: load and ask")
    home = Home(clone(ingested(world(plan.middle, plan.seeds[0])), "graph-networkx"))
    ringfence("run", "--store", "none", home=home.path)
    view = _view(home, None)
    graph = nx.Graph()
    figures.once("networkx_publish", lambda: _load(graph, view))
    drawn = random.Random(plan.seeds[0])
    tied = sorted(node for node in graph if node[0] == "Organization")
    starts = [drawn.choice(tied) for _ in range(QUESTIONS)]
    pairs = [(drawn.choice(tied), drawn.choice(tied)) for _ in range(QUESTIONS)]
    figures.often("networkx_neighbourhood", [lambda at=at: _around(graph, at) for at in starts])
    figures.often("networkx_shortest_path", [lambda p=p: _path(graph, *p) for p in pairs])


Key = tuple[str, bytes]


def _load(graph: nx.Graph, view: RunView) -> None:
    for name in EVIDENCE:
        rel = RELATIONSHIPS[name]
        for batch in view.relationships(name):
            ends = zip(batch.column("source").to_pylist(), batch.column("target").to_pylist(), strict=True)
            graph.add_edges_from(((rel.source, a), (rel.target, b)) for a, b in ends)


def _around(graph: nx.Graph, start: Key) -> set[Key]:
    near = {node for node in graph[start] if graph.degree(node) <= DEGREE_CAP}
    return near | {node for hub in near for node in graph[hub]}


def _path(graph: nx.Graph, a: Key, b: Key) -> list[Key] | None:
    try:
        path: list[Key] = nx.bidirectional_shortest_path(graph, a, b)
    except nx.NetworkXNoPath:
        return None
    return path


def _targets() -> Iterator[Target]:
    marks = {
        "publish_s": (60, 360),
        "publish_again_s": (5, 15),
        "neighbourhood_p50_ms": (5, 20),
        "neighbourhood_p99_ms": (50, 200),
        "shortest_path_p50_ms": (5, 20),
        "shortest_path_p99_ms": (100, 300),
        "evidence_paths_p50_ms": (5, 20),
        "evidence_paths_p99_ms": (100, 300),
        "cluster_page_p99_ms": (5, 30),
        "subgraph_s": (1, 3),
        "set_status_s": (1, 5),
    }
    for name, (sqlite, neo4j) in marks.items():
        yield Target(f"sqlite_{name}", sqlite)
        yield Target(f"neo4j_{name}", neo4j)


TARGETS = tuple(_targets())
