"""Transactions of the ledger: what is written in one commits together with its audit, or not at all."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from actions.ledger import chain, tables
from actions.ledger.engine import WRITE, open_engine, read_options
from actions.ledger.migrate import migrate
from actions.model import Clock, Principal, utc_now
from actions.refusals import Refusal
from actions.settings import ActionSettings

SECRET = "secret"  # noqa: S105  # the name of a row


class Reading:
    """One snapshot of the ledger, taken at `now`."""

    def __init__(self, conn: Connection, settings: ActionSettings, secret: bytes, now: datetime) -> None:
        self.conn = conn
        self.settings = settings
        self.secret = secret
        self.now = now


class Tx(Reading):
    """One write transaction, alone under the ledger's lock."""

    def __init__(self, conn: Connection, settings: ActionSettings, secret: bytes, now: datetime) -> None:
        super().__init__(conn, settings, secret, now)
        self._entries: list[chain.Entry] = []

    def audit(
        self,
        verb: str,
        actor: Principal | str,
        *,
        plan_id: str | None = None,
        why: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Add an entry to the audit: it is chained and written when the transaction commits.

        `details` names organizations by their audit names only (`subjects.audit_names`); in `why`, whoever the ledger
        knows is named so here.
        """
        self._entries.append(chain.Entry(verb, actor, plan_id, chain.unnamed(self, why), dict(details or {})))

    def flush(self) -> None:
        """Write the audit's entries; called before the commit."""
        if self._entries:
            chain.append(self, self._entries)
            self._entries = []


class Ledger:
    """The decisions of one installation."""

    def __init__(
        self, engine: Engine, settings: ActionSettings | None = None, clock: Clock = utc_now
    ) -> None:
        self._engine = engine
        self.settings = settings or ActionSettings()
        self.clock = clock
        self._secret: bytes | None = None

    @classmethod
    def open(
        cls,
        where: str | Path,
        settings: ActionSettings | None = None,
        clock: Clock = utc_now,
        *,
        password: str | None = None,
    ) -> Ledger:
        """The ledger in a file or at a URL; `migrate()` makes its tables. Raises Refusal when it cannot be used."""
        return cls(open_engine(where, password), settings, clock)

    @property
    def database(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    def migrate(self) -> None:
        """Bring the tables up to date; several processes may do so at once."""
        with _explained():
            migrate(self._engine)
            with self._engine.connect().execution_options(**WRITE) as conn, conn.begin():
                if _read_secret(conn) is None:
                    conn.execute(insert(tables.meta).values(name=SECRET, value=secrets.token_bytes(32)))

    def close(self) -> None:
        """Give its connections back."""
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Tx]:
        """One write transaction: commits with its audit at the end, or leaves nothing behind."""
        with _explained(), self._engine.connect().execution_options(**WRITE) as conn, conn.begin():
            tx = Tx(conn, self.settings, self._secret_of(conn), self.clock())
            yield tx
            tx.flush()

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """One snapshot, which blocks nobody."""
        options = read_options(self._engine)
        with _explained(), self._engine.connect().execution_options(**options) as conn, conn.begin():
            yield Reading(conn, self.settings, self._secret_of(conn), self.clock())

    def vacuum(self) -> None:
        """Overwrite what was deleted: free pages and the write-ahead log, after an erasure."""
        with _explained(), self._engine.connect() as conn:
            raw = conn.connection.driver_connection
            if raw is None:
                return
            if self.database == "sqlite":
                for statement in ("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
                    raw.execute(statement).fetchall()
                return
            conn.rollback()
            raw.autocommit = True
            try:
                raw.execute("VACUUM FULL")
            finally:
                raw.autocommit = False

    def _secret_of(self, conn: Connection) -> bytes:
        if self._secret is None:
            self._secret = _read_secret(conn)
        if self._secret is None:
            raise Refusal(
                "ledger_unfit", "the ledger has no secret", "Bring it up to date first: its migrations."
            )
        return self._secret


def _read_secret(conn: Connection) -> bytes | None:
    found = conn.execute(select(tables.meta.c.value).where(tables.meta.c.name == SECRET)).scalar()
    return None if found is None else bytes(found)


@contextmanager
def _explained() -> Iterator[None]:
    """What the database cannot do, in words: a full disk, a lock held too long, a lost server, missing tables."""
    try:
        yield
    except (OperationalError, ProgrammingError) as error:
        text = str(error.orig).splitlines()[0] if error.orig else "no answer"
        if "no such table" in text or ("relation" in text and "does not exist" in text):
            raise Refusal(
                "ledger_unfit", "the ledger has no tables yet", "Run its migrations first."
            ) from error
        if isinstance(error, ProgrammingError):
            raise
        raise Refusal(
            "ledger_unavailable",
            f"the ledger cannot be used: {text}",
            "Nothing was done. Free disk space, or bring the database back, then try again.",
        ) from error
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise Refusal(
            "ledger_unavailable",
            "the ledger's database went away",
            "Nothing was done. Bring it back and try again.",
        ) from error
