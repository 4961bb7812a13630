"""Homes of the graph, opened by name; a backend's driver is loaded only when it is asked for."""

from __future__ import annotations

from graph.errors import RingfenceError
from graph.home import Home
from graph.store import GraphStore

STORES = ("sqlite", "neo4j")


def open_store(name: str, home: Home) -> GraphStore:
    """The graph store called `name` of this home. Raises RingfenceError for an unknown name."""
    if name == "sqlite":
        from graph.stores.sqlite.store import SqliteStore

        return SqliteStore(home.graph)
    if name == "neo4j":
        from graph.stores.neo4j.store import Neo4jStore

        return Neo4jStore.from_environment()
    raise RingfenceError(
        f"there is no graph store called {name!r}", f"Choose one of: {', '.join(STORES)}.", exit_code=2
    )
