"""Search in SQLite: exact, spelled otherwise, look-alike, prefix."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from graph.confusables import skeleton
from graph.schema import KEY_BYTES, NODES, NodeType, PropertyType
from graph.store import Found, KeysOf, Match, NodeRef, Page
from graph.stores.sqlite.schema import INDEXED_CHARACTERS, Connection, head, key_text, quoted

_LAST_CODE_POINT = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)

Hit = tuple[str, str, int]  # text, label, id: the order of hits with the same match


def find(
    connection: Connection,
    text: str,
    keys_of: KeysOf | None,
    labels: Collection[str] | None,
    limit: int,
) -> Page[Found]:
    """See `GraphStore.find`."""
    if not text or not encodable(text):
        return Page((), 0)
    wanted = [node for node in NODES.values() if labels is None or node.label in labels]
    best = _special(connection, text, keys_of, wanted)
    total = len(best) + sum(_count_prefix(connection, node, text) for node in wanted)
    total -= sum(_has_prefix(connection, NODES[label], node, text) for label, node in best)
    chosen = [(_ORDER[rank], hit) for rank, hit in sorted(best.values())[:limit]]
    if len(chosen) < limit:
        hits = heapq.merge(*(_prefix(connection, node, text) for node in wanted))
        unseen = islice(_unseen(hits, set(best)), limit - len(chosen))
        chosen += [(Match.PREFIX, hit) for hit in unseen]
    return Page(tuple(_found(connection, match, hit) for match, hit in chosen), total)


_ORDER = tuple(Match)


def _special(
    connection: Connection, text: str, keys_of: KeysOf | None, wanted: Sequence[NodeType]
) -> dict[tuple[str, int], tuple[int, Hit]]:
    """By label and id: the rank of the best match other than by prefix, and the hit."""
    looks = skeleton(text)
    spelled = dict(keys_of(text)) if keys_of is not None else {}
    best: dict[tuple[str, int], tuple[int, Hit]] = {}
    for node in wanted:
        hits = [(Match.EXACT, hit) for hit in _exact(connection, node, text)]
        key = spelled.get(node.kind) if node.kind else None
        if key is not None:
            same = f"{quoted(node.key.name)} = ?"
            hits += [(Match.SPELLING, hit) for hit in _hits(connection, node, same, [key])]
        if node.look_alike:
            same = _same_text(node.look_alike)
            hits += [(Match.LOOK_ALIKE, hit) for hit in _hits(connection, node, same, [looks, looks])]
        for match, hit in hits:
            best.setdefault(hit[1:], (_ORDER.index(match), hit))
    return best


def _exact(connection: Connection, node: NodeType, text: str) -> Iterator[Hit]:
    for column in node.search:
        yield from _hits(connection, node, _same_text(column), [text, text])
    key = _key_bytes(text)
    if node.key.type is PropertyType.KEY and key is not None:
        yield from _hits(connection, node, f"{quoted(node.key.name)} = ?", [key])


def _same_text(column: str) -> str:
    """Equality that the index of heads answers; two bindings of the text."""
    whole = quoted(column)
    return f"{head(column)} = substr(?, 1, {INDEXED_CHARACTERS}) AND {whole} = ? AND {whole} IS NOT NULL"


def _hits(connection: Connection, node: NodeType, condition: str, bindings: Sequence[Any]) -> Iterator[Hit]:
    shown = f"coalesce({', '.join([*map(quoted, node.search), repr('')])})"
    query = f"SELECT id, {shown} FROM {quoted(node.label)} WHERE {condition} ORDER BY id"
    for number, text in connection.execute(query, bindings):
        yield text, node.label, number


def _range(column: str, text: str) -> tuple[str, list[str]]:
    """The condition that a column begins with `text`, as far as heads tell."""
    start = text[:INDEXED_CHARACTERS]
    condition = f"{quoted(column)} IS NOT NULL AND {head(column)} >= ?"
    end = _after(start)
    return (condition, [start]) if end is None else (f"{condition} AND {head(column)} < ?", [start, end])


def _begins(column: str, text: str) -> tuple[str, list[str]]:
    condition, bindings = _range(column, text)
    if len(text) > INDEXED_CHARACTERS:
        condition += f" AND substr({quoted(column)}, 1, length(?)) = ?"
        bindings = [*bindings, text, text]
    return condition, bindings


def _after(start: str) -> str | None:
    """The least text that is greater than all that begin with `start`; None if there is none."""
    stem = start.rstrip(chr(_LAST_CODE_POINT))
    if not stem:
        return None
    following = ord(stem[-1]) + 1
    return stem[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)


def _prefix(connection: Connection, node: NodeType, text: str) -> Iterator[Hit]:
    """Nodes with a text that begins so, in the order of the text."""
    columns = (_prefix_column(connection, node, column, text) for column in node.search)
    return heapq.merge(*columns)


def _prefix_column(connection: Connection, node: NodeType, column: str, text: str) -> Iterator[Hit]:
    condition, bindings = _begins(column, text)
    query = (
        f"SELECT {head(column)}, id FROM {quoted(node.label)} WHERE {condition} ORDER BY {head(column)}, id"
    )
    for shown, number in connection.execute(query, bindings):
        yield shown, node.label, number


def any_prefix(node: NodeType, text: str) -> tuple[str, list[str]]:
    """The condition that one of a node's texts begins with `text`, and its bindings."""
    parts = [_begins(column, text) for column in node.search]
    return " OR ".join(f"({part})" for part, _ in parts), [value for _, values in parts for value in values]


def _count_prefix(connection: Connection, node: NodeType, text: str) -> int:
    condition, bindings = any_prefix(node, text)
    query = f"SELECT count(*) FROM {quoted(node.label)} WHERE {condition}"
    return int(next(iter(connection.execute(query, bindings)))[0])


def _has_prefix(connection: Connection, node: NodeType, number: int, text: str) -> int:
    condition, bindings = any_prefix(node, text)
    query = f"SELECT count(*) FROM {quoted(node.label)} WHERE id = ? AND ({condition})"
    return int(next(iter(connection.execute(query, [number, *bindings])))[0])


def _unseen(hits: Iterable[Hit], seen: set[tuple[str, int]]) -> Iterator[Hit]:
    for hit in hits:
        if hit[1:] not in seen:
            seen.add(hit[1:])
            yield hit


def _found(connection: Connection, match: Match, hit: Hit) -> Found:
    _, label, number = hit
    node = NODES[label]
    degree = quoted(node.degree) if node.degree else "NULL"
    columns = f"{quoted(node.key.name)}, {quoted(node.name)}, {degree}"
    query = f"SELECT {columns} FROM {quoted(label)} WHERE id = ?"
    key, name, shared = next(iter(connection.execute(query, [number])))
    return Found(NodeRef(label, key_text(key)), name, match, shared)


def _key_bytes(text: str) -> bytes | None:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        return None
    return key if len(key) == KEY_BYTES and len(text) == 2 * KEY_BYTES else None


def encodable(text: str) -> bool:
    """Whether a text can be stored at all."""
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate: no stored text has one
        return False
    return True
