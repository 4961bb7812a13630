"""Runs and where they are kept: a folder each, and one pointer to the current one, switched atomically."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from graph.durable import sync, write_atomically
from graph.errors import RingfenceError
from graph.home import Home

CURRENT = "current"
MANIFEST = "manifest.json"
UNFINISHED = ".unfinished-"
TABLES = (
    "members",
    "clusters",
    "evidence",
    "evidence_rows",
    "ties",
    "reasons",
    "links",
    "organizations",
    "lineage",
    "referrals",
    "admission",
)


class Manifest(BaseModel):
    """The record of one run: from what, with what, how long, and what came out.

    `grade` says how well reviews support that its actionable members are abusive (`unproven`, `supported` or `proven`,
    for a ban), `reviews` on what that rests. `unfit_for_lasting_actions` gives the reasons why nobody may be banned on
    the strength of this run; `scorecard` is the version that scored. `detectors` are those of the home that ran, with
    the digest of their files, or why they did not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    run_id: str
    as_of: datetime
    created_at: datetime
    previous: str | None
    inputs: dict[str, int]
    settings: dict[str, Any]
    sources: dict[str, Any] = {}
    detectors: dict[str, Any] = {}
    scorecard: str = ""
    grade: str = "unproven"
    reviews: dict[str, Any] = {}
    unfit_for_lasting_actions: list[str] = []
    versions: dict[str, str]
    counts: dict[str, int]
    timings: dict[str, float]
    peak_rss_mb: int
    checksums: dict[str, str]
    warnings: list[str]


@dataclass(frozen=True)
class RunFiles:
    """What one run wrote."""

    manifest: Manifest
    folder: Path

    def path(self, table: str) -> Path:
        """The Parquet file of one of `TABLES`."""
        return self.folder / f"{table}.parquet"

    def table(self, name: str, columns: list[str] | None = None, filters: Any = None) -> pa.Table:
        """One of `TABLES`, or some columns and rows of it (`filters` as pyarrow.parquet takes them)."""
        try:
            return pq.read_table(self.path(name), columns=columns, filters=filters)
        except (OSError, pa.ArrowInvalid) as error:
            raise RingfenceError(
                f"the file {self.path(name)} cannot be read",
                "Delete its folder, then run again: ringfence run",
            ) from error


class Runs:
    """The runs of one home."""

    def __init__(self, home: Home) -> None:
        self._folder = home.runs

    def list(self) -> list[Manifest]:
        """Every finished run, oldest first."""
        found = [_read(path) for path in self._folder.glob(f"run_*/{MANIFEST}")]
        return sorted(found, key=lambda manifest: (manifest.created_at, manifest.run_id))

    def current(self) -> str | None:
        """The id of the run that serves; None before the first, or when its folder was deleted."""
        try:
            named = (self._folder / CURRENT).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        return named if named and (self._folder / named / MANIFEST).exists() else None

    def open(self, run_id: str | None = None) -> RunFiles:
        """The files of a run, by default of the current one. Raises RingfenceError where there is none."""
        wanted = run_id or self.current()
        if wanted is None:
            raise RingfenceError("there is no run yet", "Ingest events, then run: ringfence run", exit_code=3)
        folder = self._folder / wanted
        if not wanted.startswith("run_") or os.sep in wanted or not (folder / MANIFEST).exists():
            raise RingfenceError(f"there is no run {wanted!r}", "List them: ringfence runs", exit_code=2)
        return RunFiles(_read(folder / MANIFEST), folder)

    def prepare(self, run_id: str) -> Path:
        """An empty folder in which a run is written; what killed runs left is removed."""
        for leftover in self._folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(leftover)
        folder = self._folder / f"{UNFINISHED}{run_id}"
        folder.mkdir(parents=True)
        return folder

    def finish(self, folder: Path, manifest: Manifest) -> RunFiles:
        """Write the manifest and give the folder its name: the run exists, and does not serve yet."""
        write_atomically(folder / MANIFEST, manifest.model_dump_json(indent=2).encode())
        for file in folder.iterdir():
            sync(file)
        final = self._folder / manifest.run_id
        if final.exists():
            shutil.rmtree(final)
        folder.replace(final)
        sync(self._folder)
        return RunFiles(manifest, final)

    def switch(self, run_id: str) -> None:
        """Let a finished run serve, in one atomic step."""
        write_atomically(self._folder / CURRENT, f"{run_id}\n".encode())


def _read(path: Path) -> Manifest:
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise RingfenceError(
            f"the manifest {path} cannot be read", "Delete its folder, then run again: ringfence run"
        ) from error
