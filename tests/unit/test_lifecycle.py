"""Detectors of a home, as they are written: headers, the SQL that is let through, answers, and what they are worth."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.detector import COLUMNS, detectors
from detection.engines.confined import Confined, FailedSqlError, RefusedSqlError
from detection.lifecycle.answers import ROW, NonsenseError, decode, encode
from detection.lifecycle.check import difference
from detection.lifecycle.definition import LONGEST, FaultyError, Language, define
from detection.lifecycle.files import content, standings
from detection.lifecycle.records import folder
from detection.lifecycle.running import held_down, room
from detection.lifecycle.sample import UNIQUE, sample
from detection.lifecycle.sql_rules import problems
from detection.lifecycle.templates import template
from detection.lifecycle.views import ANSWER, VIEWS, answer_markdown, markdown
from detection.lifecycle.weights import Observed, labelled, weigh
from detection.scoring import BASE, SIZE, Bin, shipped
from detection.settings import AdmissionSettings
from graph.home import Home

HEADER = template("night_shift", "sql").split("WITH", 1)[0]
ROWS = "SELECT cluster, org, 1.0 AS value, NULL AS kind, NULL AS key, NULL AS happened_at, 1 AS count FROM members"
KINDS = frozenset({"ip", "device"})


def faults(text: str, name: str = "night_shift", language: Language = "sql") -> str:
    with pytest.raises(FaultyError) as caught:
        define(name, language, text.encode())
    return str(caught.value)


@pytest.mark.parametrize("language", ["sql", "python"])
def test_a_template_declares_itself(language: Language) -> None:
    text = template("night_shift", language).encode()
    found = define("night_shift", language, text)
    assert (found.id, found.declares.reads) == ("night_shift", ("member_activity",))
    assert found.declares.sql == "", "nothing of it may run in the process of a run"
    assert found.digest != define("night_shift", language, text + b"\n").digest


def test_a_long_meaning_goes_on_in_comment_lines_that_are_indented() -> None:
    text = HEADER.replace("-- group:", "--    And more of it.\n-- group:").replace("-- fact:", "-- fact:", 1)
    assert define("night_shift", "sql", text.encode()).declares.fact.endswith("last call And more of it.")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("-- title: Relay\n", ""), "lacks a line '-- title: …'"),
        (("-- title: Relay", "-- title:"), "title: is empty"),
        (("-- title: Relay", f"-- title: {'x' * 301}"), "at most 300 printable"),
        (("-- title: Relay", "-- title: a\u202eb"), "printable"),
        (("-- id: night_shift", "-- id: other"), "id: says 'other'"),
        (("trial_farm", "farm"), "group: 'farm' is none of common"),
        (("unilateral", "certain"), "evidence_class: 'certain' is none of"),
        (("reads: member_activity", "reads: events"), "there is no view 'events'"),
        (("{affected} of", "Some of"), "{affected} and {eligible}"),
        (("{affected} of", "{affected} {percent} of"), "{affected} and {eligible}"),
        (("{affected} of", "{affected of"), "{affected} and {eligible}"),
    ],
)
def test_a_header_says_what_is_wrong_with_it(change: tuple[str, str], says: str) -> None:
    assert change[0] in HEADER
    assert says in faults(HEADER.replace(*change))


@pytest.mark.parametrize("name", ["ab", "Night", "night-shift", "9lives", "x" * 41, "a'; --"])
def test_ids_are_plain_words(name: str) -> None:
    assert "is not 3 to 40" in faults(HEADER, name)


@pytest.mark.parametrize("name", [detectors()[0].id, SIZE, BASE])
def test_ids_of_what_ships_are_taken(name: str) -> None:
    assert "is taken" in faults(HEADER, name)


def test_files_are_small_and_utf_8() -> None:
    with pytest.raises(FaultyError, match="bytes"):
        define("night_shift", "sql", b"-" * (LONGEST + 1))
    with pytest.raises(FaultyError, match="UTF-8"):
        define("night_shift", "sql", b"-- id: \xff")


def test_all_faults_are_said_at_once() -> None:
    assert faults("SELECT 1").count("lacks a line") == 7


def test_only_plain_files_that_not_everybody_may_write_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a.sql"
    file.write_text("x")
    file.chmod(0o646)
    with pytest.raises(FaultyError, match="chmod o-w"):
        content(file)
    (tmp_path / "b.sql").symlink_to(file)
    with pytest.raises(FaultyError, match="is a link"):
        content(tmp_path / "b.sql")
    os.mkfifo(tmp_path / "d.sql")
    with pytest.raises(FaultyError, match="no plain file"):
        content(tmp_path / "d.sql")
    with pytest.raises(FaultyError, match="cannot be read"):
        content(tmp_path / "c.sql")


def test_one_id_is_one_file(tmp_path: Path) -> None:
    home = Home(tmp_path)
    folder(home).mkdir()
    for suffix in ("sql", "py"):
        (folder(home) / f"twice.{suffix}").write_text("")
    (folder(home) / "notes.txt").write_text("no detector")
    (found,) = standings(home)
    assert found.state == "draft"
    assert "one file a detector" in found.problems[0]


@pytest.fixture(scope="module")
def database() -> Confined:
    return Confined(sample(), 256)


def refused(database: Confined, sql: str) -> str:
    """What is wrong with a SELECT over all views; empty when nothing is."""
    try:
        return "; ".join(problems(database.parsed(sql), list(VIEWS), database.pure))
    except RefusedSqlError as error:
        return str(error)


@pytest.mark.parametrize("detector", detectors(), ids=lambda one: one.id)
def test_what_ships_would_be_let_through(database: Confined, detector: object) -> None:
    sql = detector.sql.replace("known_bad", "member_links")  # type: ignore[attr-defined]
    assert refused(database, sql) == ""


@pytest.mark.parametrize(
    "sql",
    [
        ROWS + ";",
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 9) SELECT * FROM t",
        "SELECT org, ROW_NUMBER() OVER (PARTITION BY cluster ORDER BY org) FROM members QUALIFY 1 = 1",
        "SELECT list_transform([1, 2], lambda x: x + 1), {'a': 1}.a, CAST(1 AS DECIMAL(9, 2)), 'a' LIKE 'b%'",
        "SELECT * FROM (VALUES (1), (2)) AS v (n), range(3), UNNEST([1, 2])",
        "SELECT hour(make_timestamp(first_at)), date_trunc('day', make_timestamp(first_at)) FROM member_links",
        "SELECT MAX_BY(key, {'n': uses, 'k': key}) FILTER (uses > 1) FROM member_links GROUP BY ALL ORDER BY ALL",
        "FROM members ANTI JOIN organizations USING (org)",
    ],
)
def test_sql_that_computes_is_let_through(database: Confined, sql: str) -> None:
    assert refused(database, sql) == ""


ESCAPES = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT content FROM (SELECT * FROM read_blob('/etc/passwd'))",
    "SELECT (SELECT COUNT(*) FROM glob('/*'))",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM 'facts.parquet'",
    "SELECT * FROM parquet_scan('x')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "COPY (SELECT 1) TO '/tmp/out.csv'",
    "ATTACH '/tmp/x.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "SET threads = 8",
    "RESET memory_limit",
    "EXPORT DATABASE 'x'",
    "CREATE TABLE t AS SELECT 1",
    "DROP VIEW members",
    "SELECT 1; SELECT 2",
    "",
    "EXPLAIN SELECT 1",
    "DESCRIBE members",
    "SUMMARIZE members",
    "SHOW TABLES",
    "WITH gone AS (DELETE FROM members RETURNING *) SELECT * FROM gone",
    "SELECT getenv('HOME')",
    "SELECT current_setting('temp_directory')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_tables",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM memory.main.members",
    "WITH duckdb_tables AS (SELECT 1) SELECT * FROM duckdb_tables",
    "WITH members AS (SELECT 1) SELECT * FROM members",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "SELECT random()",
    "SELECT list_filter([1], lambda x: random() > 0.5)",
    "SELECT uuid()",
    "SELECT now(), today()",
    "SELECT current_timestamp",
    "SELECT age(make_timestamp(1))",
    "SELECT sleep_ms(1000)",
    "SELECT pg_sleep(1)",
    "SELECT nextval('s')",
    "SELECT write_log('x')",
    "SELECT system.main.random()",
    "SELECT * FROM members TABLESAMPLE 10%",
    "SELECT * FROM members USING SAMPLE 3",
    "SELECT ?",
    "SELECT * FROM evidence",
    "SELECT FROM members WHERE",
]


@pytest.mark.parametrize("sql", ESCAPES)
def test_sql_that_reaches_out_or_depends_on_chance_is_refused(database: Confined, sql: str) -> None:
    assert refused(database, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "COPY (SELECT 1) TO '/tmp/ringfence-test.csv'",
        "ATTACH '/tmp/ringfence-test.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET disabled_filesystems = ''",
        "SET memory_limit = '90GB'",
        "SET threads = 8",
        "RESET lock_configuration",
        "SELECT * FROM VIEWS",
    ],
)
def test_the_engine_alone_would_refuse_it_too(database: Confined, sql: str) -> None:
    """Rules in front of it may have holes."""
    with pytest.raises(FailedSqlError):
        database.fetch(sql)


def answer(**columns: object) -> pa.Table:
    given = {"cluster": [0, 1], "org": [3, 4], "value": [0.5, 1.0], "kind": ["ip", None]}
    given |= {"key": [b"k" * 16, None], "happened_at": [5, None], "count": [2, None]}
    return pa.table({**given, **columns})


MEMBERS = pa.table({"cluster": pa.array([1, 0, 0], pa.int64()), "org": pa.array([4, 3, 4], pa.int32())})


def test_an_answer_comes_through_in_the_order_of_its_members() -> None:
    found = decode(encode(answer()), MEMBERS, KINDS)
    assert found.column_names == list(COLUMNS)
    assert found.drop(["key"]).to_pylist() == [
        {"cluster": 1, "org": 4, "value": 1.0, "kind": None, "happened_at": None, "count": None},
        {"cluster": 0, "org": 3, "value": 0.5, "kind": "ip", "happened_at": 5, "count": 2},
    ]
    assert [key and key.bytes for key in found["key"].to_pylist()] == [None, b"k" * 16]


def test_members_that_are_not_judged_and_answers_without_rows_are_no_nonsense() -> None:
    assert decode(encode(answer(value=[None, 1.0])), MEMBERS, KINDS)["org"].to_pylist() == [4]
    assert len(decode(encode(answer().slice(0, 0)), MEMBERS, KINDS)) == 0
    nothing = pa.table({name: pa.nulls(0) for name in COLUMNS})
    assert len(decode(encode(nothing), MEMBERS.slice(0, 0), KINDS)) == 0


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"value": [0.5, 1.5]}, "outside 0 to 1 in 1 rows, such as 1.5"),
        ({"value": [0.5, -0.1]}, "outside 0 to 1"),
        ({"value": [0.5, float("nan")]}, "no finite number in 1 rows"),
        ({"value": [0.5, float("inf")]}, "no finite number"),
        ({"value": ["high", "low"]}, "value is string, double is wanted"),
        ({"org": [3, 5]}, "organization 5 is no member of group 1"),
        ({"cluster": [0, 2]}, "no member of group 2"),
        ({"cluster": [0, -1]}, "no member of group -1"),
        ({"cluster": [0, 2**40]}, "no member of group"),
        ({"org": [3, 2**40]}, "org is int64, int32 is wanted"),
        ({"org": [3, None]}, "org is null in 1 rows"),
        ({"cluster": [0, 0], "org": [3, 3]}, "1 members come twice"),
        ({"kind": ["ip", "shoe"]}, "kind 'shoe' is none of device, ip"),
        ({"kind": [None, None]}, "key is given without its kind"),
        ({"key": [b"short", None]}, "key is binary"),
        ({"count": [-1, 1]}, "count is below zero"),
        ({"more": [1, 2]}, "has 'more' too many"),
    ],
)
def test_nonsense_is_named(columns: dict[str, object], says: str) -> None:
    with pytest.raises(NonsenseError, match=says):
        decode(encode(answer(**columns)), MEMBERS, KINDS)


def test_missing_columns_are_named() -> None:
    with pytest.raises(NonsenseError, match="lacks org, key; its columns are cluster, org"):
        encode(answer().drop(["org", "key"]))


@given(st.binary(max_size=300), st.integers(0, 3))
def test_whatever_comes_through_the_pipe_is_rows_or_nonsense(noise: bytes, rows: int) -> None:
    good = encode(answer())
    for sent in (noise, good[: len(good) - len(noise)] + noise, good + noise[: ROW.itemsize * rows]):
        try:
            found = decode(sent, MEMBERS, KINDS)
        except NonsenseError:
            continue
        found.validate(full=True)
        values = found["value"].to_numpy()
        assert len(found) <= len(MEMBERS)
        assert np.all((values >= 0) & (values <= 1))


def test_two_answers_differ_in_members_values_or_what_is_behind_them() -> None:
    one = decode(encode(answer()), MEMBERS, KINDS)
    assert difference(one, one.take([1, 0])) is None
    assert "judged" in str(difference(one, one.slice(1)))
    assert "value differs" in str(difference(one, decode(encode(answer(value=[0.5, 0.9])), MEMBERS, KINDS)))
    assert difference(one, decode(encode(answer(count=[2, 3])), MEMBERS, KINDS)) == "count of a member"


def test_the_made_up_views_are_what_is_documented() -> None:
    tables = sample()
    assert set(tables) == set(VIEWS)
    for name, view in VIEWS.items():
        assert tables[name].column_names == [column.name for column in view.columns]
        unique = UNIQUE.get(name, ("org",))
        rows = zip(*(tables[name][column].to_pylist() for column in unique), strict=True)
        assert len(set(rows)) == len(tables[name]) > 0
    assert tuple(column.name for column in ANSWER) == COLUMNS


def test_the_page_for_authors_has_every_view_and_column() -> None:
    page = (Path(__file__).parents[2] / "docs" / "recipes" / "detectors.md").read_text(encoding="utf-8")
    assert answer_markdown() in page
    for part in markdown().split("\n\n"):
        assert part.strip() in page, (
            "write detection.lifecycle.views.markdown() into docs/recipes/detectors.md"
        )


def observed(values: list[float], abusive: list[float], **changes: float) -> Observed:
    bad = np.array(abusive)
    figures = {"baseline": 0.02, "lift": 30.0, "overlap": 0.0} | changes
    return Observed(values=np.array(values), abusive=bad, legitimate=1 - bad, **figures)


TELLING = [0.9] * 30 + [0.0] * 270, [1.0] * 30 + [0.02] * 270


def test_what_hits_only_the_risky_earns_points_that_rise() -> None:
    weight = weigh(observed(*TELLING), None, 60)
    points = [step.points for step in weight.bins]
    assert weight.source == "risk"
    assert points == sorted(points)
    assert 10 <= points[-1] <= 60


@pytest.mark.parametrize(
    "changes",
    [{"lift": 1.0}, {"lift": 0.2}, {"baseline": 0.95}, {"overlap": 1.0}],
    ids=lambda one: next(iter(one)),
)
def test_what_is_usual_or_said_already_earns_none(changes: dict[str, float]) -> None:
    assert weigh(observed(*TELLING, **changes), None, 60).bins == ()


def test_what_hits_the_innocent_as_well_earns_none() -> None:
    values, abusive = [0.9] * 60 + [0.0] * 240, ([1.0] * 5 + [0.0] * 25) * 10
    assert weigh(observed(values, abusive), None, 60).bins == ()


def test_a_few_hits_earn_less_than_many() -> None:
    few = weigh(observed([0.9] * 3 + [0.0] * 297, [1.0] * 3 + [0.02] * 297), None, 60)
    many = weigh(observed([0.9] * 60 + [0.0] * 240, [1.0] * 60 + [0.02] * 240), None, 60)
    assert max((step.points for step in few.bins), default=0) < max(step.points for step in many.bins)


@given(st.floats(0, 60), st.floats(1, 1e6), st.floats(0, 1))
def test_points_never_exceed_what_is_allowed(most: float, lift: float, overlap: float) -> None:
    for step in weigh(observed(*TELLING, lift=lift, overlap=overlap), None, most).bins:
        assert 0 < step.points <= most


def test_labels_count_where_there_are_enough_of_either() -> None:
    values, bad, good = np.arange(30) / 30, np.arange(30) % 3 == 0, np.arange(30) % 3 == 1
    told = labelled(values, bad * 2.0, good * 1.0)
    assert told is not None
    assert [len(each) for each in told] == [20, 20, 20]
    assert labelled(values, bad * 2.0, np.zeros(30)) is None
    assert weigh(observed(*TELLING), observed(*TELLING), 60).source == "labels"


def test_all_detectors_of_a_home_together_make_nobody_actionable() -> None:
    """Even in the largest cluster, with nothing else against it, and with every bin reached."""
    card, admission = shipped(), AdmissionSettings()
    bins = {f"home_{number}": (Bin(at_least=0.1, points=60.0),) for number in range(20)}
    held = held_down(bins, room(card, admission))
    size = max(step.points for step in card.bins[SIZE])
    total = card.base_points + size + sum(steps[-1].points for steps in held.values())
    assert card.risk(np.array([total]))[0] < min(admission.cluster_risk, admission.member_risk)
    assert sum(steps[-1].points for steps in held.values()) > 0
    assert held_down({"one": bins["home_0"]}, 60)["one"][0].points == 60
    assert held_down({}, 60) == {}
