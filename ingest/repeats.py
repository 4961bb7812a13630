"""How often each row without an id has occurred in an input so far: exact, and flat in memory."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from graph.facts_ids import StoredIds, write_run
from graph.facts_tiers import SortedTiers
from ingest.work import Repeats

_IN_MEMORY = 4_000_000


class RepeatCounts:
    """Counts by fingerprint of the row's text. Beyond some millions they are put down in `folder`, sorted."""

    def __init__(self, folder: Path, most: int = _IN_MEMORY) -> None:
        self._folder = folder
        self._most = most
        self._recent = SortedTiers()
        self._runs: list[Path] = []
        self._spilled = StoredIds([])

    def bases(self, repeats: Repeats) -> dict[int, int]:
        """For the fingerprints that occurred before: how often."""
        known, counts = self._find(repeats)
        return dict(zip(repeats.fingerprints[known].tolist(), counts[known].tolist(), strict=True))

    def _find(self, repeats: Repeats) -> tuple[np.ndarray, np.ndarray]:
        # Later runs hold larger counts of the same row, and memory the largest: each overrules the one before.
        known, counts = self._spilled.find(repeats.fingerprints)
        recent, newer = self._recent.find(repeats.fingerprints)
        counts[recent] = newer[recent]
        return known | recent, counts

    def add(self, repeats: Repeats) -> None:
        """Count a piece's rows."""
        if not len(repeats.fingerprints):
            return
        _, before = self._find(repeats)
        totals = before + repeats.counts
        recent = self._recent.replace(repeats.fingerprints, totals)
        self._recent.add(repeats.fingerprints[~recent], totals[~recent])
        if len(self._recent) >= self._most:
            self._spill()

    def _spill(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"repeats-{len(self._runs)}.parquet"
        write_run(path, [self._recent.all()])
        self._runs.append(path)
        self._spilled = StoredIds(self._runs)
        self._recent.clear()

    def close(self) -> None:
        """Remove what was put down."""
        shutil.rmtree(self._folder, ignore_errors=True)
