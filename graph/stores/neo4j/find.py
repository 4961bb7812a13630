"""Search in Neo4j: exact, spelled otherwise, look-alike, prefix."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import cache
from itertools import islice
from typing import Any

from graph.confusables import skeleton
from graph.schema import KEY_BYTES, NODES, NodeType, PropertyType
from graph.store import Found, KeysOf, Match, NodeRef, Page
from graph.stores.neo4j.nodes import encodable
from graph.stores.neo4j.schema import INDEXED_CHARACTERS, Transaction, head, match, quoted, rows, using

Hit = tuple[str, str, str]  # text, label, key: the order of hits with the same match
Shown = tuple[str | None, int | None]  # name and degree

_ORDER = tuple(Match)


def find(
    tx: Transaction,
    run: int,
    text: str,
    keys_of: KeysOf | None,
    labels: Collection[str] | None,
    limit: int,
) -> Page[Found]:
    """See `GraphStore.find`."""
    if not text or not encodable(text):
        return Page((), 0)
    wanted = tuple(label for label in NODES if labels is None or label in labels)
    shown: dict[tuple[str, str], Shown] = {}
    search = _Search(tx, run, text, wanted, shown)
    best = search.special(keys_of)
    total = len(best) + search.count_prefix() - sum(search.begins(label, key) for label, key in best)
    chosen = [(_ORDER[rank], hit) for rank, hit in sorted(best.values())[:limit]]
    if len(chosen) < limit:
        unseen = islice(_unseen(search.prefix(limit + len(best)), set(best)), limit - len(chosen))
        chosen += [(Match.PREFIX, hit) for hit in unseen]
    return Page(
        tuple(
            Found(NodeRef(label, key), *_named(shown[label, key], found)) for found, (_, label, key) in chosen
        ),
        total,
    )


def _named(shown: Shown, found: Match) -> tuple[str | None, Match, int | None]:
    name, degree = shown
    return name, found, degree


class _Search:
    def __init__(
        self,
        tx: Transaction,
        run: int,
        text: str,
        wanted: tuple[str, ...],
        shown: dict[tuple[str, str], Shown],
    ) -> None:
        self._tx = tx
        self._wanted = wanted
        self._shown = shown
        self._run = run
        self._bound: dict[str, Any] = {"text": text, "start": text[:INDEXED_CHARACTERS]}
        self._long = len(text) > INDEXED_CHARACTERS
        self._texts: dict[tuple[str, str], list[str]] = {}
        self._text = text

    def special(self, keys_of: KeysOf | None) -> dict[tuple[str, str], tuple[int, Hit]]:
        """By label and key: the rank of the best match other than by prefix, and the hit."""
        spelled = {kind: key.hex() for kind, key in keys_of(self._text)} if keys_of is not None else {}
        same = self._text if _is_key(self._text) else None
        exact = {label: [same] if same and _keyed(NODES[label]) else [] for label in self._wanted}
        other = {label: _spelled(NODES[label], spelled) for label in self._wanted}
        looks = skeleton(self._text)
        bound = {**self._bound, "text": looks, "start": looks[:INDEXED_CHARACTERS]}
        best: dict[tuple[str, str], tuple[int, Hit]] = {}
        for kind, hits in (
            (Match.EXACT, self._ask(_by_text(self._wanted), self._bound)),
            (Match.EXACT, self._ask(_by_key(self._wanted), self._bound | {"keys": exact}) if same else []),
            (
                Match.SPELLING,
                self._ask(_by_key(self._wanted), self._bound | {"keys": other}) if spelled else [],
            ),
            (Match.LOOK_ALIKE, self._ask(_by_look(self._wanted), bound)),
        ):
            for hit in hits:
                best.setdefault(hit[1:], (_ORDER.index(kind), hit))
        return best

    def prefix(self, limit: int) -> Iterator[Hit]:
        """Nodes with a text that begins so, in the order of the text; `limit` of each label and text."""
        bound = self._bound | {"limit": limit}
        return iter(sorted(self._ask(_by_prefix(self._wanted, self._long), bound)))

    def count_prefix(self) -> int:
        """How many nodes have such a text."""
        statement = _count_prefix(self._wanted, self._long)
        return (
            sum(count for (count,) in rows(self._tx, statement, run=self._run, asked=self._bound))
            if statement
            else 0
        )

    def begins(self, label: str, key: str) -> bool:
        """Whether a hit has such a text."""
        return any(text.startswith(self._text) for text in self._texts[label, key])

    def _ask(self, statement: str, bound: dict[str, Any]) -> list[Hit]:
        hits: list[Hit] = []
        if statement:
            for label, key, order, texts, name, degree in rows(
                self._tx, statement, run=self._run, asked=bound
            ):
                found = [text for text in texts if text is not None]
                self._shown[label, key] = (name, degree)
                self._texts[label, key] = found
                hits.append((order if order is not None else next(iter(found), ""), label, key))
        return hits


def _spelled(node: NodeType, spelled: dict[str, str]) -> list[str]:
    key = spelled.get(node.kind) if node.kind else None
    return [] if key is None else [key]


def _keyed(node: NodeType) -> bool:
    return node.key.type is PropertyType.KEY


def _unseen(hits: Iterable[Hit], seen: set[tuple[str, str]]) -> Iterator[Hit]:
    for hit in hits:
        if hit[1:] not in seen:
            seen.add(hit[1:])
            yield hit


def _answer(node: NodeType, order: str = "null") -> str:
    """What a branch of a search returns: of a hit its place, its texts, name and degree."""
    texts = ", ".join(f"n.{quoted(name)}" for name in node.search)
    degree = f"n.{quoted(node.degree)}" if node.degree else "null"
    return (
        f"RETURN '{node.label}' AS label, n.{quoted(node.key.name)} AS key, {order} AS place, "
        f"[{texts}] AS texts, n.{quoted(node.name)} AS name, {degree} AS degree"
    )


def _joined(branches: Iterable[str]) -> str:
    return " UNION ALL ".join(branches)


def _same(node: NodeType, column: str) -> str:
    """The pattern of nodes with the text `text`, which the index of heads answers."""
    return (
        f"MATCH (n:{quoted(node.label)}) {using('n', node, head(column))} "
        f"WHERE n.{quoted(head(column))} = $asked.start "
        f"AND n.{quoted(column)} = $asked.text AND n.run = $run"
    )


def _starting(node: NodeType, column: str, long: bool) -> str:
    """The pattern of nodes with a text that begins with `text`."""
    begins = f"n.{quoted(head(column))} STARTS WITH $asked.start"
    whole = f" AND n.{quoted(column)} STARTS WITH $asked.text" if long else ""
    return f"MATCH (n:{quoted(node.label)}) {using('n', node, head(column))} WHERE {begins}{whole} AND n.run = $run"


@cache
def _by_text(labels: tuple[str, ...]) -> str:
    nodes = [NODES[label] for label in labels]
    return _joined(f"{_same(node, column)} {_answer(node)}" for node in nodes for column in node.search)


@cache
def _by_look(labels: tuple[str, ...]) -> str:
    nodes = [NODES[label] for label in labels]
    return _joined(f"{_same(node, node.look_alike)} {_answer(node)}" for node in nodes if node.look_alike)


@cache
def _by_key(labels: tuple[str, ...]) -> str:
    return _joined(
        f"UNWIND $asked.keys.{quoted(label)} AS key MATCH {match('n', NODES[label], 'key')} {_answer(NODES[label])}"
        for label in labels
    )


@cache
def _by_prefix(labels: tuple[str, ...], long: bool) -> str:
    branches = []
    for node in [NODES[label] for label in labels]:
        for column in node.search:
            order = f"n.{quoted(head(column))}"
            branches.append(
                f"{_starting(node, column, long)} WITH n ORDER BY {order}, n.{quoted(node.key.name)} "
                f"LIMIT $asked.limit {_answer(node, order)}"
            )
    return _joined(branches)


@cache
def _count_prefix(labels: tuple[str, ...], long: bool) -> str:
    branches = []
    for node in [NODES[label] for label in labels]:
        if len(node.search) == 1:
            branches.append(f"{_starting(node, node.search[0], long)} RETURN count(n) AS some")
        else:
            either = " UNION ".join(f"{_starting(node, one, long)} RETURN n" for one in node.search)
            branches.append(f"CALL () {{ {either} }} RETURN count(n) AS some")
    return _joined(branches)


def _is_key(text: str) -> bool:
    try:
        return len(bytes.fromhex(text)) == KEY_BYTES and len(text) == 2 * KEY_BYTES
    except ValueError:
        return False
