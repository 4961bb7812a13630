"""The composition root of the HTTP API: what it is made of, and in which order a request passes it."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog
from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from fastapi.routing import APIRouter

from api import routes as nouns
from api.audit import AuditTrail, LoggedAudit
from api.auth.principal import Identities, LocalIdentities
from api.auth.startup import Serving
from api.deciding.desk import Desk, open_desk
from api.http import openapi, problems
from api.http.guard import Gate, GuardedRoute
from api.http.idempotency import Replies, RepliesInMemory
from api.http.limits import Caps, Limits
from api.http.logs import Requests, logger
from api.http.metrics import Metrics
from api.http.paging import Cursors
from api.http.rate import Limiter, Rates
from api.http.security_headers import SecurityHeaders
from api.intake import Intake, IntakeCaps
from api.reads import Reads
from api.routes import events
from api.routes.needs import Services
from graph.errors import RingfenceError
from graph.home import Home

THREADS = 8
"""Requests that wait for a disk at once: more would only wait for each other on a few cores."""


SWITCH_S = 0.001
"""How long a thread may keep the interpreter: the event loop waits for it, and with it every connection."""


@dataclass(frozen=True)
class Parts:
    """What an application may be given instead of what it makes itself."""

    identities: Identities | None = None
    audit: AuditTrail | None = None
    desk: Desk | None = None
    """Where it is decided; it stays open until the application ends, and is closed by it."""
    replies: Replies | None = None
    routers: Sequence[APIRouter] = ()
    """Further nouns; their routes declare permissions like all others."""
    store: str | None = None
    log: structlog.stdlib.BoundLogger | None = None
    caps: Caps = field(default_factory=Caps)
    intake: IntakeCaps = field(default_factory=IntakeCaps)
    rates: Rates = field(default_factory=Rates)


def create_app(serving: Serving, home: Home, parts: Parts | None = None) -> FastAPI:
    """The application for one home.

    Raises RingfenceError (exit 2) where it is to be served beyond this machine with what suits its owner alone.
    """
    parts = parts or Parts()
    _check(serving, parts)
    log = parts.log or logger()
    metrics = Metrics()
    reads = Reads(home, parts.store)
    identities = parts.identities or LocalIdentities()
    app = FastAPI(
        title="Ringfence",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
    )
    app.state.gate = Gate(identities, Limiter(parts.rates), parts.replies or RepliesInMemory())
    app.state.services = Services(
        reads=reads,
        identities=identities,
        cursors=Cursors(reads.secret("cursors")),
        metrics=metrics,
        intake=Intake(home, parts.intake),
        audit=parts.audit or LoggedAudit(log),
        desk=parts.desk or open_desk(home),
        secure=serving.secure,
    )
    for router in (*_nouns(), *parts.routers):
        app.router.routes.extend(router.routes)
    problems.install(app)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]  # the framework's own way
    app.add_middleware(Limits, caps=parts.caps, streamed=frozenset({events.PATH}))
    app.add_middleware(SecurityHeaders, hosts=serving.allowed_hosts, secure=serving.secure)
    app.add_middleware(Requests, log=log, metrics=metrics)
    return app


def _check(serving: Serving, parts: Parts) -> None:
    if not serving.local and (parts.identities is None or parts.audit is None):
        raise RingfenceError(
            f"refusing to serve on {serving.host} without users and an audit",
            "Serve on 127.0.0.1.",
            exit_code=2,
        )


def _nouns() -> list[APIRouter]:
    """The router of every module in `api.routes` that has one: a new noun is found by itself."""
    found = []
    for module in sorted(pkgutil.iter_modules(nouns.__path__), key=lambda one: one.name):
        router = getattr(importlib.import_module(f"{nouns.__name__}.{module.name}"), "routes", None)
        if isinstance(router, APIRouter):
            found.append(router)
    return found


def guarded(app: FastAPI) -> dict[str, GuardedRoute]:
    """Every route by `METHOD path`. Raises TypeError for one that declares no permission: default deny."""
    found: dict[str, GuardedRoute] = {}
    for route in app.routes:
        if not isinstance(route, GuardedRoute):
            raise TypeError(f"{route!r} declares no permission")
        for method in sorted(route.methods or ()):
            found[f"{method} {route.path}"] = route
    return found


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    guarded(app)
    current_default_thread_limiter().total_tokens = THREADS
    sys.setswitchinterval(SWITCH_S)
    services: Services = app.state.services
    services.reads.warm()
    try:
        yield
    finally:
        services.reads.close()
        services.desk.ledger.close()


def _described(app: FastAPI) -> dict[str, object]:
    if app.openapi_schema is None:
        app.openapi_schema = openapi.describe(app)
    return app.openapi_schema
