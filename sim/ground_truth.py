"""The truth that a result is judged against, read back: one row an organization, as `simulate` writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from graph.errors import RingfenceError
from sim.metrics import LEGITIMATE, Flags, Integers

Names = NDArray[np.str_]
UNKNOWN = "not in the truth"


@dataclass(frozen=True)
class GroundTruth:
    """Who belongs to which ring. `levels` and `kinds` are names; a legitimate organization's kind is its
    kind of bystander, `framed` marks victims that a ring tied to itself, and `framings` names how (`""`: not, or
    nobody says)."""

    org_ids: list[str]
    rings: Integers
    levels: Names
    kinds: Names
    framed: Flags
    framings: Names = field(default_factory=lambda: np.full(0, ""))

    def __post_init__(self) -> None:
        if not len(self.framings):
            object.__setattr__(self, "framings", np.full(len(self.org_ids), ""))

    def __len__(self) -> int:
        return len(self.org_ids)

    @property
    def abusive(self) -> Flags:
        """Does the organization belong to a ring?"""
        return np.asarray(self.rings != LEGITIMATE)

    def with_strangers(self, org_ids: Sequence[str]) -> GroundTruth:
        """The same with more organizations, which count as legitimate."""
        if not org_ids:
            return self
        more = len(org_ids)
        return GroundTruth(
            [*self.org_ids, *org_ids],
            np.concatenate([self.rings, np.full(more, LEGITIMATE)]),
            np.concatenate([self.levels, np.full(more, "")]),
            np.concatenate([self.kinds, np.full(more, UNKNOWN)]),
            np.concatenate([self.framed, np.zeros(more, dtype=np.bool_)]),
            np.concatenate([self.framings, np.full(more, "")]),
        )


def read_truth(path: Path) -> GroundTruth:
    """Read Parquet or CSV with `org_id`, `campaign` (-1: legitimate), and optionally `level kind framed framing`.

    Raises RingfenceError when it cannot be read, lacks a column, or names an organization twice.
    """
    table = _read(path)
    missing = {"org_id", "campaign"} - set(table.column_names)
    if missing:
        raise RingfenceError(
            f"the truth {path} has no column {' and '.join(sorted(missing))}",
            "It needs org_id and campaign (-1: legitimate); level, kind, framed and framing are optional.",
        )
    ids = _cast(path, table, "org_id", pa.string())
    rings = _cast(path, table, "campaign", pa.int64())
    if ids.null_count or rings.null_count:
        raise RingfenceError(f"the truth {path} has rows without org_id or campaign", "Fill or remove them.")
    if len(pc.unique(ids)) != len(ids):
        raise RingfenceError(f"the truth {path} names an organization twice", "Keep one row for each.")
    return GroundTruth(
        ids.to_pylist(),
        rings.to_numpy().astype(np.int64),
        _names(path, table, "level"),
        _names(path, table, "kind"),
        _flags(path, table, "framed"),
        _names(path, table, "framing"),
    )


def _read(path: Path) -> pa.Table:
    try:
        return pyarrow.csv.read_csv(path) if path.suffix == ".csv" else pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RingfenceError(
            f"cannot read the truth {path}: {reason}",
            "Give the truth.parquet that `ringfence simulate` wrote, or a CSV with org_id and campaign.",
        ) from error


def _cast(path: Path, table: pa.Table, name: str, kind: pa.DataType) -> Any:
    try:
        return table.column(name).cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise RingfenceError(
            f"the column {name} of the truth {path} is not {kind}", "See `ringfence simulate --help`."
        ) from error


def _names(path: Path, table: pa.Table, name: str) -> Names:
    if name not in table.column_names:
        return np.full(len(table), "")
    column = _cast(path, table, name, pa.string()).fill_null("")
    return np.array(column.to_pylist(), dtype=np.str_) if len(column) else np.full(0, "")


def _flags(path: Path, table: pa.Table, name: str) -> Flags:
    if name not in table.column_names:
        return np.zeros(len(table), dtype=np.bool_)
    column = _cast(path, table, name, pa.bool_()).fill_null(False)
    return np.asarray(column.to_numpy(), dtype=np.bool_)
