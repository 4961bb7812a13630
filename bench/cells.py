"""Long benchmarks in cells: each is computed once under `bench/.work/cells` and read back until the code changes."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.commands import ROOT, WORK

CELLS = WORK / "cells"
CODE = ("graph", "ingest", "detection", "queries", "sim")
SUFFIXES = {".py", ".sql", ".json"}
Cell = dict[str, Any]


def digest(*modules: str, packages: Sequence[str] = CODE) -> str:
    """A digest of all code that shapes a result, and of these modules of `bench`."""
    state = hashlib.sha256()
    for package in packages:
        for path in sorted((ROOT / package).rglob("*")):
            if path.suffix in SUFFIXES:
                state.update(path.read_bytes())
    for module in modules:
        state.update((ROOT / "bench" / f"{module}.py").read_bytes())
    return state.hexdigest()[:10]


def cached(name: str, code: str, compute: Callable[[], Cell], say: Callable[[str], None]) -> Cell:
    """The cell of this name under this code, computed now unless it was before; it says how long that took."""
    path = CELLS / f"{name}-{code}.json"
    if path.exists():
        known: Cell = json.loads(path.read_text())
        return known
    say(f"cell {name}")
    began = time.perf_counter()
    found = {**compute(), "seconds": round(time.perf_counter() - began, 1)}
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps(found, indent=1))
    scratch.replace(path)
    say(f"cell {name}: {found['seconds']:.0f} s")
    return found
