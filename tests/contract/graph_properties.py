"""Properties that hold for every drawn graph, checked as often as a store's speed allows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from graph_views import NASTY, START, HandView
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graph.store import GraphStore

Opened = Callable[[HandView], GraphStore]

SHARE = {"sqlite": 0.5, "neo4j": 0.05}
"""The part of a property's examples that a store is asked: one that is reached over a wire gets fewer."""

identifiers = st.sampled_from(
    [
        *(("ip", f"10.9.0.{number}") for number in range(3)),
        *(("device", text) for text in ("one", NASTY[5], NASTY[6])),
        *(("api_key", text) for text in ("one", "two", NASTY[7])),
    ]
)
"""Kinds and texts of identifiers."""


def for_every(examples: int, **drawn: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """A test of each store: the function gets it (as `filled`) and each drawn value."""

    def decorate(check: Callable[..., None]) -> Any:
        def test(request: pytest.FixtureRequest, filled: Opened) -> None:
            share = SHARE[request.node.callspec.params["filled"]]

            def one(**values: Any) -> None:
                check(filled, **values)

            one.__name__ = one.__qualname__ = check.__name__
            limits = settings(
                max_examples=max(3, round(examples * share)),
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
            )
            limits(given(**drawn)(one))()

        test.__name__ = check.__name__
        test.__doc__ = check.__doc__
        return test

    return decorate


@st.composite
def names(draw: st.DrawFn, most: int = 9) -> list[str]:
    """Organizations, some with ids that want to be more than ids."""
    plain = [f"org {number}" for number in range(draw(st.integers(2, most)))]
    return draw(st.lists(st.sampled_from(NASTY), max_size=2, unique=True)) + plain


@st.composite
def views(draw: st.DrawFn) -> HandView:
    """Organizations, what they use, who brought them, and two clusters that part them."""
    orgs = draw(names())
    use = st.tuples(identifiers, st.sampled_from(orgs)).map(lambda drawn: (*drawn[0], drawn[1]))
    referral = st.tuples(st.sampled_from(orgs), st.sampled_from(orgs))
    split = draw(st.integers(0, len(orgs)))
    clusters = {"cl_a": orgs[:split], "cl_b": orgs[split:]}
    return HandView(
        orgs,
        draw(st.lists(use, max_size=30, unique=True)),
        {name: members for name, members in clusters.items() if members},
        referrals=draw(st.lists(referral, max_size=8, unique=True)),
    )


def moments(*, days: int = 3) -> st.SearchStrategy[Any]:
    """Times within some days of START."""
    return st.integers(0, days * 86_400 * 1_000_000).map(lambda at: START + timedelta(microseconds=at))
