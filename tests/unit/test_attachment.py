"""Who holds together whichever identifier is lost: the linear-time answer against trying each loss."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detection.attachment import groups, holding

ORGANIZATIONS, IDENTIFIERS = 9, 8
Edge = tuple[int, int]
EDGES = st.sets(st.tuples(st.integers(0, ORGANIZATIONS - 1), st.integers(0, IDENTIFIERS - 1)), max_size=30)


def components(edges: Iterable[Edge]) -> list[int]:
    """The component of each organization, named by its least, by joining the users of one identifier after another."""
    names = list(range(ORGANIZATIONS))
    users: dict[int, set[int]] = {}
    for org, identifier in edges:
        users.setdefault(identifier, set()).add(org)
    for who in users.values():
        joined = {names[org] for org in who}
        names = [min(joined) if name in joined else name for name in names]
    return names


def tried(edges: set[Edge]) -> list[int]:
    """The group of each organization, by taking each identifier away in turn."""
    losses = [
        components(edges),
        *(components(e for e in edges if e[1] != lost) for lost in range(IDENTIFIERS)),
    ]
    alike = list(zip(*losses, strict=True))
    return [alike.index(one) for one in alike]


def found(edges: Iterable[Edge]) -> list[int]:
    org, identifier = (
        (np.array(side, dtype=np.int64) for side in zip(*edges, strict=True)) if edges else ([], [])
    )
    return groups(
        ORGANIZATIONS, np.asarray(org, dtype=np.int64), np.asarray(identifier, dtype=np.int64)
    ).tolist()


@given(EDGES)
def test_groups_are_those_of_trying_every_loss(edges: set[Edge]) -> None:
    assert found(sorted(edges)) == tried(edges)


@given(EDGES, st.randoms(use_true_random=False))
def test_the_order_of_edges_does_not_matter(edges: set[Edge], dice: object) -> None:
    shuffled = sorted(edges)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    assert found(shuffled) == found(sorted(edges))


@given(EDGES, st.sets(st.integers(0, 29)), st.integers(2, 4))
def test_holding_is_what_edges_that_count_attach_and_those_of_the_attached_carry(
    edges: set[Edge], free: set[int], least: int
) -> None:
    listed = sorted(edges)
    counted = [place not in free for place in range(len(listed))]
    group, carrying = holding(
        ORGANIZATIONS,
        np.array([org for org, _ in listed], dtype=np.int64),
        np.array([identifier for _, identifier in listed], dtype=np.int64),
        np.array(counted, dtype=np.bool_),
        least,
    )
    inside: set[int] = set()
    while True:
        used = {edge for edge, counts in zip(listed, counted, strict=True) if counts or edge[0] in inside}
        names = tried(used)
        held = {org for org in range(ORGANIZATIONS) if names.count(names[org]) >= least}
        if held == inside:
            break
        inside = held
    assert group.tolist() == [names[org] if org in inside else -1 for org in range(ORGANIZATIONS)]
    assert {edge for edge, carries in zip(listed, carrying.tolist(), strict=True) if carries} == used


def test_a_chain_of_one_identifier_each_holds_nobody() -> None:
    edges = [(org, link) for org in range(6) for link in (org - 1, org) if 0 <= link < 5]
    assert found(edges)[:6] == list(range(6))


def test_a_ring_of_identifiers_holds_everybody_and_so_does_what_two_share_twice() -> None:
    circle = [(org, link % 6) for org in range(6) for link in (org, org + 1)]
    assert found(circle)[:6] == [0] * 6
    assert found([*circle, (5, 6), (6, 6), (5, 7), (6, 7)])[:7] == [0] * 7


def test_two_groups_that_one_identifier_joins_stay_two() -> None:
    one = [(org, identifier) for org in range(3) for identifier in (0, 1)]
    other = [(org, identifier) for org in range(3, 6) for identifier in (2, 3)]
    assert found([*one, *other, (0, 4), (3, 4)])[:6] == [0, 0, 0, 3, 3, 3]


def test_thousands_of_organizations_on_one_path_do_not_exhaust_the_stack() -> None:
    count = 20_000
    org = np.repeat(np.arange(count), 2)
    identifier = org + np.tile([0, 1], count)
    assert groups(count, org, identifier % count).tolist() == [0] * count
