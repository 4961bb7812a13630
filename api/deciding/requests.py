"""From words to a request: selectors, durations, causes. Never everything, never silently less than was asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from actions.model import ENTITY_TYPES, Action, Selector
from api.decision_files import read_rows, read_text
from api.output import one_of, printable
from graph.errors import RingfenceError
from graph.home import Home
from graph.store import GraphStore

UNITS = {"s": "seconds", "m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"([0-9]{1,6})\s*(s|min|m|h|d|w)")
ORG_ID = "org_id"


Warn = Callable[[str, str], None]


def unsaid(message: str, remedy: str) -> None:
    """A warning that nobody is there to read."""
    del message, remedy


def duration(text: str) -> timedelta:
    """`90s`, `30m`, `12h`, `14d`, `2w`. Raises RingfenceError (exit 2)."""
    found = _DURATION.fullmatch(text.strip().lower())
    if found is None or int(found[1]) == 0:
        raise RingfenceError(
            f"{printable(text)!r} is no length of time", "Write it as 12h, 30m or 14d.", exit_code=2
        )
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def action(text: str) -> Action:
    """An action by its name. Raises RingfenceError (exit 2)."""
    return Action(one_of(text.strip().lower(), [each.value for each in Action], "action"))


def selector(
    home: Home,
    *,
    cluster: str | None = None,
    members: str | None = None,
    query: str | None = None,
    parameters: Mapping[str, str] | None = None,
    store: str | None = None,
    warn: Warn = unsaid,
) -> Selector:
    """The one selector that is meant. Raises RingfenceError (exit 2) for none, or for several.

    `warn` is told (message, remedy) where a query has more to say than its default limit.
    """
    given = [each for each in (cluster, members, query) if each]
    if len(given) != 1:
        raise RingfenceError(
            "name one of: a cluster, --members, --query" if given else "nobody is named",
            "As in: ringfence plan cl_4t6hq2mzxa --action ban; 'ringfence clusters' lists them.",
            exit_code=2,
        )
    if cluster:
        return Selector("cluster", cluster_id=cluster)
    if query:
        return Selector("query", ids=_of_query(home, query, parameters or {}, store, warn), name=query)
    return _named(str(members))


def entities(pairs: Sequence[str]) -> tuple[str, Selector]:
    """`domain:mail.example` and the like: one type, and its keys. Raises RingfenceError (exit 2)."""
    split = [pair.partition(":") for pair in pairs]
    types = {kind for kind, _, _ in split}
    if len(types) != 1 or not all(key.strip() for _, _, key in split):
        raise RingfenceError(
            "entities are given as TYPE:KEY, all of one type",
            f"As in --entity domain:mail.example; types: {', '.join(ENTITY_TYPES)}.",
            exit_code=2,
        )
    kind = one_of(types.pop(), ENTITY_TYPES, "type of entity")
    return kind, Selector("members", ids=tuple(key.strip() for _, _, key in split))


def _named(given: str) -> Selector:
    """A file of ids (`-`: standard input), or ids with commas between them."""
    if given == "-" or Path(given).is_file():
        return Selector("file", ids=_of_file(given), name=given)
    return Selector("members", ids=tuple(each.strip() for each in given.split(",") if each.strip()))


def _of_file(name: str) -> tuple[str, ...]:
    """CSV or NDJSON with `org_id`, or an id a line."""
    text = read_text(name)
    first = text.lstrip().partition("\n")[0]
    if first.startswith("{") or ORG_ID in [each.strip().strip('"') for each in first.split(",")]:
        return tuple(row[ORG_ID] for row in read_rows(name, (ORG_ID,), text=text) if row.get(ORG_ID))
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _of_query(
    home: Home, name: str, parameters: Mapping[str, str], store: str | None, warn: Warn
) -> tuple[str, ...]:
    """The organizations that a named query finds, up to its limit."""
    from api.stores import open_store

    graph = open_store(home, store)
    try:
        return found_by(graph, name, parameters, warn)
    finally:
        graph.close()


def found_by(graph: GraphStore, name: str, parameters: Mapping[str, str], warn: Warn) -> tuple[str, ...]:
    """The organizations that a named query finds, up to its limit. Raises RingfenceError (exit 2)."""
    from api.answers.queries import describe, run_named
    from queries.named import LIMIT

    if ORG_ID not in [column.name for column in describe(name).columns]:
        raise RingfenceError(
            f"{name} does not find organizations",
            f"It needs a column {ORG_ID}: try members_of_cluster.",
            exit_code=2,
        )
    found = run_named(graph, name, parameters)
    if found.cut and LIMIT not in parameters:
        warn(
            f"{name} stops at its limit of {len(found.rows):,}: whom it finds beyond is not meant",
            f"Give it a parameter {LIMIT}.",
        )
    place = found.columns.index(ORG_ID)
    return tuple(str(row[place]) for row in found.rows if row[place] is not None)
