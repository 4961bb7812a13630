"""Communities to clusters: groups that keep their identity from run to run, and the record of how they changed."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from itertools import count

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Previous:
    """What the run before found: who was in which cluster, and when each cluster was born."""

    membership: dict[str, str]
    born_at: dict[str, datetime]
    founder: dict[str, str]


@dataclass(frozen=True)
class Identified:
    """Clusters of this run. `cluster_of` has one entry a community: its id, founder and birth."""

    ids: dict[int, str]
    founder: dict[int, str]
    born_at: dict[int, datetime]
    lineage: pa.Table


LINEAGE = pa.schema(
    [
        ("cluster_id", pa.string()),
        ("previous_id", pa.string()),
        ("change", pa.string()),
        ("jaccard", pa.float64()),
        ("as_of", pa.timestamp("us", tz="UTC")),
    ]
)


def cluster_id(founder: str, born: datetime, again: int = 0) -> str:
    """`cl_` and ten base32 characters of the SHA-256 of the founding organization and the as-of of its birth.

    `again` counts up where that id is taken: a cluster that was split in a second run of the same as-of leaves its
    founder and its id in different parts.
    """
    what = f"{founder}\n{born.isoformat()}" + (f"\n{again}" if again else "")
    digest = hashlib.sha256(what.encode()).digest()
    return "cl_" + base64.b32encode(digest).decode("ascii")[:10].lower()


def group(membership: Ints) -> dict[int, Ints]:
    """Communities of two or more organizations: name -> members in order."""
    if len(membership) == 0:
        return {}
    order = np.argsort(membership, kind="stable")
    labels = membership[order]
    starts = np.flatnonzero(np.diff(labels, prepend=labels[:1] - 1))
    return {
        int(labels[start]): members
        for start, members in zip(starts, np.split(order, starts[1:]), strict=True)
        if labels[start] >= 0 and len(members) > 1
    }


def identify(
    groups: dict[int, Ints],
    org_ids: list[str],
    first_at: Ints,
    as_of: datetime,
    previous: Previous,
    min_jaccard: float,
) -> Identified:
    """Give each community the id of the cluster that it continues, else a new one.

    Pairs of (cluster before, community now) are matched greatest overlap first, equal overlaps by age, and keep
    the id if their Jaccard index is at least `min_jaccard`. A new cluster is named after its founder: the member
    that was seen first. `first_at` is the time in microseconds at which each organization was first seen.
    """
    overlaps, sizes = _overlaps(groups, org_ids, previous)
    kept = _match(overlaps, groups, sizes, previous, min_jaccard)
    ids: dict[int, str] = {}
    founder: dict[int, str] = {}
    born_at: dict[int, datetime] = {}
    taken = set(previous.founder)
    for name, members in groups.items():
        if name in kept:
            old = kept[name]
            ids[name], founder[name], born_at[name] = old, previous.founder[old], previous.born_at[old]
        else:
            first = org_ids[min(members, key=lambda org: (first_at[org], org))]
            ids[name], founder[name], born_at[name] = _free(first, as_of, taken), first, as_of
            taken.add(ids[name])
    return Identified(ids, founder, born_at, _lineage(groups, ids, kept, overlaps, sizes, as_of))


def _free(founder: str, born: datetime, taken: set[str]) -> str:
    return next(found for again in count() if (found := cluster_id(founder, born, again)) not in taken)


def _overlaps(
    groups: dict[int, Ints], org_ids: list[str], previous: Previous
) -> tuple[dict[tuple[str, int], int], dict[str, int]]:
    sizes: dict[str, int] = {}
    for old in previous.membership.values():
        sizes[old] = sizes.get(old, 0) + 1
    overlaps: dict[tuple[str, int], int] = {}
    if sizes:
        for name, members in groups.items():
            for org in members:
                old_id = previous.membership.get(org_ids[org])
                if old_id is not None:
                    overlaps[old_id, name] = overlaps.get((old_id, name), 0) + 1
    return overlaps, sizes


def _match(
    overlaps: dict[tuple[str, int], int],
    groups: dict[int, Ints],
    sizes: dict[str, int],
    previous: Previous,
    min_jaccard: float,
) -> dict[int, str]:
    taken: set[str] = set()
    kept: dict[int, str] = {}
    for (old, name), shared in sorted(
        overlaps.items(), key=lambda item: (-item[1], previous.born_at[item[0][0]], item[0][0], item[0][1])
    ):
        jaccard = shared / (sizes[old] + len(groups[name]) - shared)
        if name not in kept and old not in taken and jaccard >= min_jaccard:
            kept[name] = old
            taken.add(old)
    return kept


def _lineage(
    groups: dict[int, Ints],
    ids: dict[int, str],
    kept: dict[int, str],
    overlaps: dict[tuple[str, int], int],
    sizes: dict[str, int],
    as_of: datetime,
) -> pa.Table:
    rows: list[tuple[str, str | None, str, float]] = []
    heirs = set(kept.values())
    for name, members in groups.items():
        before = kept.get(name)
        if before is None:
            rows.append((ids[name], None, "born", 0.0))
        else:
            shared = overlaps[before, name]
            change = (
                "kept" if shared == len(members) == sizes[before] else _direction(len(members), sizes[before])
            )
            rows.append((ids[name], before, change, shared / (sizes[before] + len(members) - shared)))
    inherited = {old for old, _ in overlaps}
    for (old, name), shared in overlaps.items():
        if kept.get(name) != old:
            change = "split" if old in heirs else "merged"
            rows.append((ids[name], old, change, shared / (sizes[old] + len(groups[name]) - shared)))
    rows += [(old, old, "dissolved", 0.0) for old in sizes if old not in inherited]
    rows.sort(key=lambda row: (row[0], row[1] or "", row[2]))
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    return pa.Table.from_arrays(
        [
            *(pa.array(column, field.type) for column, field in zip(columns, LINEAGE, strict=False)),
            pa.array([as_of] * len(rows), LINEAGE.field("as_of").type),
        ],
        schema=LINEAGE,
    )


def _direction(now: int, before: int) -> str:
    if now > before:
        return "grown"
    return "shrunk" if now < before else "changed"
