"""Ledgers for tests, one on each database.

A test module that says `pytest_plugins = ("tests.contract.ledgers",)` has the fixtures.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from actions.ledger import Ledger
from tests.contract import postgres_server
from tests.contract.desk import FAST, Desk, ManualClock, People, ring
from tests.contract.postgres_server import BACKENDS, admin, empty, with_database


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A server's URL up to the database's name, or the one that is named in the environment."""
    named = os.environ.get(postgres_server.VARIABLE)
    if named:
        yield named
        return
    try:
        server = postgres_server.Server()
    except postgres_server.UnavailableError as error:
        pytest.skip(str(error))
    yield server.url()
    server.remove()


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite ledger to copy."""
    path = tmp_path_factory.mktemp("ledger") / "blank.sqlite"
    ledger = Ledger.open(path)
    ledger.migrate()
    ledger.vacuum()
    ledger.close()
    return path


@pytest.fixture(scope="session")
def database(postgres: str) -> Iterator[str]:
    """A migrated PostgreSQL database, which tests take in turn."""
    name = f"ledger_{uuid4().hex}"
    admin(postgres, f'CREATE DATABASE "{name}"')
    url = with_database(postgres, name)
    ledger = Ledger.open(url)
    ledger.migrate()
    ledger.close()
    yield url
    admin(postgres, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=BACKENDS)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a fresh, migrated ledger is, on each database."""
    if request.param == "sqlite":
        path = tmp_path / "ledger.sqlite"
        shutil.copy(request.getfixturevalue("blank"), path)
        yield str(path)
        return
    url: str = request.getfixturevalue("database")
    empty(url)
    yield url


@pytest.fixture
def clock() -> ManualClock:
    """Noon of a day."""
    return ManualClock()


@pytest.fixture
def desk(where: str, clock: ManualClock) -> Iterator[Desk]:
    """A ring of 200, no holds, and everything to act on it."""
    ledger = Ledger.open(where, FAST, clock)
    yield Desk(ledger, clock, People(*ring(200)))
    ledger.close()
