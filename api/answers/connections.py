"""Why two organizations belong together, from the indexed run and the graph store: the same answer as `pairs`.

`pairs` reads a run's files, which suits a command that asks once; this one answers in milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable

from api.answers.pairs import FARTHEST, LOOKS, Common, OneAnswer, PairAnswer, Reason, Tie
from api.answers.reading import Row, key_bytes
from api.answers.resident import SCALE, Resident, Step
from graph.schema import NODE_OF_KIND, NODES
from graph.store import GraphStore, Node, NodeRef

MEMBER_OF = "MEMBER_OF"
MOST_COMMON = 100


def standing(store: GraphStore, node: Node) -> Row:
    """An organization's properties with its cluster and the risk of its membership; null where it is in none."""
    found = store.expand([node.ref], types=[MEMBER_OF], degree_cap=None, limit=2)
    mine = next((rel for rel in found.items if rel.source == node.ref), None)
    return {
        **node.properties,
        "cluster_id": mine.target.key if mine else None,
        "member_risk": mine.properties["member_risk"] if mine else None,
        "actionable": mine.properties["actionable"] if mine else None,
        "spared_reason": mine.properties["spared_reason"] if mine else None,
    }


def pair(run: Resident, store: GraphStore, a: Node, b: Node) -> PairAnswer:
    """The tie of two organizations with its reasons, else the shortest path of ties between them."""
    first, second = standing(store, a), standing(store, b)
    if a.ref == b.ref:
        return PairAnswer(first, second, [], [], run.organizations)
    same = first["cluster_id"] if first["cluster_id"] == second["cluster_id"] else None
    steps = run.ties.path(first["org_id"], second["org_id"], same, FARTHEST)
    common = [
        Common(NODES[each.identifier.label].kind or "", each.identifier.key, each.name or "", each.degree)
        for each in store.shared_identifiers(a.ref, b.ref, limit=MOST_COMMON).items
    ]
    return PairAnswer(first, second, _explained(run, store, steps), common, run.organizations)


def one(run: Resident, store: GraphStore, organization: Node, limit: int) -> OneAnswer:
    """An organization's strongest ties, each with its reasons."""
    row = standing(store, organization)
    steps, total = run.ties.of(row["org_id"], limit)
    return OneAnswer(row, _explained(run, store, steps), total, run.organizations)


def _explained(run: Resident, store: GraphStore, steps: Iterable[Step]) -> list[Tie]:
    found = [(step, run.ties.reasons(step.source, step.target)) for step in steps]
    refs = {ref for _, rows in found for row in rows if (ref := _ref(row)) is not None}
    nodes = store.get_nodes(sorted(refs))
    return [
        Tie(
            step.source,
            step.target,
            step.weight,
            sorted(
                (_reason(row, nodes) for row in rows), key=lambda each: (-each.weight, each.kind, each.key)
            ),
        )
        for step, rows in found
    ]


def _ref(row: Row) -> NodeRef | None:
    if row["key"] is None or row["kind"] not in NODE_OF_KIND:
        return None
    return NodeRef(NODE_OF_KIND[row["kind"]].label, key_bytes(row["key"]).hex())


def _reason(row: Row, nodes: dict[NodeRef, Node]) -> Reason:
    ref = _ref(row)
    node = nodes.get(ref) if ref is not None else None
    key = "" if row["key"] is None else key_bytes(row["key"]).hex()
    shown = node.name if node is not None and node.name else LOOKS.get(row["kind"], key)
    return Reason(
        kind=row["kind"],
        key=key,
        display=shown,
        weight=row["weight"] / SCALE,
        gap_s=row["gap_s"],
        a_at=row["a_at"],
        b_at=row["b_at"],
        organizations=node.degree if node is not None else None,
        evidence_class=row.get("evidence_class"),
    )
