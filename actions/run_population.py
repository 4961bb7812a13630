"""The population of a run in the home's `runs/`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from actions.model import Member
from actions.population import Hits
from detection.runs import RunFiles
from graph.lineage import UnknownClusterError, lineage

BATCH = 5_000
AGED = timedelta(days=365)
PAYING_PLANS = ("enterprise",)
"""A plan that anybody can buy for five dollars protects nobody: only what was settled before the ring does."""
LIFE = "independent life"
COLUMNS = [
    "org_id",
    "cluster_id",
    "cluster_risk",
    "member_risk",
    "actionable",
    "spared_reason",
    "top_evidence",
    "cost",
]


def no_consumption(org_ids: Sequence[str], since: datetime) -> Mapping[str, float]:  # noqa: ARG001
    """Nothing is known of what was consumed since the run."""
    return {}


def no_hits(entity_type: str, keys: Sequence[str]) -> Mapping[str, Hits]:  # noqa: ARG001
    """Nothing is known of who used an entity."""
    return {}


class RunPopulation:
    """One run's members.

    What a run does not know is asked of the facts: `consumption` since a moment, `hits` of entities (see `Population`),
    `keys` (the active API keys of organizations). `unfit` says why the run may not lead to lasting actions.
    """

    def __init__(
        self,
        files: RunFiles,
        *,
        unfit: Sequence[str] = (),
        consumption: Callable[[Sequence[str], datetime], Mapping[str, float]] = no_consumption,
        hits: Callable[[str, Sequence[str]], Mapping[str, Hits]] = no_hits,
        keys: Callable[[Sequence[str]], Mapping[str, tuple[str, ...]]] = lambda _: {},
    ) -> None:
        self._files = files
        self.unfit = tuple(unfit)
        self.consumption = consumption
        self.legitimate_hits = hits
        self._keys = keys

    @property
    def run_id(self) -> str:
        """The run."""
        return self._files.manifest.run_id

    @property
    def as_of(self) -> datetime:
        """What it knew up to."""
        return self._files.manifest.as_of

    @property
    def active_organizations(self) -> int:
        """Organizations with any event in the run."""
        return self._files.manifest.counts.get("organizations", 0)

    def cluster(self, cluster_id: str) -> Iterator[Sequence[Member]]:
        """The members of a cluster, or of those that it went into in this run."""
        members = self._members(pc.field("cluster_id") == cluster_id)
        if not members.num_rows:
            members = self._members(pc.field("cluster_id").isin(self._successors(cluster_id)))
        yield from self._batches(members)

    def _successors(self, cluster_id: str) -> pa.Array:
        try:
            found = lineage(self._files.folder.parent, cluster_id, until=self.run_id).successors
        except UnknownClusterError:
            found = ()
        return pa.array(found, pa.string())

    def organizations(self, org_ids: Sequence[str]) -> Iterator[Sequence[Member]]:
        """Those that the run knows, in a cluster or not."""
        wanted = pa.array(org_ids, pa.string())
        known = self._files.table("organizations", ["org_id", "cost"], pc.field("org_id").isin(wanted))
        members = self._members(pc.field("org_id").isin(wanted))
        alone = known.filter(pc.invert(pc.is_in(known["org_id"], members["org_id"].combine_chunks())))
        blank = pa.table(
            {
                name: alone[name] if name in alone.column_names else pa.nulls(alone.num_rows)
                for name in COLUMNS
            }
        )
        yield from self._batches(pa.concat_tables([members, blank], promote_options="permissive"))

    def _members(self, where: pc.Expression) -> pa.Table:
        return self._files.table("members", COLUMNS, where)

    def _batches(self, members: pa.Table) -> Iterator[Sequence[Member]]:
        ordered = members.sort_by("org_id")
        for start in range(0, ordered.num_rows, BATCH):
            batch = ordered.slice(start, BATCH)
            ids = batch["org_id"].to_pylist()
            facts = self._facts(ids)
            keys = self._keys(ids)
            yield [
                _member(row, facts.get(row["org_id"], frozenset()), keys.get(row["org_id"], ()))
                for row in batch.to_pylist()
            ]

    def _facts(self, org_ids: Sequence[str]) -> dict[str, frozenset[str]]:
        """Why an organization is on the protected list by what it is."""
        where = pc.field("org_id").isin(pa.array(org_ids, pa.string()))
        table = pq.read_table(
            self._files.path("organizations"), columns=["org_id", "created_at", "plan"], filters=where
        )
        found: dict[str, frozenset[str]] = {}
        for row in table.to_pylist():
            created = row["created_at"]
            facts = {"paying"} if row["plan"] in PAYING_PLANS else set()
            if created is not None and created < self.as_of - AGED:
                facts.add("aged")
            if facts:
                found[row["org_id"]] = frozenset(facts)
        return found


def _member(row: Mapping[str, Any], facts: frozenset[str], keys: tuple[str, ...]) -> Member:
    reason = row["spared_reason"] or ""
    if row["cluster_id"] is None:
        reason = reason or "in no cluster"
    return Member(
        org_id=row["org_id"],
        cluster_id=row["cluster_id"],
        member_risk=row["member_risk"] or 0.0,
        cluster_risk=row["cluster_risk"] or 0.0,
        actionable=bool(row["actionable"]),
        spared_reason=reason,
        cost=row["cost"] or 0.0,
        protections=facts,
        independent_life=reason.startswith(LIFE),
        key_ids=keys,
        evidence=tuple(each for each in (row["top_evidence"] or "").split(";") if each),
    )
