"""The OpenAPI document holds what it says: generated requests to every operation, and examples everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from api_server import Served, served_campaign
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from jsonschema_rs import validator_for
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from api.app import Parts, guarded
from api.auth.permissions import ROLES
from api.http.problems import catalogue
from api.http.rate import Rates
from api.routes import events

EXCLUDED = [positive_data_acceptance]
"""A schema cannot say which cursors were given, or which texts are visible. Whatever comes as an event is kept, if
need be in quarantine."""

ENDLESS = "/v1/stream"
"""Its answer ends when the client leaves: tests of its own read it."""

CASES = 6
"""Generated requests for each operation."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    rates = Rates(principal_second=100_000, address_second=100_000, failures_minute=100_000)
    with served_campaign(tmp_path_factory.getbasetemp(), Parts(rates=rates)) as found:
        yield found
        assert "exception" not in found.log.getvalue()


@pytest.fixture(scope="module")
def document(served: Served) -> dict[str, Any]:
    with served.client("viewer") as client:
        found: dict[str, Any] = client.get("/v1/openapi.json").json()
    return found


SEEDED = settings(
    max_examples=CASES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def test_every_operation_keeps_its_word(served: Served, document: dict[str, Any]) -> None:
    refusals = sorted({status for status in catalogue().values() if 400 <= status < 500})
    checks = {"negative_data_rejection": {"expected-statuses": refusals}}
    config = schemathesis.Config.from_dict({"base-url": served.url, "checks": checks})
    described = schemathesis.openapi.from_dict(document, config=config)
    headers = {"Authorization": served.person("anybody", *ROLES).headers["authorization"]}
    for found in described.get_all_operations():
        operation = found.ok()
        if operation.path == ENDLESS:
            continue
        for mode in GenerationMode:
            excluded = EXCLUDED if operation.path != events.PATH else [*EXCLUDED, negative_data_rejection]
            _ask(operation.as_strategy(generation_mode=mode), headers, excluded)


def _ask(cases: Any, headers: dict[str, str], excluded: list[Any]) -> None:
    @SEEDED
    @given(case=cases)
    def ask(case: Any) -> None:
        case.call_and_validate(headers=headers, excluded_checks=excluded)

    with suppress(Unsatisfiable):  # an operation without parameters cannot be asked wrongly
        ask()


@schemathesis.serializer("application/x-ndjson")
def _as_lines(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """Rows as they are generated: any text."""
    return str(value).encode("utf-8", "replace")


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_it_describes_every_route(served: Served, document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert {place for place, _ in operations(document)} == set(guarded(served.app))


def test_every_answer_and_every_problem_has_an_example_that_fits(document: dict[str, Any]) -> None:
    codes = catalogue()
    for place, operation in operations(document):
        assert operation["summary"], place
        assert operation["description"], place
        contents = [("request", operation.get("requestBody", {}).get("content", {}))]
        contents += [(status, answer.get("content", {})) for status, answer in operation["responses"].items()]
        for status, content in contents:
            for body in content.values():
                shown = examples(body)
                assert shown, (place, status)
                check(document, body, shown, (place, status))
                if status.isdigit() and int(status) >= 400:
                    assert {codes[each["code"]] for each in shown} == {int(status)}


def examples(body: dict[str, Any]) -> list[Any]:
    several = [each["value"] for each in body.get("examples", {}).values()]
    return several + ([body["example"]] if "example" in body else [])


def check(document: dict[str, Any], body: dict[str, Any], shown: list[Any], where: object) -> None:
    """The examples satisfy the schema."""
    if "schema" not in body:
        return
    schema = {**body["schema"], "components": document["components"]}
    errors = [error.message for each in shown for error in validator_for(schema).iter_errors(each)]
    assert not errors, (where, errors)


def test_every_mutation_and_every_read_names_its_permission(document: dict[str, Any]) -> None:
    for place, operation in operations(document):
        assert operation["x-ringfence-permission"], place
        assert ("token" in str(operation["security"])) is (operation["x-ringfence-permission"] != "public")
