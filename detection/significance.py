"""Whether a cluster is more than chance: each family of evidence is tested on groups that it did not help to find.

A community that was found in a graph is always dense in that graph. So, for each family of evidence (address and device
are one, payment another), the members of a cluster are grouped anew by their ties of all *other* families, and it is
asked whether those groups share more identifiers of the family left out than a random rewiring would make them: one in
which every identifier keeps how many organizations used it, every organization how many identifiers it used, and every
use its day. The p-value of a cluster is the least of its families' (times their number, Bonferroni); over clusters,
false discoveries are controlled whatever the tests have in common (Benjamini and Yekutieli 2001).

What is left of circularity: where a cluster ends was decided with all families.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components
from scipy.special import gammainc

from detection.engines.duckdb import Engine

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

LEAST_RISK = 50.0
"""Clusters below it are not tested: nobody acts on them. They still count as tests that were not passed."""


@dataclass(frozen=True)
class Uses:
    """Which organization used which shared identifier of which family, and on which day first; each once.

    `family`, `org` and `day` are dense numbers; `identifier` is dense within all families.
    """

    family: Ints
    identifier: Ints
    org: Ints
    day: Ints


@dataclass(frozen=True)
class Activity:
    """How many uses of identifiers of a family, shared or not, a day had: by each tested organization, and by all."""

    family: Ints
    org: Ints
    day: Ints
    uses: Ints
    all_family: Ints
    all_day: Ints
    all_uses: Ints


@dataclass(frozen=True)
class Pairs:
    """Which two organizations are tied by something of which family; each once."""

    a: Ints
    b: Ints
    family: Ints


def p_values(membership: Ints, pairs: Pairs, uses: Uses, activity: Activity) -> dict[int, float]:
    """The p-value of each cluster of `membership` (cluster of each organization, -1: not tested).

    1 where no family can be tested: a cluster that one family alone holds together is not confirmed by anything.
    """
    inside = (membership[pairs.a] == membership[pairs.b]) & (membership[pairs.a] >= 0)
    held = Pairs(pairs.a[inside], pairs.b[inside], pairs.family[inside])
    tested: dict[int, list[float]] = {int(cluster): [] for cluster in np.unique(membership[membership >= 0])}
    for family in np.unique(held.family).tolist():
        groups = _grouped_without(family, len(membership), held)
        for cluster, chance in _chances(groups, membership, *_of_family(family, uses, activity)):
            tested[cluster].append(chance)
    return {cluster: min(1.0, min(found) * len(found)) if found else 1.0 for cluster, found in tested.items()}


def benjamini_yekutieli(p: Floats) -> Floats:
    """The least false discovery rate at which each p-value is still a discovery, under any dependence."""
    count = len(p)
    if not count:
        return p
    order = np.argsort(p, kind="stable")
    scaled = p[order] * count * np.sum(1 / np.arange(1, count + 1)) / np.arange(1, count + 1)
    q = np.empty(count)
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1)
    return q


def _grouped_without(family: int, n: int, pairs: Pairs) -> Ints:
    """Groups that ties of other families make inside clusters, named by a member; -1 for who is in none."""
    other = pairs.family != family
    a, b = pairs.a[other], pairs.b[other]
    members = np.unique(np.concatenate([a, b]))
    groups = np.full(n, -1, dtype=np.int64)
    if len(members):
        ends = np.searchsorted(members, a), np.searchsorted(members, b)
        graph = coo_array((np.ones(len(a), dtype=np.int8), ends), shape=(len(members), len(members)))
        _, labels = connected_components(graph.tocsr(), directed=False)
        _, first = np.unique(labels, return_index=True)
        groups[members] = members[first][labels]
    return groups


def _of_family(family: int, uses: Uses, activity: Activity) -> tuple[Uses, Activity]:
    own, mine, all_ = uses.family == family, activity.family == family, activity.all_family == family
    return (
        Uses(uses.family[own], uses.identifier[own], uses.org[own], uses.day[own]),
        Activity(
            *(column[mine] for column in (activity.family, activity.org, activity.day, activity.uses)),
            *(column[all_] for column in (activity.all_family, activity.all_day, activity.all_uses)),
        ),
    )


def _chances(groups: Ints, membership: Ints, uses: Uses, activity: Activity) -> list[tuple[int, float]]:
    """For each cluster the chance that its groups share as much of one family as they do, or more.

    Two ways of sharing are looked at, and the less likely one counts (twice, for having looked at two): many
    identifiers with two members or more each, and one identifier with many members. A group's share of all uses of day
    t is q(t). An identifier first used on days t1 … td has on average sum over i < j of q(ti) q(tj) pairs of members,
    which bounds the number of identifiers that two or more share (Poisson's, as they are many and rare), and sum of
    q(ti) members.
    """
    placed = groups[uses.org]
    names = np.unique(placed[placed >= 0])
    if not len(names):
        return []
    days, all_day = np.unique(activity.all_day, return_inverse=True)
    share = _shares(groups, names, days, _sums(all_day, activity.all_uses, len(days)), activity)
    identifiers, identifier = np.unique(uses.identifier, return_inverse=True)
    day = np.searchsorted(days, uses.day)
    use = (identifier, day)
    counts = csr_array(coo_array((np.ones(len(day)), use), shape=(len(identifiers), len(days))))
    meetings = csr_array(counts.T @ counts).toarray()
    meetings[np.diag_indices(len(days))] -= np.bincount(day, minlength=len(days))
    expected = ((share @ (meetings / 2)) * share).sum(axis=1)
    own = placed >= 0
    group = np.searchsorted(names, placed[own])
    using = csr_array(
        coo_array((np.ones(own.sum()), (group, identifier[own])), shape=(len(names), len(identifiers)))
    )
    shared = using.multiply(using > 1).tocoo()
    clusters, cluster = np.unique(membership[names], return_inverse=True)
    many = _poisson(
        _sums(cluster[shared.row], np.ones(shared.nnz), len(clusters)),
        _sums(cluster, expected, len(clusters)),
    )
    one = np.ones(len(clusters))
    mean = _members_expected(shared, share, counts)
    np.minimum.at(one, cluster[shared.row], _poisson(shared.data, mean) * len(identifiers))
    return list(zip(clusters.tolist(), np.minimum(2 * np.minimum(many, one), 1).tolist(), strict=True))


def _shares(groups: Ints, names: Ints, days: Ints, total: Floats, activity: Activity) -> Floats:
    """The share of each group in all uses of each day."""
    grouped = groups[activity.org]
    own = grouped >= 0
    own[own] = np.isin(grouped[own], names)
    place, day = np.searchsorted(names, grouped[own]), np.searchsorted(days, activity.day[own])
    found = np.zeros((len(names), len(days)))
    np.add.at(found, (place, day), activity.uses[own] / total[day])
    return np.minimum(found, 1)


def _members_expected(shared: coo_array, share: Floats, counts: csr_array) -> Floats:
    """For each (group, identifier) of `shared`: how many of the identifier's users chance would make members."""
    users = csr_array(counts[shared.col])
    weighted = users.multiply(share[shared.row])
    return np.asarray(weighted.sum(axis=1), dtype=np.float64).ravel()


def _sums(place: Ints, values: npt.ArrayLike, count: int) -> Floats:
    return np.bincount(place, np.asarray(values, dtype=np.float64), count).astype(np.float64)


def _poisson(seen: Floats, mean: Floats) -> Floats:
    """The chance of so many or more."""
    many = np.maximum(seen, 1e-9)
    return np.asarray(np.where(seen > 0, gammainc(many, mean), 1.0), dtype=np.float64)


def confirm(engine: Engine, membership: Ints) -> None:
    """Test the clusters of `scored_clusters` above `LEAST_RISK`; leaves `confirmed` (cluster, q_value)."""
    scored = engine.fetch("SELECT cluster, risk FROM scored_clusters ORDER BY cluster")
    clusters = scored["cluster"].to_numpy().astype(np.int64)
    risky = clusters[scored["risk"].to_numpy() >= LEAST_RISK]
    p = np.ones(len(clusters))
    if len(risky):
        tested = np.where(np.isin(membership, risky), membership, -1)
        engine.register("tested", pa.table({"org": np.flatnonzero(tested >= 0)}))
        found = p_values(tested, _pairs(engine), _uses(engine), _activity(engine))
        p[np.searchsorted(clusters, list(found))] = list(found.values())
    q = pa.array(benjamini_yekutieli(p), pa.float64(), mask=~np.isin(clusters, risky))
    engine.register("confirmed", pa.table({"cluster": clusters, "q_value": q}))


def _pairs(engine: Engine) -> Pairs:
    return Pairs(
        *_columns(
            engine,
            "SELECT DISTINCT a, b, part FROM reasons WHERE a IN (SELECT org FROM tested)"
            " AND b IN (SELECT org FROM tested) ORDER BY a, b, part",
        )
    )


def _uses(engine: Engine) -> Uses:
    """Uses of identifiers that tie (what more use than the cap is a place, and no evidence either way)."""
    identifier, part, org, day = _columns(
        engine,
        "SELECT s.identifier, k.part, u.org, MIN(u.first_at) // 86400000000 AS day FROM uses AS u"
        " INNER JOIN tie_kinds AS k ON u.kind = k.kind INNER JOIN degrees AS d ON u.entity = d.entity"
        " INNER JOIN shared_identifiers AS s ON u.entity = s.entity"
        " WHERE k.counts AND d.organizations <= k.cap GROUP BY s.identifier, k.part, u.org"
        " ORDER BY s.identifier, k.part, u.org",
    )
    return Uses(part, identifier, org, day)


def _activity(engine: Engine) -> Activity:
    linked = "FROM links_parts AS l INNER JOIN tie_kinds AS k ON l.kind = k.kind"
    return Activity(
        *_columns(
            engine,
            f"SELECT k.part, o.org, l.first_at // 86400000000 AS day, COUNT(*) AS uses {linked}"
            " INNER JOIN organizations AS o ON l.organization = o.organization"
            " WHERE k.counts AND o.org IN (SELECT org FROM tested) GROUP BY ALL ORDER BY ALL",
        ),
        *_columns(
            engine,
            f"SELECT k.part, l.first_at // 86400000000 AS day, COUNT(*) AS uses {linked}"
            " WHERE k.counts GROUP BY ALL ORDER BY ALL",
        ),
    )


def _columns(engine: Engine, sql: str) -> list[Ints]:
    return [column.to_numpy().astype(np.int64) for column in engine.fetch(sql).columns]
