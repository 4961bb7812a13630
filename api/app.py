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
from starlette.routing import BaseRoute

from actions.access.identities import LedgerIdentities
from api import routes as nouns
from api.audit import AuditTrail, LedgerAudit
from api.auth.oidc import OidcProvider, OidcSettings
from api.auth.startup import Serving, check
from api.deciding.desk import Desk, open_desk
from api.door.door import Door
from api.http import openapi, problems
from api.http.guard import Gate, GuardedRoute
from api.http.idempotency import Replies
from api.http.limits import Caps, Limits
from api.http.logs import Requests, logger
from api.http.metrics import Metrics
from api.http.paging import Cursors
from api.http.rate import Limiter, Rates
from api.http.security_headers import SecurityHeaders
from api.intake import Intake, IntakeCaps
from api.progress_stream import Stream
from api.reads import Reads
from api.routes import events, plans
from api.routes.needs import Services
from graph.home import Home

THREADS = 8
"""Requests that wait for a disk at once: more would only wait for each other on a few cores."""


SWITCH_S = 0.001
"""How long a thread may keep the interpreter: the event loop waits for it, and with it every connection."""


@dataclass(frozen=True)
class Parts:
    """What an application may be given instead of what it makes itself."""

    identities: LedgerIdentities | None = None
    audit: AuditTrail | None = None
    desk: Desk | None = None
    """Where it is decided; it stays open until the application ends, and is closed by it."""
    routers: Sequence[APIRouter] = ()
    """Further nouns; their routes declare permissions like all others."""
    store: str | None = None
    log: structlog.stdlib.BoundLogger | None = None
    caps: Caps = field(default_factory=Caps)
    intake: IntakeCaps = field(default_factory=IntakeCaps)
    rates: Rates = field(default_factory=Rates)


def create_app(serving: Serving, home: Home, parts: Parts | None = None) -> FastAPI:
    """The application for one home.

    Raises RingfenceError (exit 2) where it is to be served beyond this machine without all that production needs.
    """
    parts = parts or Parts()
    desk = parts.desk or open_desk(home)
    identities = parts.identities or LedgerIdentities(desk.ledger, local=serving.local)
    check(serving, identities.approvers())
    log = parts.log or logger()
    metrics = Metrics()
    reads = Reads(home, parts.store)
    oidc = OidcSettings.of(serving.environment)
    app = FastAPI(
        title="Ringfence",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
    )
    app.state.gate = Gate(identities, Limiter(parts.rates), Replies(desk.ledger))
    app.state.services = Services(
        reads=reads,
        identities=identities,
        cursors=Cursors(reads.secret("cursors")),
        metrics=metrics,
        intake=Intake(home, parts.intake),
        audit=parts.audit or LedgerAudit(desk.ledger),
        desk=desk,
        stream=Stream(desk),
        door=Door(home, desk.ledger, reads.pepper, log),
        oidc=None if oidc is None else OidcProvider(oidc, reads.secret("oidc")),
        secure=serving.secure,
    )
    for router in (*_nouns(), *parts.routers):
        app.router.routes.extend(router.routes)
    problems.install(app)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]  # the framework's own way
    larger = {events.PATH: parts.caps.streamed, **dict.fromkeys(plans.NAMING, parts.caps.named)}
    app.add_middleware(Limits, caps=parts.caps, larger=larger)
    app.add_middleware(SecurityHeaders, hosts=serving.allowed_hosts, secure=serving.secure)
    app.add_middleware(Requests, log=log, metrics=metrics)
    return app


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
    return _by_place(app.routes)


def declared() -> dict[str, GuardedRoute]:
    """The routes of all nouns, without an application: for the page about who may what."""
    return _by_place([route for router in _nouns() for route in router.routes])


def _by_place(routes: Sequence[BaseRoute]) -> dict[str, GuardedRoute]:
    found: dict[str, GuardedRoute] = {}
    for route in routes:
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
    services.door.start()
    try:
        yield
    finally:
        services.door.stop()
        services.reads.close()
        services.desk.ledger.close()
        if services.oidc is not None:
            services.oidc.close()


def _described(app: FastAPI) -> dict[str, object]:
    if app.openapi_schema is None:
        app.openapi_schema = openapi.describe(app)
    return app.openapi_schema
