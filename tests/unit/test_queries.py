"""Query files: a full header, the tables that they say, and SQL that another engine understands too."""

from __future__ import annotations

import pytest
import sqlglot
from sqlglot import ErrorLevel, exp

from detection.detector import detectors
from queries import load
from queries.catalogue import names, parse

STAGES = names()
DETECTORS = {one.id: one for one in detectors()}
SQL = {name: load(name).sql for name in STAGES} | {name: one.sql for name, one in DETECTORS.items()}
HEADER = "-- title: T\n-- purpose: P\n-- reads: one, two\n-- writes: w\n"


def tables_of(sql: str) -> set[str]:
    """The tables that a SELECT names, but for those that it defines itself."""
    tree = sqlglot.parse_one(sql, read="duckdb")
    return {table.name for table in tree.find_all(exp.Table)} - {cte.alias for cte in tree.find_all(exp.CTE)}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_says_what_it_is_reads_and_writes(name: str) -> None:
    query = load(name)
    assert query.title[0].isupper()
    assert query.purpose.endswith(".")
    assert len(query.purpose) > 30
    assert query.writes == name.removeprefix("admission_")  # which only says what they are for
    assert len(set(query.reads)) == len(query.reads)
    assert set(query.reads) == tables_of(query.sql)


@pytest.mark.parametrize("name", SQL)
def test_the_sql_is_one_select(name: str) -> None:
    statements = sqlglot.parse(SQL[name], read="duckdb")
    assert len(statements) == 1
    assert isinstance(statements[0], exp.Query)


@pytest.mark.parametrize("name", SQL)
def test_the_sql_is_portable_to_spark(name: str) -> None:
    """Everything has a translation, and the translation calls nothing that the dialect does not know."""
    (text,) = sqlglot.transpile(
        SQL[name],
        read="duckdb",
        write="spark",
        unsupported_level=ErrorLevel.RAISE,
        error_level=ErrorLevel.RAISE,
    )
    there = sqlglot.parse_one(text, read="spark")
    assert {call.name for call in there.find_all(exp.Anonymous)} == set()
    here = sqlglot.parse_one(SQL[name], read="duckdb")
    assert there.named_selects == here.named_selects


@pytest.mark.parametrize("name", STAGES)
def test_sums_of_whole_numbers_that_are_kept_have_a_size(name: str) -> None:
    """Engines disagree on the type of a sum; partial aggregates, which are only added up again, may."""
    if name.startswith("day_"):
        return
    select = sqlglot.parse_one(SQL[name], read="duckdb")
    bare = [one.alias for one in select.selects if isinstance(one.unalias(), exp.Sum)]
    assert not [
        alias for alias in bare if alias in ("events", "uses", "tokens", "probes", "weight", "affected")
    ]


def test_a_header_may_run_over_lines() -> None:
    query = parse(
        "q", HEADER.replace("P\n", "P\n--    and more\n") + "-- parameters: a, b\nSELECT 1\n\nFROM one\n"
    )
    assert (query.name, query.title, query.purpose) == ("q", "T", "P and more")
    assert (query.reads, query.writes, query.parameters) == (("one", "two"), "w", ("a", "b"))
    assert query.sql == "SELECT 1\nFROM one"


def test_comments_of_the_body_are_not_header() -> None:
    query = parse("q", HEADER + "SELECT 1\n-- title: another\nFROM one\n")
    assert query.title == "T"
    assert "-- title: another" in query.sql


@pytest.mark.parametrize("line", ["title", "purpose", "reads", "writes"])
def test_a_header_without_a_line_is_refused(line: str) -> None:
    text = "".join(one + "\n" for one in HEADER.splitlines() if not one.startswith(f"-- {line}:"))
    with pytest.raises(ValueError, match=f"q: the header lacks {line}"):
        parse("q", text + "SELECT 1")


def test_an_unknown_stage_is_not_found() -> None:
    with pytest.raises(FileNotFoundError):
        load("no_such_stage")
