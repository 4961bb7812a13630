"""Collects who really runs what, and writes it in the order of the identifiers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sim.columns import COLUMNS
from sim.mix import Int64, salt
from sim.rings import RING_KINDS, Members
from sim.world import Bools

HONEST = -1
"""Campaign and level of an organization that belongs to no ring."""


class Truth:
    """Rows of `truth.parquet`, one an organization."""

    def __init__(self, seed: int) -> None:
        self._salt = salt(seed, COLUMNS["org_id"].stream)
        self._tables: list[pa.Table] = []
        self._framed: dict[int, str] = {}

    def add_honest(self, org: Int64, kind: str, paying: Bools) -> None:
        """Add bystanders of one kind."""
        nobody = np.full(len(org), HONEST, dtype=np.int64)
        self._add(org, nobody, nobody, pa.array([kind] * len(org), pa.string()), paying)

    def add_abusive(self, org: Int64, members: Members, paying: Bools) -> None:
        """Add members of rings."""
        names = pa.array(RING_KINDS, pa.string()).take(pa.array(members.kind))
        self._add(org, members.campaign, members.level, names, paying)

    def frame(self, org: Int64, how: Sequence[str]) -> None:
        """Mark bystanders whom a ring has framed: what kind of victims, and in which way."""
        self._framed |= dict(zip(org.tolist(), how, strict=True))

    def _add(self, org: Int64, campaign: Int64, level: Int64, kind: pa.Array, paying: Bools) -> None:
        columns = {"org": org, "campaign": campaign, "level": level, "kind": kind, "paying": paying}
        self._tables.append(pa.table(columns))

    def write(self, path: Path) -> None:
        """Write all rows, ordered by `org_id`."""
        table = pa.concat_tables(self._tables)
        org = table["org"].to_numpy()
        framing = [self._framed.get(one, "") for one in org.tolist()]
        spell = COLUMNS["org_id"].spell
        if spell is None:
            raise TypeError("org_id is text")
        written = pa.table(
            {
                "org_id": spell(org, self._salt),
                "campaign": table["campaign"],
                "level": table["level"].cast(pa.int8()),
                "kind": table["kind"],
                "framed": pa.array([how != "" for how in framing], pa.bool_()),
                "framing": pa.array(framing, pa.string()),
                "paying": table["paying"],
            }
        )
        pq.write_table(written.sort_by("org_id"), str(path), compression="zstd", store_schema=False)
