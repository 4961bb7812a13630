"""Generated requests to every operation of the API, for the test of the schema and for `python -m bench fuzz`."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from api.http.problems import catalogue
from api.routes import events

ENDLESS = "/v1/stream"
"""Its answer ends when the client leaves: tests of its own read it."""

EXCLUDED = [positive_data_acceptance]
"""A schema cannot say which cursors were given, or which texts are visible. Whatever comes as an event is kept, if
need be in quarantine."""

POOL = 40
"""Values that are remembered of each field."""

SECONDS = 60
"""For how long an answer may be waited for."""

ALIKE = {"after": "next", "a": "org_id", "b": "org_id", "org_ids": "org_id", "members": "org_id"}
"""Fields of requests whose values are found under another name in answers."""

Ask = Callable[[Any], None]


@schemathesis.serializer("application/x-ndjson")
def _as_lines(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """Rows as they are generated: any text."""
    return str(value).encode("utf-8", "replace")


def operations(document: dict[str, Any], url: str) -> Iterator[Any]:
    """Everything that the document describes and that comes to an end."""
    refusals = sorted({status for status in catalogue().values() if 400 <= status < 500})
    checks = {"negative_data_rejection": {"expected-statuses": refusals}}
    config = schemathesis.Config.from_dict({"base-url": url, "checks": checks})
    described: Any = schemathesis.openapi.from_dict(document, config=config)
    for found in described.get_all_operations():
        operation = found.ok()
        if operation.path != ENDLESS:
            yield operation


def excluded(operation: Any) -> list[Any]:
    """The checks that cannot hold for an operation."""
    return EXCLUDED if operation.path != events.PATH else [*EXCLUDED, negative_data_rejection]


def ask_all(operation: Any, mode: GenerationMode, ask: Ask, cases: int, number: int = 0) -> None:
    """Hand over generated requests to an operation: the same ones for the same number."""

    @seed(number)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def asked(case: Any) -> None:
        ask(case)

    with suppress(Unsatisfiable):  # an operation without parameters cannot be asked wrongly
        asked()


@dataclass
class Known:
    """What answers said, by field, so that later requests name things that are there."""

    chance: random.Random
    seen: dict[str, list[Any]] = field(default_factory=dict)

    def learn(self, answer: Any) -> None:
        """Remember the texts of an answer."""
        if isinstance(answer, list):
            for each in answer[:POOL]:
                self.learn(each)
        elif isinstance(answer, dict):
            for name, value in answer.items():
                if isinstance(value, str) and value:
                    self._keep(name, value)
                else:
                    self.learn(value)

    def _keep(self, name: str, value: str) -> None:
        kept = self.seen.setdefault(name, [])
        if value in kept:
            return
        if len(kept) < POOL:
            kept.append(value)
        else:
            kept[self.chance.randrange(POOL)] = value

    def fill(self, case: Any) -> None:
        """Put what is known into a request, in most places where its name fits."""
        for place in (case.path_parameters, case.query):
            if place:
                self._into(place)
        self._into(case.body)

    def _into(self, place: Any) -> None:
        if isinstance(place, list):
            for each in place:
                self._into(each)
        if not isinstance(place, dict):
            return
        for name, value in place.items():
            known = self.seen.get(ALIKE.get(str(name), str(name)))
            if known and isinstance(value, str) and self.chance.random() < 0.9:
                place[name] = self.chance.choice(known)
            elif known and isinstance(value, list) and all(isinstance(each, str) for each in value):
                place[name] = self.chance.sample(known, min(len(known), 1 + len(value)))
            else:
                self._into(value)
