"""The OpenAPI document holds what it says: generated requests to every operation, and examples everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from api_server import Served, served_campaign
from jsonschema_rs import validator_for
from schemathesis import GenerationMode

from api.app import Parts, guarded
from api.auth.permissions import ROLES
from api.http.problems import catalogue
from api.http.rate import Rates
from tests.contract import fuzzing

CASES = 6
"""Generated requests for each operation; many more by `python -m bench fuzz`."""


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


def test_every_operation_keeps_its_word(served: Served, document: dict[str, Any]) -> None:
    headers = {"Authorization": served.person("anybody", *ROLES).headers["authorization"]}
    for operation in fuzzing.operations(document, served.url):
        checks = fuzzing.excluded(operation)
        for mode in GenerationMode:
            fuzzing.ask_all(
                operation,
                mode,
                lambda case, checks=checks: case.call_and_validate(headers=headers, excluded_checks=checks),
                CASES,
            )


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
