"""An organization's way out of the home: a tombstone first, then facts and quarantine without it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from graph.durable import sync
from graph.facts import FactsReader
from graph.facts_erasing import Erased, erase_from_facts
from graph.facts_writer import FactsWriter
from graph.home import Home
from graph.identifiers import Keyer, Kind
from graph.tombstones import bury
from ingest.erased import Tombstones, words
from ingest.job import exclusive, writing
from ingest.refused import RefusedRow
from ingest.report import Progress
from ingest.settings import IngestSettings

SHORTEST = 5
"""Shorter values say too little of whose row it is."""


def forget_organization(
    home: Home,
    org_id: str,
    *,
    settings: IngestSettings,
    pepper: bytes,
    tell: Progress,
    before: Callable[[frozenset[str]], None],
) -> Erased:
    """Erase an organization from facts and quarantine, and see to it that no ingest brings it back.

    No ingest runs meanwhile, and no run may: see `detection.run.alone`. `before` is where its values, which it is
    told, are taken out of what was made of the facts. Asked again it finishes what a killed one left.

    Raises RingfenceError.
    """
    key = Keyer(pepper).key(Kind.ORGANIZATION, org_id)
    with writing(home), exclusive(home, settings, tell):
        bury(home, key)
        FactsWriter(home, "erasure").close()  # what killed ingests left is removed by whoever writes next
        tombstones = Tombstones(frozenset({key}), pepper)
        quarantined = 0

        def first(texts: frozenset[str]) -> None:
            nonlocal quarantined
            before(texts)
            quarantined = _forget_refused(home, tombstones, texts)

        found = erase_from_facts(home, key, tell, first)
        found.quarantined = quarantined
    return found


def _forget_refused(home: Home, tombstones: Tombstones, texts: frozenset[str]) -> int:
    """Write quarantine without the rows that name the organization, or hold a value that only it had."""
    long = {each for each in texts if len(each) >= SHORTEST}
    removed = 0
    for path, size in FactsReader(home).quarantine_files():
        removed += _rewrite(path, size, tombstones, long)
    return removed


def _rewrite(path: Path, size: int, tombstones: Tombstones, long: set[str]) -> int:
    with path.open("rb") as file:
        rows = [RefusedRow.decode(line) for line in file.read(size).splitlines() if line]
    kept = [row for row in tombstones.kept(rows) if not long.intersection(words(row.raw))]
    if len(kept) == len(rows):
        return 0
    target = path.with_name(f".{path.name}.tmp")
    target.write_bytes(b"".join(row.encode() for row in kept))
    sync(target)
    # Shorter than what is committed, it is read to its end: no commit has to change with it.
    target.replace(path)
    sync(path.parent)
    return len(rows) - len(kept)
