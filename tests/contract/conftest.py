"""One Neo4j server for all tests that need one, started by the first of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from graph_views import HandView
from neo4j_server import USER, Database, Server, UnavailableError, environment, new_server

from graph.home import Home
from graph.store import GraphStore
from graph.stores import STORES, open_store


@pytest.fixture(scope="session")
def neo4j_server() -> Iterator[Database]:
    """The server that `NEO4J_URI` names, else one that is started and removed; its variables are set."""
    server = None if os.environ.get("NEO4J_URI") else _started()
    given = {name: os.environ.get(name, "") for name in ("NEO4J_URI", "NEO4J_USER", "NEO4J_PASSWORD")}
    variables = given if server is None else environment(server)
    variables["NEO4J_USER"] = variables["NEO4J_USER"] or USER
    variables["NEO4J_DATABASE"] = os.environ.get("NEO4J_DATABASE") or "neo4j"
    database = Database(variables, server)
    database.claim()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield database
    if server is not None:
        server.remove()


def _started() -> Server:
    try:
        server = new_server()
        server.start()
    except (UnavailableError, RuntimeError) as error:
        if os.environ.get("CI") and shutil.which("java") and shutil.which("mvn"):
            raise
        pytest.skip(f"no Neo4j server can be started here: {error}")
    return server


@pytest.fixture
def neo4j_database(neo4j_server: Database) -> Database:
    """The server, with an empty database."""
    neo4j_server.clear()
    return neo4j_server


def _ready(request: pytest.FixtureRequest, name: str) -> None:
    """Make ready what a store needs: for neo4j a server with an empty database."""
    if name == "neo4j":
        request.getfixturevalue("neo4j_server").clear()


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GraphStore]:
    """Every store in turn, empty."""
    _ready(request, request.param)
    opened = open_store(request.param, Home(tmp_path))
    yield opened
    opened.close()


@pytest.fixture(scope="module", params=STORES)
def filled(request: pytest.FixtureRequest) -> Iterator[Callable[[HandView], GraphStore]]:
    """For property tests: every store in turn, which shows a given view until it is given the next one."""
    _ready(request, request.param)
    with TemporaryDirectory() as folder:
        opened = open_store(request.param, Home(Path(folder)))

        def show(view: HandView) -> GraphStore:
            opened.publish(view)
            return opened

        yield show
        opened.close()
