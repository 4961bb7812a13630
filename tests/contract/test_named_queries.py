"""The named queries on every store: the same rows, which are kept in `tests/golden/queries`.

`RINGFENCE_GOLDEN=write pytest tests/contract/test_named_queries.py` writes them anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from graph_views import PEPPER, HandView
from query_view import DUO, FARM, RING, QueryView, hours

from api.answers.queries import run_named
from graph.errors import RingfenceError
from graph.lookup import organization_ref
from graph.store import GraphStore, Rows
from queries.named import ValueType, catalogue

GOLDEN = Path(__file__).parents[1] / "golden" / "queries"
QUERIES = {query.name: query for query in catalogue()}
Given = Mapping[str, object]

MORE: dict[str, list[Given]] = {
    "actions_by_cluster": [{"min_risk": 0, "limit": 2}],
    "clusters_with_signal": [{"signal": "shared_device", "min_points": 10}, {"signal": "base"}],
    "consumers_of_many_organizations": [{}, {"min_organizations": 2, "max_degree": 3}],
    "created_together": [{}, {"seconds": 10_000}, {"max_degree": 3, "min_organizations": 2}],
    "keys_of_many_organizations": [{}, {"max_degree": 4}, {"limit": 1}],
    "left_behind": [{}, {"cluster_id": RING}, {"cluster_id": DUO}, {"cluster_id": FARM, "since": hours(26)}],
    "look_alike_mailboxes": [{}, {"max_degree": 1}],
    "look_alike_names": [{"min_clusters": 1}],
    "members_not_acted_on": [{}, {"min_risk": 0, "cluster_id": FARM}],
    "members_of_cluster": [{"cluster_id": FARM, "limit": 2}, {"cluster_id": "cl_nowhere"}],
    "bridges_of_cluster": [{"cluster_id": FARM}, {"cluster_id": RING, "limit": 2}, {"cluster_id": "; DROP"}],
    "paths_between": [
        {"a": "ann", "b": "bob"},
        {"a": "ann", "b": "dan", "max_degree": 8},
        {"a": "kim", "b": "nia"},
        {"a": "ray", "b": "kim"},
        {"a": "quo", "b": "fay"},
        {"a": "ann", "b": "ann"},
        {"a": "nobody", "b": "ann"},
        {"a": "o'brien", "b": "ann"},
    ],
    "promo_codes_of_rings": [{"min_risk": 0}, {"limit": 1}],
    "recent_sign_ups": [{}, {"hours": 6.5, "min_risk": 90}],
    "referral_loops": [{}, {"max_length": 2}],
    "referral_trees": [{}, {"max_degree": 2}, {"min_direct": 3}],
    "shared_addresses": [{}, {"min_clusters": 1, "min_risk": 50}],
    "shared_payment_methods": [{}, {"min_clusters": 1, "limit": 2}, {"min_risk": 90}],
}
NOW = [{"ann": "ban"}, {"bob": "throttle"}, {"gus": "ban"}]
"""Statuses by turn: each set ten hours after the one before."""


@pytest.fixture(scope="module")
def acted(filled: Callable[[HandView], GraphStore]) -> Iterator[GraphStore]:
    """The graph, and what was done about some of its organizations."""
    store = filled(QueryView())
    for place, statuses in enumerate(NOW, 1):
        for name, status in statuses.items():
            store.set_status([organization_ref(name, PEPPER)], status, hours(10 * place))
    yield store
    for statuses in NOW:
        store.set_status([organization_ref(name, PEPPER) for name in statuses], None, hours(0))


def cases(name: str) -> list[Given]:
    return [QUERIES[name].example, *MORE.get(name, [])]


@pytest.mark.parametrize("name", QUERIES)
def test_every_store_gives_the_golden_rows(name: str, acted: GraphStore) -> None:
    if acted.language not in QUERIES[name].texts:
        pytest.skip(f"{name} is not asked in {acted.language}")
    found = [_recorded(given, run_named(acted, name, given)) for given in cases(name)]
    file = GOLDEN / f"{name}.json"
    if os.environ.get("RINGFENCE_GOLDEN") == "write":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_text(found), encoding="utf-8")
    assert found == json.loads(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", QUERIES)
def test_columns_hold_what_the_header_says(name: str, acted: GraphStore) -> None:
    query = QUERIES[name]
    found = run_named(acted, name, query.example)
    assert found.columns == tuple(column.name for column in query.columns)
    assert found.rows, "the example finds nothing"
    for column, values in zip(query.columns, zip(*found.rows, strict=True), strict=True):
        kinds = {type(value) for value in values if value is not None}
        assert kinds <= _KINDS[column.type], column.name
        assert column.type is not ValueType.TIMESTAMP or all(
            value is None or value.tzinfo for value in values
        )


@pytest.mark.parametrize("name", QUERIES)
def test_a_cut_answer_says_so_and_is_the_beginning_of_the_whole(name: str, acted: GraphStore) -> None:
    whole = run_named(acted, name, QUERIES[name].example)
    first = run_named(acted, name, {**QUERIES[name].example, "limit": 1})
    assert first.rows == whole.rows[:1]
    assert first.cut == (len(whole.rows) > 1)
    assert not whole.cut


def test_an_unknown_query_and_an_unfit_parameter_are_misuse(acted: GraphStore) -> None:
    with pytest.raises(RingfenceError, match="no query 'refferal_loops'") as unknown:
        run_named(acted, "refferal_loops", {})
    assert (unknown.value.exit_code, unknown.value.remedy) == (2, "Did you mean referral_loops?")
    with pytest.raises(RingfenceError, match="which is not a whole number") as unfit:
        run_named(acted, "referral_loops", {"limit": "many"})
    assert unfit.value.exit_code == 2


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE Organization; --", "$limit", "MATCH (n) DETACH DELETE n", "\U0001f600"]
)
def test_parameters_are_values_and_never_part_of_the_question(text: str, acted: GraphStore) -> None:
    assert run_named(acted, "members_of_cluster", {"cluster_id": text}) == Rows(
        tuple(column.name for column in QUERIES["members_of_cluster"].columns), (), cut=False
    )
    assert run_named(acted, "referral_loops", {}).rows


_KINDS: dict[ValueType, set[type]] = {
    ValueType.TEXT: {str},
    ValueType.INTEGER: {int},
    ValueType.NUMBER: {float, int},
    ValueType.BOOLEAN: {bool},
    ValueType.TIMESTAMP: {datetime},
}


def _recorded(given: Given, found: Rows) -> dict[str, Any]:
    return {
        "given": {name: _plain(value) for name, value in given.items()},
        "columns": list(found.columns),
        "rows": [[_plain(value) for value in row] for row in found.rows],
        "cut": found.cut,
    }


def _plain(value: object) -> object:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def _text(found: list[dict[str, Any]]) -> str:
    """One row a line, so that a difference shows which."""
    parts = []
    for case in found:
        rows = ",\n".join(f"   {json.dumps(row, ensure_ascii=False)}" for row in case["rows"])
        head = ",\n".join(
            f"  {json.dumps(name)}: {json.dumps(case[name])}" for name in ("given", "columns", "cut")
        )
        parts.append(f" {{\n{head},\n" + (f'  "rows": [\n{rows}\n  ]\n }}' if rows else '  "rows": []\n }'))
    return "[\n" + ",\n".join(parts) + "\n]\n"
