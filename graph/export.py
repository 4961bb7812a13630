"""Files for other tools: members and clusters as tables, and where a file goes until it is whole.

Formats: `csv` (UTF-8, RFC 4180, booleans `true|false`, times in RFC 3339), `parquet`, `json` (an array, one
object a line). A file appears whole or not at all.

Spreadsheets run a cell that begins with `=`, `+`, `-`, `@`, tab or carriage return as a formula. In CSV such a
cell gets a leading `'`, except in columns of ids (`org_id`, `cluster_id`, `founder`, `source`, `target`, `id`):
ids are returned exactly as they came in, so that they can be joined on. Import those columns as text.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from graph.errors import RingfenceError

TABLE_FORMATS = ("csv", "parquet", "json")
MEMBER_COLUMNS = (
    "org_id",
    "cluster_id",
    "cluster_risk",
    "member_risk",
    "actionable",
    "spared_reason",
    "top_evidence",
    "first_at",
    "last_at",
    "cost",
)
ID_COLUMNS = frozenset({"org_id", "cluster_id", "founder", "source", "target", "id"})
ROWS = 65_536
_FORMULA = r"^[=+\-@\t\r]"


@dataclass(frozen=True)
class Exported:
    """What was written: the files, and how many things of each sort they hold."""

    files: tuple[Path, ...]
    counts: dict[str, int]


def export_members(
    folder: Path, out: Path, form: str, *, cluster_id: str | None = None, min_risk: float = 0.0
) -> Exported:
    """Write every member of every cluster of at least a risk (or of one cluster), by cluster and organization.

    `folder` is the run's. Raises RingfenceError for an unknown format or a place that cannot be written.
    """
    check_format("members", form, TABLE_FORMATS)
    table = read(folder, "members", MEMBER_COLUMNS, selection("cluster_risk", cluster_id, min_risk))
    table = table.sort_by([("cluster_id", "ascending"), ("org_id", "ascending")])
    write_table(table, out, form)
    return Exported((out,), {"members": table.num_rows})


def export_clusters(
    folder: Path, out: Path, form: str, *, cluster_id: str | None = None, min_risk: float = 0.0
) -> Exported:
    """Write every cluster of at least a risk (or one cluster), by id. Otherwise as `export_members`."""
    check_format("clusters", form, TABLE_FORMATS)
    table = read(folder, "clusters", None, selection("risk", cluster_id, min_risk)).sort_by("cluster_id")
    write_table(table, out, form)
    return Exported((out,), {"clusters": table.num_rows})


def check_format(what: str, form: str, known: Sequence[str]) -> None:
    """Raises RingfenceError when `what` cannot be written in the format."""
    if form not in known:
        raise RingfenceError(
            f"{what} cannot be exported as {form}", f"Choose one of: {', '.join(known)}.", exit_code=2
        )


def selection(risk: str, cluster_id: str | None, min_risk: float) -> pc.Expression:
    """The filter on a table of the run; `risk` is its column of cluster risk."""
    chosen = pc.field(risk) >= min_risk
    return chosen if cluster_id is None else chosen & (pc.field("cluster_id") == cluster_id)


def read(folder: Path, name: str, columns: Sequence[str] | None, chosen: pc.Expression) -> pa.Table:
    """Chosen rows of one of the run's tables."""
    path = folder / f"{name}.parquet"
    try:
        return pq.read_table(path, columns=None if columns is None else list(columns), filters=chosen)
    except (OSError, pa.ArrowException) as error:
        raise RingfenceError(f"cannot read {path}: {error}", "Run again: ringfence run") from error


def write_table(table: pa.Table, out: Path, form: str) -> None:
    """Write a table in one of `TABLE_FORMATS`."""
    with whole(out) as scratch:
        if form == "parquet":
            pq.write_table(table, scratch)
        elif form == "csv":
            _write_csv(table, scratch)
        else:
            write_lines(scratch, json_array(table))


def json_array(table: pa.Table) -> Iterator[bytes]:
    """A table as a JSON array, one object a line."""
    yield b"[\n"
    first = True
    for batch in table.to_batches(max_chunksize=ROWS):
        rows = b",\n".join(orjson.dumps(row, option=orjson.OPT_UTC_Z) for row in batch.to_pylist())
        if rows:
            yield rows if first else b",\n" + rows
            first = False
    yield b"\n]"


def write_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Write bytes as they come."""
    with path.open("wb") as out:
        out.writelines(lines)


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """A file beside `out` that takes its name when the block ends well, and disappears otherwise."""
    scratch = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    try:
        try:
            yield scratch
            scratch.replace(out)
        finally:
            scratch.unlink(missing_ok=True)
    except OSError as error:
        raise RingfenceError(
            f"cannot write {out}: {error.strerror or error}", "Make room, or name another file with -o."
        ) from error


def _write_csv(table: pa.Table, path: Path) -> None:
    columns = [
        _csv_column(field.name, column) for field, column in zip(table.schema, table.columns, strict=True)
    ]
    plain = pa.table(columns, names=table.column_names)
    options = csv.WriteOptions(include_header=False, quoting_style="needed", batch_size=ROWS)
    with path.open("wb") as out:
        out.write(",".join(table.column_names).encode() + b"\n")
        csv.write_csv(plain, out, options)


def _csv_column(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(column.type):
        return _chunked(column, lambda chunk: pc.strftime(chunk, "%Y-%m-%dT%H:%M:%SZ"))
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not pa.types.is_string(column.type) or name in ID_COLUMNS:
        return column
    return _chunked(column, _disarmed)


def _disarmed(chunk: pa.Array) -> pa.Array:
    armed = pc.match_substring_regex(chunk, _FORMULA)
    return pc.if_else(armed, pc.binary_join_element_wise("'", chunk, ""), chunk)


def _chunked(column: pa.ChunkedArray, change: Callable[[pa.Array], pa.Array]) -> pa.ChunkedArray:
    return pa.chunked_array([change(chunk) for chunk in column.chunks], pa.string())
