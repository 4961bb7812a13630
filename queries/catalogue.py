"""Reads query files. A file is a header of `-- name: value` comment lines, then one SELECT."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_HEADER = re.compile(r"^--\s*(?P<name>[a-z]+):\s*(?P<value>.*)$")
_CONTINUED = re.compile(r"^--\s{3,}(?P<value>.*)$")


@dataclass(frozen=True)
class Query:
    """One stage: a SELECT over the tables that it `reads`, whose rows become the table `writes`."""

    name: str
    title: str
    purpose: str
    reads: tuple[str, ...]
    writes: str
    parameters: tuple[str, ...]
    sql: str


def names() -> list[str]:
    """Every SQL stage, sorted."""
    folder = files("queries") / "sql"
    return sorted(
        entry.name.removesuffix(".sql") for entry in folder.iterdir() if entry.name.endswith(".sql")
    )


@cache
def load(name: str) -> Query:
    """The stage in `queries/sql/NAME.sql`. Raises FileNotFoundError for an unknown name."""
    return parse(name, (files("queries") / "sql" / f"{name}.sql").read_text(encoding="utf-8"))


def parse(name: str, text: str) -> Query:
    """Split a query file into its header and its SELECT. Raises ValueError when the header lacks a line."""
    header: dict[str, str] = {}
    body: list[str] = []
    last = ""
    for line in text.splitlines():
        if not body and (found := _HEADER.match(line)):
            last = found["name"]
            header[last] = found["value"].strip()
        elif not body and last and (found := _CONTINUED.match(line)):
            header[last] += " " + found["value"].strip()
        elif line.strip():
            body.append(line)
    missing = {"title", "purpose", "reads", "writes"} - header.keys()
    if missing:
        raise ValueError(f"{name}: the header lacks {', '.join(sorted(missing))}")
    return Query(
        name=name,
        title=header["title"],
        purpose=header["purpose"],
        reads=_listed(header["reads"]),
        writes=header["writes"],
        parameters=_listed(header.get("parameters", "")),
        sql="\n".join(body),
    )


def _listed(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())
