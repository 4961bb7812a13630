"""Which members are meant. Nothing empty, nothing unbounded, nothing twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from actions.guardrails import UNKNOWN
from actions.model import Member, Selector
from actions.population import Population
from actions.refusals import Refusal

MAX_NAMED = 50_000


def checked(selector: Selector, limit: int = MAX_NAMED) -> Selector:
    """The selector with its ids sorted and unique. Raises Refusal when it means nobody, or everybody."""
    if selector.kind == "cluster":
        if not selector.cluster_id:
            raise Refusal(
                "bad_selector", "no cluster is named", "Give a cluster id: 'ringfence clusters' lists them."
            )
        return selector
    ids = tuple(sorted(set(selector.ids)))
    if not ids or not all(each.strip() for each in ids):
        raise Refusal(
            "bad_selector", "the selector names nobody", "Name organizations; there is no 'everything'."
        )
    if len(ids) > limit:
        raise Refusal(
            "bad_selector", f"{len(ids):,} members are named, {limit:,} are the most", "Make several plans."
        )
    return Selector(selector.kind, selector.cluster_id, ids, selector.name)


def members(selector: Selector, population: Population) -> Iterator[Sequence[Member]]:
    """Everybody that the selector means, in batches sorted by id; named ones that the run does not know, too."""
    if selector.kind == "cluster":
        yield from population.cluster(selector.cluster_id or "")
        return
    wanted = iter(selector.ids)
    for batch in population.organizations(selector.ids):
        filled: list[Member] = []
        for member in batch:
            for name in wanted:
                if name == member.org_id:
                    break
                filled.append(unknown(name))
            filled.append(member)
        yield filled
    rest = [unknown(name) for name in wanted]
    if rest:
        yield rest


def entities(selector: Selector) -> Iterator[Sequence[Member]]:
    """Entities are what they are called: each that is named is meant."""
    yield [Member(key, actionable=True) for key in selector.ids]


def unknown(org_id: str) -> Member:
    """An organization that the run does not know: nobody acts on it."""
    return Member(org_id, spared_reason=UNKNOWN)


def described(selector: Selector) -> dict[str, Any]:
    """The selector as a plan keeps it: ids only as their digest, so that names stay in one erasable place."""
    digest = hashlib.sha256("\n".join(selector.ids).encode()).hexdigest() if selector.ids else None
    return {
        "kind": selector.kind,
        "cluster_id": selector.cluster_id,
        "name": selector.name,
        "count": len(selector.ids),
        "ids_sha256": digest,
    }
