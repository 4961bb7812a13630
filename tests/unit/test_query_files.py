"""Every named query's files: a full header, parameters that are used, names that the schema declares, only reads."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlglot
from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from graph.schema import EVIDENCE, NODES, RELATIONSHIPS
from queries.named import LANGUAGES, LIMIT, QueryError, ValueType, catalogue, load, markdown, parse

QUERIES = {query.name: query for query in catalogue()}
WRITING = re.compile(
    r"\b(CREATE|MERGE|SET|DELETE|DETACH|REMOVE|DROP|LOAD|FOREACH|GRANT|USE|ALTER|INSERT|UPDATE)\b", re.I
)
NODE = re.compile(r"\((\w*):(\w+)")
RELATIONSHIP = re.compile(r"\[\s*(\w*)\s*:([\w|\s]+?)(?:\*[\d.]+)?\]")
PROPERTY = re.compile(r"\b([a-zA-Z_]\w*)\.([a-z_]\w*)\b")
NODE_PROPERTIES = {
    label: {column.name for column in (*node.columns, *node.kept)}
    | {"run", *(f"{text}_head" for text in node.search)}
    for label, node in NODES.items()
}
RELATIONSHIP_PROPERTIES = {
    name: {column.name for column in rel.properties} for name, rel in RELATIONSHIPS.items()
}
KEPT = {
    f"{label}Kept": {node.key.name, *(one.name for one in node.kept)}
    for label, node in NODES.items()
    if node.kept
}
SQL_COLUMNS = (
    {label: {"id", *(column.name for column in node.columns)} for label, node in NODES.items()}
    | {name: {"source", "target", *columns} for name, columns in RELATIONSHIP_PROPERTIES.items()}
    | KEPT
)
HEADER = (
    "// title: T\n// purpose: P\n//    and more.\n// parameter: org_id text | An id.\n"
    "// parameter: share number 0..1 = 0.5 | A share.\n// parameter: since timestamp = none | When.\n"
    "// parameter: limit integer 1..10 = 5 | Rows.\n// example: org_id='a b' share=1\n"
    "// column: n integer | A number.\n"
)


def without_texts(cypher: str) -> str:
    return re.sub(r"'[^']*'|//.*", "''", cypher)


def test_there_are_enough_and_each_is_asked_in_both_languages() -> None:
    assert len(QUERIES) >= 12
    assert all(set(query.texts) == set(LANGUAGES) for query in QUERIES.values())


@pytest.mark.parametrize("name", QUERIES)
def test_the_header_is_complete(name: str) -> None:
    query = QUERIES[name]
    assert query.title[0].isupper()
    assert not query.title.endswith(".")
    assert query.purpose.endswith(".")
    assert len(query.purpose) > 40
    assert all(one.meaning.endswith(".") for one in (*query.parameters, *query.columns))
    assert len({column.name for column in query.columns}) == len(query.columns)
    assert query.bind(query.example)
    assert query.texts["sql"].startswith(
        f"-- SQLite's answer to queries/cypher/{name}.cypher, whose header describes both.\n"
    )


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_parameter_is_used_and_every_one_used_is_declared(name: str, language: str) -> None:
    query = QUERIES[name]
    used = set(re.findall(r"\$(\w+)", query.text(language)))
    assert used - {"run"} == {one.name for one in query.parameters}
    assert ("run" in used) == (language == "cypher")


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_rows_are_ordered_and_bounded(name: str, language: str) -> None:
    query = QUERIES[name]
    text = query.text(language)
    limit = next(one for one in query.parameters if one.name == LIMIT)
    assert limit.type is ValueType.INTEGER
    assert not limit.required
    assert text.count("LIMIT $limit") == 1
    assert "ORDER BY" in text[: text.index("LIMIT $limit")]
    assert "ORDER BY" in text[text.rindex("RETURN" if language == "cypher" else "FROM") :]


@pytest.mark.parametrize("name", QUERIES)
def test_the_cypher_reads_what_the_schema_declares_of_the_run_that_is_shown(name: str) -> None:
    text = without_texts(QUERIES[name].text("cypher"))
    assert not WRITING.search(text)
    known: dict[str, set[str]] = {}
    for alias, label in NODE.findall(text):
        known.setdefault(alias, set()).update(NODE_PROPERTIES[label])
    for alias, types in RELATIONSHIP.findall(text):
        for kind in filter(None, re.split(r"[|\s]+", types)):
            known.setdefault(alias, set()).update(RELATIONSHIP_PROPERTIES[kind])
    anything = set().union(*NODE_PROPERTIES.values(), *RELATIONSHIP_PROPERTIES.values())
    for alias, name_ in PROPERTY.findall(text):
        assert name_ in known.get(alias, anything), f"{alias}.{name_}"
    first = re.search(r"MATCH \(\w+:\w+ \{run: \$run", text)
    assert first is not None
    assert first.start() == text.index("MATCH")


@pytest.mark.parametrize("name", QUERIES)
def test_the_sql_is_one_select_of_what_the_schema_declares(name: str) -> None:
    (tree,) = sqlglot.parse(QUERIES[name].text("sql"), read="sqlite")
    assert isinstance(tree, exp.Query)
    named = {cte.alias for cte in tree.find_all(exp.CTE)}
    assert {table.name for table in tree.find_all(exp.Table)} - named <= set(SQL_COLUMNS)
    for scope in traverse_scope(tree):
        for column in scope.columns:
            source = scope.sources.get(column.table)
            if isinstance(source, exp.Table) and source.name not in named:
                assert column.name in SQL_COLUMNS[source.name], f"{source.name}.{column.name}"


@pytest.mark.parametrize(
    ("name", "language"),
    [("paths_between", "cypher"), ("paths_between", "sql"), ("bridges_of_cluster", "sql")],
)
def test_what_asks_for_every_kind_of_evidence_names_them_all(name: str, language: str) -> None:
    words = set(re.findall(r"\w+", QUERIES[name].text(language)))
    assert words & set(RELATIONSHIPS) - {"MEMBER_OF"} == set(EVIDENCE)


def test_a_header_is_read() -> None:
    query = parse("q", {"cypher": f"{HEADER}RETURN $org_id\n// title: no header\n", "sql": "SELECT 1"})
    assert (query.title, query.purpose) == ("T", "P and more.")
    assert query.text("cypher") == "RETURN $org_id\n// title: no header\n"
    assert dict(query.example) == {"org_id": "a b", "share": "1"}
    assert query.bind({"org_id": "x"}) == {"org_id": "x", "share": 0.5, "since": None, "limit": 5}
    with pytest.raises(QueryError, match="q cannot be asked in prose"):
        query.text("prose")


@pytest.mark.parametrize("word", ["title", "purpose", "parameter", "example", "column"])
def test_a_header_without_a_line_is_refused(word: str) -> None:
    text = "".join(line + "\n" for line in HEADER.splitlines() if not line.startswith(f"// {word}:"))
    with pytest.raises(ValueError, match=f"q: the header lacks {word}"):
        parse("q", {"cypher": text})


@pytest.mark.parametrize(
    "line",
    [
        "parameter: x text",
        "parameter: x blob | A.",
        "parameter: x = 3 | A.",
        "column: x | A.",
        "column: y text",
    ],
)
def test_a_header_with_an_unfit_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"q: cannot read the (parameter|column)"):
        parse("q", {"cypher": f"{HEADER}// {line}\nRETURN 1\n"})


def test_values_are_read_from_text_and_taken_as_they_are() -> None:
    query = parse("q", {"cypher": HEADER})
    moment = datetime(2026, 3, 4, 12, tzinfo=UTC)
    text = {"org_id": "12", "share": "0.25", "since": "2026-03-04T13:00:00+01:00", "limit": "7"}
    plain = {
        "org_id": "12",
        "share": 0.25,
        "since": moment.astimezone(timezone(timedelta(hours=1))),
        "limit": 7.0,
    }
    bound = {"org_id": "12", "share": 0.25, "since": moment, "limit": 7}
    assert query.bind(text) == query.bind(plain) == bound
    assert query.bind({"org_id": "", "since": "2026-03-04T12:00"})["since"] == moment
    assert query.bind({"org_id": "", "since": None})["since"] is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "q needs org_id"),
        ({"org_id": "x", "shrae": 1}, "q has no parameter 'shrae'"),
        ({"org_id": None}, "org_id is None, which is not text"),
        ({"org_id": 5}, "org_id is 5, which is not text"),
        ({"org_id": "\udcff"}, "which is not text"),
        ({"org_id": "x", "share": "much"}, "share is 'much', which is not a number"),
        ({"org_id": "x", "share": "nan"}, "which is not a number"),
        ({"org_id": "x", "share": 1.5}, "share is 1.5, which is not 0 to 1"),
        ({"org_id": "x", "share": True}, "which is not a number"),
        ({"org_id": "x", "limit": "2.5"}, "limit is '2.5', which is not a whole number"),
        ({"org_id": "x", "limit": 2.5}, "which is not a whole number"),
        ({"org_id": "x", "limit": 0}, "limit is 0, which is not 1 to 10"),
        ({"org_id": "x", "limit": True}, "which is not a whole number"),
        ({"org_id": "x", "limit": "9" * 5000}, "which is not"),
        ({"org_id": "x", "limit": None}, "which is not a whole number"),
        ({"org_id": "x", "since": "yesterday"}, "which is not a time"),
        ({"org_id": "x", "since": 5}, "which is not a time"),
        ({"org_id": "x", "since": "\x1b[2J"}, r"since is '\\x1b\[2J', which"),
    ],
)
def test_unfit_parameters_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(QueryError, match=said) as refused:
        parse("q", {"cypher": HEADER}).bind(given)
    assert refused.value.hint


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(QueryError) as near:
        load("shared_adresses")
    assert near.value.hint == "Did you mean shared_addresses?"
    with pytest.raises(QueryError) as far:
        load("../sql/ties")
    assert "query list" in far.value.hint


def test_the_page_of_the_docs_holds_every_query_parameter_and_column() -> None:
    page = markdown()
    for query in QUERIES.values():
        section = page.split(f"## {query.title} (`{query.name}`)\n", 1)[1].split("\n## ", 1)[0]
        assert query.purpose in section
        assert all(f"| `{one.name}`" in section and one.meaning in section for one in query.parameters)
        assert all(f"| `{one.name}`" in section and one.meaning in section for one in query.columns)
