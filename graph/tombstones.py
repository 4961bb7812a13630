"""Who was erased: the keys of organizations whose rows are never taken in again.

A key says nothing without the pepper, and an organization that was erased cannot come back unnoticed: neither by
ingesting an old file again, nor in the row of another organization that names it.
"""

from __future__ import annotations

from pathlib import Path

import orjson

from graph.durable import write_atomically
from graph.errors import RingfenceError
from graph.home import Home


def erased(home: Home) -> frozenset[bytes]:
    """The keys of all erased organizations. Raises RingfenceError for a damaged file: nobody may be forgotten."""
    path = _path(home)
    try:
        return frozenset(bytes.fromhex(key) for key in orjson.loads(path.read_bytes())["organizations"])
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RingfenceError(
            f"the list of erased organizations {path} cannot be read: {error}",
            "Restore it from a backup: without it, erased organizations would come back.",
        ) from error


def bury(home: Home, key: bytes) -> None:
    """Add an organization's key, lastingly. Only whoever holds the home against ingests may."""
    keys = sorted(one.hex() for one in erased(home) | {key})
    write_atomically(_path(home), orjson.dumps({"organizations": keys}, option=orjson.OPT_INDENT_2))


def _path(home: Home) -> Path:
    return home.facts / "erased.json"
