"""An erased organization in the runs that are kept: a member without a name, on whom nobody acts."""

from __future__ import annotations

import hashlib
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from detection.runs import MANIFEST, UNFINISHED
from graph.durable import sync, write_atomically
from graph.home import Home
from graph.scrubbing import Scrub, files

ERASED = "erased"
MEMBERS = "members.parquet"


def forget_in_runs(home: Home, scrub: Scrub) -> int:
    """Take an organization out of all runs; how many files were written anew. Hold the runs meanwhile (`alone`)."""
    written = 0
    for folder in sorted(home.runs.glob("run_*")):
        changed = [path for path in files(folder, ()) if _scrubbed(path, scrub)]
        if changed:
            _spare(folder / MEMBERS, scrub.known_as)
            _enter(folder, [*changed, folder / MEMBERS])
        written += len(changed)
    for folder in home.runs.glob(f"{UNFINISHED}*"):
        written += sum(_scrubbed(path, scrub) for path in files(folder, ()))
    return written


def _scrubbed(path: Path, scrub: Scrub) -> bool:
    return scrub.parquet(path) if path.suffix == ".parquet" else scrub.lines(path)


def _spare(path: Path, known_as: str) -> None:
    """Have nobody act on a member that has no name."""
    if not path.exists():
        return
    table = pq.read_table(path)
    erased = pc.equal(table["org_id"], known_as)
    if not pc.any(erased).as_py():
        return
    for name, value in (("actionable", False), ("spared_reason", ERASED)):
        at = table.schema.get_field_index(name)
        kind = table.schema.field(at).type
        table = table.set_column(
            at, table.schema.field(at), pc.if_else(erased, pa.scalar(value, kind), table[name])
        )
    target = path.with_name(f".{path.name}.tmp")
    pq.write_table(table, target, compression="zstd")
    sync(target)
    target.replace(path)


def _enter(folder: Path, changed: list[Path]) -> None:
    """Have the manifest say what its files are now. It is written last, so that readers see that they changed."""
    path = folder / MANIFEST
    manifest = orjson.loads(path.read_bytes())
    for each in changed:
        if each.name in manifest["checksums"]:
            with each.open("rb") as file:
                manifest["checksums"][each.name] = hashlib.file_digest(file, "sha256").hexdigest()
    write_atomically(path, orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
