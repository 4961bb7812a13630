"""The connection to the server: one driver for all threads, its errors in plain words, retried transactions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import neo4j
from neo4j.exceptions import DriverError, Neo4jError

from graph.errors import RingfenceError
from graph.stores.neo4j.errors import Server, check_version, explained
from graph.stores.neo4j.schema import Transaction

RETRY_S = 45.0
"""For how long a transaction is tried again: a server takes some 15 s to start."""

FETCH = 10_000
USER = "neo4j"

T = TypeVar("T")


class Connection:
    """A connection to one database, made on first use and after it was closed."""

    def __init__(self, uri: str, user: str, password: str, database: str) -> None:
        self.uri = uri
        self._auth = (user, password)
        self._database = database
        self._driver: neo4j.Driver | None = None
        self._connecting = threading.Lock()
        self._bookmarks = neo4j.GraphDatabase.bookmark_manager()

    def close(self) -> None:
        """Give back what the driver holds."""
        if self._driver is not None:
            self._driver.close()
            self._driver = None

    @contextmanager
    def reading(self, fetch_size: int = FETCH) -> Iterator[neo4j.Session]:
        """A session that only reads. Raises RingfenceError where the server says no, or nothing."""
        with self._talking() as driver, self._session(driver, neo4j.READ_ACCESS, fetch_size) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[neo4j.Session]:
        """A session that may write. Raises RingfenceError where the server says no, or nothing."""
        with self._talking() as driver, self._session(driver, neo4j.WRITE_ACCESS, FETCH) as session:
            yield session

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Do some writing in one transaction, again if that fails in a way that passes."""
        with self.writing() as session:
            return session.execute_write(work)

    def _session(self, driver: neo4j.Driver, mode: str, fetch_size: int) -> neo4j.Session:
        return driver.session(
            database=self._database,
            default_access_mode=mode,
            fetch_size=fetch_size,
            bookmark_manager=self._bookmarks,
        )

    @contextmanager
    def _talking(self) -> Iterator[neo4j.Driver]:
        """The driver; its errors in plain words."""
        try:
            with self._connecting:
                driver = self._driver = self._driver or self._connect()
            yield driver
        except (Neo4jError, DriverError) as error:
            code = error.code if isinstance(error, Neo4jError) else None
            message = (error.message if isinstance(error, Neo4jError) else None) or str(error)
            raise explained(Server(self.uri, self._auth[0], self._database), code, message) from error

    def _connect(self) -> neo4j.Driver:
        try:
            driver = neo4j.GraphDatabase.driver(
                self.uri,
                auth=self._auth,
                connection_timeout=10.0,
                max_transaction_retry_time=RETRY_S,
                notifications_min_severity="OFF",
                user_agent="ringfence",
            )
        except (ValueError, neo4j.exceptions.ConfigurationError) as error:
            raise RingfenceError(
                "NEO4J_URI is not the address of a Neo4j server",
                "Set NEO4J_URI to neo4j://HOST:7687 or bolt://HOST:7687; with TLS neo4j+s:// or bolt+s://.",
                exit_code=2,
            ) from error
        try:
            check_version(driver.get_server_info().agent)
        except BaseException:
            driver.close()
            raise
        return driver


def credentials(environment: Mapping[str, str]) -> tuple[str, str]:
    """User and password. Raises RingfenceError (exit 2)."""
    named = environment.get("NEO4J_AUTH_FILE")
    if not named:
        return environment.get("NEO4J_USER") or USER, environment.get("NEO4J_PASSWORD", "")
    try:
        user, slash, password = Path(named).read_text(encoding="utf-8").strip().partition("/")
    except (OSError, UnicodeDecodeError) as error:
        raise RingfenceError(
            f"cannot read NEO4J_AUTH_FILE {named}", "It holds one line: neo4j/PASSWORD", exit_code=2
        ) from error
    if not (user and slash and password):
        raise RingfenceError(
            f"NEO4J_AUTH_FILE {named} holds no user and password",
            "It holds one line: neo4j/PASSWORD",
            exit_code=2,
        )
    return user, password
