"""Nobody sees an identifier in clear by asking: every value that the facts hold is looked for in every answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from api_server import Served, served_campaign

from graph.facts import FactsReader
from graph.home import Home

SHORTEST = 6
OPEN = ("organization", "api_key", "payment_method", "phone")
"""Ids of organizations are what is worked with; of secrets nothing but the last four is ever kept."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_campaign(tmp_path_factory.getbasetemp()) as found:
        yield found


@pytest.fixture(scope="module")
def values(served: Served) -> frozenset[str]:
    return frozenset(text for _, text in clear_values(served.home))


def clear_values(home: Home) -> Iterator[tuple[str, str]]:
    """Every value in clear with its kind."""
    for path in FactsReader(home).value_files():
        for row in pq.read_table(path, columns=["kind", "raw", "canonical"]).to_pylist():
            for name in ("raw", "canonical"):
                text = row[name]
                if row["kind"] not in OPEN and text is not None and len(text) >= SHORTEST:
                    yield row["kind"], text


def answers(client: httpx.Client) -> Iterator[httpx.Response]:
    """What a role can read about the riskiest clusters, by every way that leads to identifiers."""
    listed = client.get("/v1/clusters")
    yield listed
    for cluster in listed.json()["items"][:4]:
        path = f"/v1/clusters/{cluster['cluster_id']}"
        yield client.get(path)
        for part in ("members", "evidence", "subgraph", "timeline", "lineage"):
            yield client.get(f"{path}/{part}")
        founder = cluster["founder"]
        yield client.get(f"/v1/organizations/{founder}")
        yield client.get("/v1/why", params={"a": founder})
        members = [one["org_id"] for one in client.get(f"{path}/members").json()["items"]]
        yield client.get("/v1/why", params={"a": members[0], "b": members[-1]})
        around = client.get("/v1/expand", params={"node": f"org:{founder}", "leaves": "true"})
        yield around
        for node in around.json()["nodes"]:
            if node["label"] not in ("Organization", "Cluster"):
                yield client.get(f"/v1/identifiers/{node['label']}/{node['key']}")
    for query in client.get("/v1/queries").json()["items"]:
        body: dict[str, Any] = {"parameters": query["example"]}
        yield client.post(f"/v1/queries/{query['name']}/run", json=body)
    for what in ("/v1/signals", "/v1/detectors", "/v1/runs", "/v1/runs/current", "/v1/openapi.json"):
        yield client.get(what)


@pytest.mark.parametrize("roles", [("viewer",), ("analyst",), ("operator", "approver"), ("admin", "auditor")])
def test_no_answer_holds_a_value_in_clear(
    served: Served, values: frozenset[str], roles: tuple[str, ...]
) -> None:
    assert len(values) > 1_000
    with served.client(*roles) as client:
        seen = list(answers(client))
    assert len(seen) > 60
    assert any("•••" in answer.text for answer in seen)
    for answer in seen:
        assert answer.status_code in (200, 404), answer.text[:200]
        assert words(answer.json()).isdisjoint(values), answer.request.url


def words(value: Any) -> set[str]:
    """Every text in an answer, and every word in it."""
    if isinstance(value, str):
        return {value, *value.split()}
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return set().union(*map(words, value))
    return set()


def test_who_searches_for_a_value_is_not_told_it(served: Served, values: frozenset[str]) -> None:
    kinds = dict(clear_values(served.home))
    with served.client("viewer") as client:
        for kind, text in kinds.items():
            found = client.get("/v1/search", params={"q": text})
            assert found.status_code == 200, (kind, found.text)
            assert words(found.json()).isdisjoint(values), (kind, found.text)


def test_exports_hold_no_identifiers(served: Served, values: frozenset[str]) -> None:
    with served.client("auditor") as client:
        for what in ("members", "clusters"):
            rows = client.get(f"/v1/exports/{what}", params={"format": "json"}).json()
            assert rows
            assert words(rows).isdisjoint(values)


def test_on_ones_own_machine_values_are_in_clear(served: Served) -> None:
    with served.client() as client:
        client.get("/v1/session/open", params={"token": served.identities.invite_owner()})
        founder = client.get("/v1/clusters").json()["items"][0]["founder"]
        around = client.get("/v1/expand", params={"node": f"org:{founder}"})
        assert "•••" not in around.text
