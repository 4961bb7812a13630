"""Mapping files: what they say, what is wrong with them and where, and what they make of a batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from graph.errors import RingfenceError
from ingest.batch import RawBatch
from ingest.mapped import apply_rule, take_rows
from ingest.mapping import Ignored, InputRule, load_mapping, parse_mapping, recipes


def rule(text: str) -> InputRule:
    return parse_mapping(text, "m", "m.yaml").inputs[0]


def batch(**columns: Any) -> RawBatch:
    arrays = {name: pa.array(values) for name, values in columns.items()}
    rows = len(next(iter(arrays.values())))
    return RawBatch(columns=arrays, rows=rows, file="f", lines=pa.array(range(1, rows + 1), pa.int64()))


def table(one: RawBatch) -> dict[str, list[Any]]:
    return {name: column.to_pylist() for name, column in one.columns.items()}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("inputs: [}", 1, "expected"),
        ("", 1, "inputs"),
        ("- a\n", 1, "inputs"),
        ("title: x\n", 1, "inputs"),
        ("inputs: []\n", 1, "inputs"),
        ("inputs:\n  - match: x\n    colums: {}\n", 3, "colums"),
        ("inputs:\n  - columns:\n      orgid: x\n", 3, "did you mean 'org_id'"),
        ("inputs:\n  - events:\n      - event_type: inferense\n", 3, "did you mean 'inference'"),
        ("inputs:\n  - match: a\n    match: b\n", 3, "twice"),
        ("inputs:\n  - format: log\n", 2, "pattern"),
        ("inputs:\n  - pattern: (?P<a>x)\n", 2, "pattern"),
        ("inputs:\n  - format: log\n    pattern: '('\n", 3, "regular expression"),
        ("inputs:\n  - format: log\n    pattern: 'x+'\n", 3, "named group"),
        ("inputs:\n  - timezone: Mars/Base\n", 2, "time zone"),
        (
            "inputs:\n  - events:\n      - event_type: inference\n        when:\n          - column: a\n",
            5,
            "one of",
        ),
        ("inputs:\n  - {}\nignore:\n  - match: b\n", 4, "because"),
    ],
)
def test_errors_say_where_and_what(text: str, line: int, words: str) -> None:
    with pytest.raises(RingfenceError) as caught:
        parse_mapping(text, "m", "m.yaml")
    assert caught.value.message.startswith(f"m.yaml, line {line}: ")
    assert words in caught.value.message
    assert caught.value.exit_code == 2


def test_scalars_stay_as_they_are_written() -> None:
    one = rule("inputs:\n  - constants: {occurred_at: 2026-01-02, plan: no, org_id: 007, cost_usd: 1.50}\n")
    assert one.constants == {"occurred_at": "2026-01-02", "plan": "no", "org_id": "007", "cost_usd": "1.50"}


def test_a_missing_mapping_names_the_recipes(tmp_path: Path) -> None:
    with pytest.raises(RingfenceError) as caught:
        load_mapping(tmp_path / "none.yaml")
    assert all(name in caught.value.remedy for name in recipes())


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(RingfenceError, match="UTF-8"):
        load_mapping(tmp_path / "m.yaml")


def test_every_recipe_loads_and_says_what_it_makes_up() -> None:
    assert recipes() == ["access_log", "p2p"]
    for name in recipes():
        mapping = load_mapping(name)
        assert mapping.name == name
        assert mapping.title
        assert mapping.notes


def test_the_first_entry_that_fits_counts() -> None:
    text = "inputs:\n  - match: 'a*.csv'\n  - match: '*.csv'\nignore:\n  - {match: 'b.csv', because: old}\n"
    mapping = parse_mapping(text, "m", "m.yaml")
    assert mapping.rule_for("/x/ab.csv") is mapping.inputs[0]
    assert mapping.rule_for("z.csv") is mapping.inputs[1]
    assert mapping.rule_for("b.csv") == Ignored(match="b.csv", because="old")
    with pytest.raises(RingfenceError) as caught:
        mapping.rule_for("x.parquet")
    assert "a*.csv" in caught.value.remedy


def test_rename_constants_and_values() -> None:
    one = rule(
        "inputs:\n  - columns: {org_id: account, ip: account, plan: tier}\n"
        "    constants: {event_type: inference}\n    values: {plan: {'0': free, '9': null}}\n"
    )
    (mapped,) = apply_rule(one, batch(account=["a", "b", "c"], tier=[0, 1, 9], country=["DE", None, "FR"]))
    assert table(mapped.batch) == {
        "country": ["DE", None, "FR"],
        "org_id": ["a", "b", "c"],
        "ip": ["a", "b", "c"],
        "plan": ["free", "1", None],
        "event_type": ["inference"] * 3,
    }


def test_a_missing_column_is_left_out() -> None:
    (mapped,) = apply_rule(rule("inputs:\n  - columns: {org_id: nowhere}\n"), batch(country=["DE"]))
    assert table(mapped.batch) == {"country": ["DE"]}


def test_one_row_becomes_several_events() -> None:
    one = rule(
        """
inputs:
  - columns: {org_id: id, event_id: id}
    events:
      - event_type: organization_created
      - event_type: organization_labelled
        when:
          - {column: bad, equals: ["1", "yes"]}
          - {column: day, not_equals: never}
        columns: {occurred_at: day}
        constants: {label: abusive}
      - event_type: user_added
        when: [{column: user, present: true}]
        columns: {user_id: user}
      - event_type: trial_started
        when: [{column: user, present: false}]
"""
    )
    rows = batch(
        id=[1, 2, 3, 4], bad=[1, 1, 0, 1], day=["d1", "never", "d3", None], user=["u", "", None, "v"]
    )
    created, labelled, added, trial = apply_rule(one, rows)
    assert created.rows.tolist() == [0, 1, 2, 3]
    assert as_strings(created.batch, "event_id") == ["1", "2", "3", "4"]
    assert labelled.rows.tolist() == [0]
    assert as_strings(labelled.batch, "event_id") == ["1#1"]
    assert as_strings(labelled.batch, "occurred_at") == ["d1"]
    assert added.rows.tolist() == [0, 3]
    assert as_strings(added.batch, "user_id") == ["u", "v"]
    assert trial.rows.tolist() == [1, 2]
    assert trial.batch.lines.to_pylist() == [2, 3]


def as_strings(one: RawBatch, name: str) -> list[str]:
    return one.columns[name].cast(pa.string()).to_pylist()


def test_time_formats() -> None:
    one = rule("inputs:\n  - columns: {occurred_at: t}\n    time_format: '%d/%b/%Y:%H:%M:%S %z'\n")
    times = ["17/May/2015:10:05:03 +0200", "17/May/2015:10:05:03 +0000", None, "soon"]
    (mapped,) = apply_rule(one, batch(t=times))
    assert table(mapped.batch)["occurred_at"] == [
        "2015-05-17T08:05:03+00:00",
        "2015-05-17T10:05:03+00:00",
        None,
        "soon (not %d/%b/%Y:%H:%M:%S %z)",
    ]
    (mapped,) = apply_rule(rule("inputs:\n  - time_format: '%Y-%m-%d'\n"), batch(occurred_at=["2018-08-06"]))
    assert table(mapped.batch)["occurred_at"] == ["2018-08-06T00:00:00"]


def test_a_secret_of_one_event_does_not_reach_another() -> None:
    one = rule(
        "inputs:\n  - events:\n    - event_type: payment_method_added\n      columns: {payment_method: card}\n"
        "    - event_type: user_added\n"
    )
    first, second = apply_rule(one, batch(card=["4111111111111111"], org_id=["a"]))
    assert "payment_method" in first.batch.columns
    assert set(second.batch.columns) == {"org_id", "event_type"}


def test_taking_rows_leaves_errors_behind() -> None:
    rows = RawBatch(
        columns={"a": pa.array(["x", "y", "z"])},
        rows=3,
        file="f",
        lines=pa.array([1, 2, 3], pa.int64()),
        raw=["1", "2", "3"],
        errors={1: "ragged_row"},
        extra=pa.array([None, "{}", "{}"]),
    )
    taken = take_rows(rows, np.array([0, 2]))
    assert (taken.rows, table(taken), list(taken.raw or [])) == (2, {"a": ["x", "z"]}, ["1", "3"])
    assert not taken.errors
    assert taken.extra is not None
    assert taken.extra.to_pylist() == [None, "{}"]
