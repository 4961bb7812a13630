"""A real server on a free port, for tests that ask it over the network as anybody would."""

from __future__ import annotations

import io
import secrets
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from actions.access.identities import LedgerIdentities
from actions.ledger import Ledger
from actions.model import Principal
from api.app import Parts, create_app
from api.auth.startup import Serving
from api.deciding.desk import Desk, open_desk
from api.http.logs import logger
from api.http.server import configure
from api.services import detect, ingest_files, simulate_campaign
from graph.home import Home


class Anybody(LedgerIdentities):
    """The ledger's identities, and tokens for whoever a test needs: roles that no token of the ledger may have, too."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger, local=True)
        self._issued: dict[str, Principal] = {}

    def issue(self, principal: Principal) -> str:
        """A token for a principal, while the test runs."""
        secret = f"rf_{secrets.token_urlsafe(32)}"
        self._issued[secret] = principal
        return secret

    def of_token(self, token: str) -> Principal | None:
        return self._issued.get(token) or super().of_token(token)


@dataclass
class Kept:
    """An audit that a test can look into."""

    entries: list[tuple[str, str, str, dict[str, Any]]] = field(default_factory=list)

    def record(
        self,
        principal: Principal,
        what: str,
        why: str,
        about: Mapping[str, Any],
        organizations: Sequence[str] = (),
    ) -> None:
        del organizations
        self.entries.append((principal.id, what, why, dict(about)))


@dataclass
class Served:
    """A running server and the keys to it."""

    url: str
    app: FastAPI
    identities: Anybody
    desk: Desk
    audit: Kept
    log: io.StringIO
    home: Home

    def token(self, *roles: str, name: str = "token:test") -> str:
        return self.identities.issue(Principal(name, frozenset(roles), "token"))

    def client(self, *roles: str, **options: Any) -> httpx.Client:
        """A script with these roles; without any, nobody."""
        headers = {"Authorization": f"Bearer {self.token(*roles)}"} if roles else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, **options)

    def person(self, name: str, *roles: str) -> httpx.Client:
        """A person with these roles."""
        secret = self.identities.issue(Principal(f"user:{name}", frozenset(roles), "user"))
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {secret}"}, timeout=30)


@contextmanager
def serve(home: Path, parts: Parts | None = None, serving: Serving | None = None) -> Iterator[Served]:
    """Serve a home on a free port until the block ends."""
    serving = serving or Serving()
    given = parts or Parts()
    desk = given.desk or open_desk(Home(home))
    identities, audit, log = Anybody(desk.ledger), Kept(), io.StringIO()
    given = replace(given, desk=desk, identities=identities, audit=audit, log=logger(log))
    app = create_app(serving, Home(home), given)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(configure(app, serving))
    ready = threading.Event()
    startup = server.startup

    async def started(*arguments: Any, **options: Any) -> None:
        await startup(*arguments, **options)
        ready.set()

    server.startup = started  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        assert ready.wait(20)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        yield Served(url, app, identities, desk, audit, log, Home(home))
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()


def campaign_home(folder: Path, organizations: int = 400) -> Path:
    """A home with a small published campaign and a pepper of its own; made once in `folder`."""
    home = folder / "api-home"
    if not home.exists():
        simulate_campaign(folder / "api-campaign", organizations, seed=7, difficulty="plain")
        with peppered(home):
            ingest_files(Home(home), [str(folder / "api-campaign" / "events.parquet")])
            detect(Home(home))
    return home


def pepper_of(home: Path) -> Path:
    """Where a test's home has its pepper."""
    return home.with_name(f"{home.name}.pepper")


@contextmanager
def peppered(home: Path) -> Iterator[None]:
    """The environment of a home: its pepper beside it, and the default store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RINGFENCE_PEPPER_FILE", str(pepper_of(home)))
        patch.delenv("RINGFENCE_STORE", raising=False)
        yield


@contextmanager
def served_campaign(folder: Path, parts: Parts | None = None, organizations: int = 400) -> Iterator[Served]:
    """The small campaign, served."""
    home = campaign_home(folder, organizations)
    with peppered(home), serve(home, parts) as found:
        yield found
