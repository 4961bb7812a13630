"""Files for other tools: members and clusters as tables, the graph as relationships or as GraphML."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from api.answers.reading import Row, RunReader, key_bytes
from api.output import as_json
from graph.errors import RingfenceError

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

FORMATS = {
    "members": ("csv", "parquet", "json"),
    "clusters": ("csv", "parquet", "json"),
    "graph": ("csv", "parquet", "json", "graphml"),
}


@dataclass(frozen=True)
class Exported:
    """What was written: files, and how many rows (or nodes and relationships) they hold."""

    files: list[Path]
    counts: dict[str, int]


@dataclass(frozen=True)
class Selection:
    """Which clusters: one of them, or all of at least a risk."""

    cluster_id: str | None = None
    min_risk: float = 0.0

    def where(self, risk: str) -> pc.Expression:
        """The selection as a filter; `risk` names the column of cluster risk."""
        condition = pc.field(risk) >= self.min_risk
        return (
            condition if self.cluster_id is None else condition & (pc.field("cluster_id") == self.cluster_id)
        )


def export(run: RunReader, what: str, form: str, target: Path, selection: Selection) -> Exported:
    """Write `what` (members, clusters, graph) to `target`; a file appears whole or not at all.

    Raises RingfenceError for a format that cannot hold it, an unknown cluster, or a place that cannot be written.
    """
    if form not in FORMATS[what]:
        raise RingfenceError(
            f"{what} cannot be exported as {form}", f"Choose one of: {', '.join(FORMATS[what])}.", exit_code=2
        )
    if selection.cluster_id is not None and run.one("clusters", "cluster_id", selection.cluster_id) is None:
        raise RingfenceError(
            f"cluster {selection.cluster_id} is not in this run",
            "'ringfence clusters' lists the clusters of a run.",
        )
    try:
        return (
            _graph(run, form, target, selection)
            if what == "graph"
            else _rows(run, what, form, target, selection)
        )
    except OSError as error:
        raise RingfenceError(
            f"cannot write {target}: {error.strerror or error}", "Name another file with -o."
        ) from error


def _rows(run: RunReader, what: str, form: str, target: Path, selection: Selection) -> Exported:
    table = run.table(what, selection.where("cluster_risk" if what == "members" else "risk"))
    order = [("cluster_risk", "descending"), ("cluster_id", "ascending"), ("org_id", "ascending")]
    if what == "clusters":
        order = [("risk", "descending"), ("points", "descending"), ("cluster_id", "ascending")]
    table = table.sort_by(order)
    _write(table, form, target, what)
    return Exported([target], {what: table.num_rows})


def _graph(run: RunReader, form: str, target: Path, selection: Selection) -> Exported:
    nodes, relationships = graph_tables(run, selection)
    counts = {"nodes": nodes.num_rows, "relationships": relationships.num_rows}
    if form == "graphml":
        with _whole(target) as scratch, scratch.open("w", encoding="utf-8") as out:
            out.writelines(graphml(nodes, relationships))
        return Exported([target], counts)
    if form == "json":
        answer = {
            "directed": False,
            "multigraph": False,
            "graph": {"run": run.run_id},
            "nodes": nodes.to_pylist(),
            "links": relationships.to_pylist(),
        }
        with _whole(target) as scratch:
            scratch.write_bytes(as_json(answer))
        return Exported([target], counts)
    beside = target.with_name(f"{target.stem}.nodes{target.suffix}")
    _write(nodes, form, beside, "nodes")
    _write(relationships, form, target, "relationships")
    return Exported([target, beside], counts)


def graph_tables(run: RunReader, selection: Selection) -> tuple[pa.Table, pa.Table]:
    """Nodes (organizations in clusters, identifiers that they share) and the relationships between them."""
    members = run.rows("members", selection.where("cluster_risk"))
    names = pa.array([member["org_id"] for member in members], pa.string())
    links = run.rows("links", pc.field("org_id").isin(names))
    ties = run.rows("ties", pc.field("a").isin(names) & pc.field("b").isin(names))
    shown = run.displays(key_bytes(link["key"]) for link in links)
    return _nodes(members, links, shown), _relationships(links, ties)


def _nodes(members: list[Row], links: list[Row], shown: dict[bytes, str]) -> pa.Table:
    identifiers = {(link["kind"], key_bytes(link["key"])): link["orgs"] for link in links}
    rows: list[Row] = [
        {
            "id": member["org_id"],
            "kind": "organization",
            "label": member["org_id"],
            "cluster_id": member["cluster_id"],
            "risk": member["member_risk"],
            "organizations": None,
        }
        for member in members
    ]
    rows.extend(
        {
            "id": _identifier(kind, key),
            "kind": kind,
            "label": shown.get(key, key.hex()),
            "cluster_id": None,
            "risk": None,
            "organizations": degree,
        }
        for (kind, key), degree in sorted(identifiers.items())
    )
    schema = pa.schema(
        {
            "id": pa.string(),
            "kind": pa.string(),
            "label": pa.string(),
            "cluster_id": pa.string(),
            "risk": pa.float64(),
            "organizations": pa.int64(),
        }
    )
    return pa.Table.from_pylist(rows, schema)


def _relationships(links: list[Row], ties: list[Row]) -> pa.Table:
    rows: list[Row] = [
        {
            "source": link["org_id"],
            "target": _identifier(link["kind"], key_bytes(link["key"])),
            "kind": "uses",
            "weight": 1.0,
            "first_at": str(link["first_at"]),
            "last_at": str(link["last_at"]),
        }
        for link in links
    ]
    rows.extend(
        {
            "source": tie["a"],
            "target": tie["b"],
            "kind": "tie",
            "weight": tie["weight"] / 1_000_000,
            "first_at": None,
            "last_at": None,
        }
        for tie in ties
    )
    text, real = pa.string(), pa.float64()
    schema = pa.schema(
        {"source": text, "target": text, "kind": text, "weight": real, "first_at": text, "last_at": text}
    )
    return pa.Table.from_pylist(rows, schema)


def _identifier(kind: str, key: bytes) -> str:
    return f"{kind}:{key.hex()}"


def graphml(nodes: pa.Table, relationships: pa.Table) -> Iterator[str]:
    """The graph in GraphML, line by line: undirected, every attribute declared, absent ones left out."""
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'
    for element, table in (("node", nodes), ("edge", relationships)):
        for column in table.schema:
            if column.name not in ("id", "source", "target"):
                name = quoteattr(column.name)
                kind = f'attr.name={name} attr.type="{_type(column.type)}"'
                yield f'<key id="{element}-{column.name}" for="{element}" {kind}/>\n'
    yield '<graph edgedefault="undirected">\n'
    for row in nodes.to_pylist():
        yield f"<node id={_attribute(row.pop('id'))}>{_data('node', row)}</node>\n"
    for row in relationships.to_pylist():
        ends = f"source={_attribute(row.pop('source'))} target={_attribute(row.pop('target'))}"
        yield f"<edge {ends}>{_data('edge', row)}</edge>\n"
    yield "</graph>\n</graphml>\n"


def _type(kind: pa.DataType) -> str:
    if pa.types.is_floating(kind):
        return "double"
    return "long" if pa.types.is_integer(kind) else "string"


def _attribute(text: str) -> str:
    return quoteattr(_legal(text))


def _data(element: str, row: Row) -> str:
    return "".join(
        f'<data key="{element}-{name}">{escape(_legal(str(value)))}</data>'
        for name, value in row.items()
        if value is not None and not (isinstance(value, float) and math.isnan(value))
    )


def _legal(text: str) -> str:
    """XML 1.0 forbids most control characters, even escaped: they are written as `<U+XXXX>`."""
    return _FORBIDDEN.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)


def _write(table: pa.Table, form: str, target: Path, what: str) -> None:
    with _whole(target) as scratch:
        if form == "parquet":
            pq.write_table(table, scratch)
        elif form == "csv":
            csv.write_csv(_textual(table), scratch, csv.WriteOptions(quoting_style="needed"))
        else:
            scratch.write_bytes(as_json({what: table.to_pylist()}))


def _textual(table: pa.Table) -> pa.Table:
    """The table with keys as 32 hex digits and times in RFC 3339: CSV has neither."""
    columns: list[Any] = []
    for field, column in zip(table.schema, table.columns, strict=True):
        if isinstance(field.type, pa.ExtensionType):
            values = [None if each is None else key_bytes(each).hex() for each in column.to_pylist()]
            columns.append(pa.array(values, pa.string()))
        elif pa.types.is_timestamp(field.type):
            columns.append(pc.strftime(column, "%Y-%m-%dT%H:%M:%SZ"))
        else:
            columns.append(column)
    return pa.table(columns, names=table.column_names)


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A file beside `target` that takes its name only when the block ends well."""
    scratch = target.with_name(f".{target.name}.part")
    try:
        yield scratch
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
