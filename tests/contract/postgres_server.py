"""A PostgreSQL server of its own for tests: the system's binaries, a temporary folder, a socket in it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg

from actions.ledger.tables import metadata

BACKENDS = ("sqlite", "postgresql")
VARIABLE = "RINGFENCE_TEST_POSTGRES"
INSTALL = "sudo apt-get install postgresql"


class UnavailableError(Exception):
    """There is no way to start a server here; the message says what to install."""


def binaries() -> Path:
    """The folder of the newest PostgreSQL that is installed. Raises UnavailableError."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    on_path = shutil.which("initdb")
    if found:
        return max(found, key=lambda folder: int(folder.parent.name))
    if on_path:
        return Path(on_path).parent
    raise UnavailableError(f"no PostgreSQL here; install one ({INSTALL}) or set {VARIABLE}")


class Server:
    """A running server that nobody else uses; `durable` has it wait for the disk, as in production."""

    def __init__(self, *, durable: bool = False) -> None:
        self._bin = binaries()
        self._user = _unprivileged()
        self._folder = Path(tempfile.mkdtemp(prefix="ringfence-pg-"))
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        data = self._folder / "data"
        self._run(
            "initdb", "--no-sync", "--auth=trust", "--username=ringfence", "--encoding=UTF8", "-D", str(data)
        )
        options = f"-c listen_addresses='' -c unix_socket_directories={self._folder}"
        if not durable:
            options += " -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
        log = self._folder / "log"
        self._run("pg_ctl", "-D", str(data), "-l", str(log), "-w", "-t", "60", "-o", options, "start")
        self._data = data

    def url(self, database: str = "postgres") -> str:
        """Where a database of this server is."""
        return f"postgresql://ringfence@/{database}?host={self._folder}"

    def remove(self) -> None:
        """Stop it and forget its data."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._bin / program), *arguments],
            user=self._user,
            cwd="/",
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
        if done.returncode:
            raise UnavailableError(f"{program} failed: {done.stderr.decode(errors='replace').strip()[-500:]}")


def _unprivileged() -> str | None:
    """Who the server runs as: PostgreSQL refuses root."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise UnavailableError("PostgreSQL refuses root, and there is no user postgres or nobody")


def with_database(url: str, name: str) -> str:
    """The same server, another database."""
    head, _, query = url.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")


def admin(url: str, statement: str) -> None:
    """Do something outside of any transaction."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[call-overload]


def empty(url: str) -> None:
    """Forget everything in a database of tests but its secret."""
    emptied = ", ".join(table.name for table in metadata.sorted_tables if table.name != "meta")
    others = "pid <> pg_backend_pid() AND datname = current_database()"
    admin(url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
    admin(url, f"TRUNCATE {emptied} RESTART IDENTITY")
