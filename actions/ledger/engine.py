"""Opening the database: SQLite that is free of the WAL-reset race, or PostgreSQL."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from actions.refusals import Refusal

SAFE_SQLITE = (3, 51, 3)
BACKPORTS = ((3, 44, 6), (3, 50, 7))
LOCK_SECONDS = 30
WRITE = {"ringfence_write": True}
"""Execution options of a connection that will write."""
ADVISORY_LOCK = 0x52494E47
"""'RING': the one lock of the ledger on PostgreSQL."""


def safe_sqlite(version: tuple[int, ...]) -> bool:
    """Whether this SQLite has the fix of the WAL-reset race (3.51.3, backported to 3.44.6 and 3.50.7)."""
    backported = any(version[:2] == fixed[:2] and version >= fixed for fixed in BACKPORTS)
    return version >= SAFE_SQLITE or backported


def open_engine(where: str | Path, password: str | None = None) -> Engine:
    """An engine for a file of SQLite, or for a URL (`sqlite:///…`, `postgresql://…`).

    A write transaction holds the ledger's lock from its first statement on: `BEGIN IMMEDIATE` on SQLite, an
    advisory lock on PostgreSQL. So both databases have one writer at a time, and generations rise under the lock.
    Raises Refusal for an unknown database or an SQLite that may lose transactions.
    """
    url = _url(where)
    if password is not None:
        url = url.set(password=password)
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    if url.get_backend_name() == "postgresql":
        return _postgres(url)
    raise Refusal(
        "ledger_unfit",
        f"the ledger cannot live in {url.get_backend_name()}",
        "Give a file, or a URL that starts with sqlite:/// or postgresql://",
    )


def _url(where: str | Path) -> URL:
    text = str(where)
    if "://" not in text:
        return URL.create("sqlite", database=text)
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise Refusal(
            "ledger_unfit", "the ledger's URL cannot be read", "It looks like postgresql://user@host/name"
        ) from error
    return (
        url.set(drivername="postgresql+psycopg")
        if url.get_backend_name() in {"postgres", "postgresql"}
        else url
    )


def _sqlite(url: URL) -> Engine:
    import pysqlite3  # type: ignore[import-untyped]

    if not safe_sqlite(tuple(pysqlite3.sqlite_version_info)):
        raise Refusal(
            "ledger_unfit",
            f"SQLite {pysqlite3.sqlite_version} can lose transactions (the WAL-reset race)",
            "Install pysqlite3 0.6 or newer, which brings SQLite 3.53.",
        )
    if url.database:
        _create_private(Path(url.database))
    engine = create_engine(
        url, module=pysqlite3, connect_args={"timeout": LOCK_SECONDS, "check_same_thread": False}
    )
    event.listen(engine, "connect", _sqlite_connected)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def _create_private(path: Path) -> None:
    """Only the owner may read decisions; SQLite gives its WAL the same mode as the file."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise Refusal(
            "ledger_unavailable",
            f"cannot open the ledger {path}: {error.strerror}",
            "Check the folder and its owner.",
        ) from error


def _sqlite_connected(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by us, never by the driver
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
        "cache_size=-65536",
        "temp_store=MEMORY",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("ringfence_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def read_options(engine: Engine) -> dict[str, Any]:
    """Execution options of a connection that reads: one snapshot for all of its statements.

    Writers must not have them: their snapshot would be older than the lock that they waited for.
    """
    return {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}


def _postgres(url: URL) -> Engine:
    engine = create_engine(url, pool_pre_ping=True)
    event.listen(engine, "begin", _postgres_begin)
    return engine


def _postgres_begin(connection: Connection) -> None:
    if connection.get_execution_options().get("ringfence_write"):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
