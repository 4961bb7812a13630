"""Routes that say who may use them. One that does not say cannot be made."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast, get_args, get_origin

import orjson
from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from actions.access.identities import LedgerIdentities
from actions.model import Principal
from api.auth.permissions import Permission, require
from api.auth.principal import check_origin, credentials, look_up, unauthenticated
from api.http import idempotency
from api.http.idempotency import Replies
from api.http.problems import Problem
from api.http.rate import Limiter

DECLARED = "x-ringfence-permission"
PROBLEMS = "x-ringfence-problems"
ONCE = "x-ringfence-once"
PREFIX = "/v1"
NOBODY = Principal("nobody", frozenset(), "user")
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class UndeclaredError(TypeError):
    """A route says not who may use it: a fault in the code, found as soon as it is imported."""


@dataclass(frozen=True)
class Gate:
    """What a request passes before its route runs."""

    identities: LedgerIdentities
    limiter: Limiter
    replies: Replies

    async def admit(self, request: Request, permission: Permission) -> Principal:
        """The principal, who may. Raises Problem: 401, 403 or 429. The body has not been read yet."""
        address = _address(request)
        self.limiter.address(address)
        shown = credentials(request)
        if shown is None:
            if permission is Permission.PUBLIC:
                return NOBODY
            raise unauthenticated()
        found = await run_in_threadpool(look_up, self.identities, shown)
        if found is None:
            if permission is Permission.PUBLIC:
                return NOBODY
            self.limiter.failure(address)
            raise unauthenticated()
        check_origin(request, shown)
        self.limiter.principal(found.id)
        require(found, permission)
        return found

    def refused(self, request: Request) -> None:
        """Count a failed sign-in against the address that it came from. Raises Problem (429) after too many."""
        self.limiter.failure(_address(request))


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"


class HasGate(Protocol):
    """What the application's state has."""

    gate: Gate


class StrictRequest(Request):
    """A request whose JSON is strict: UTF-8, no lone surrogates, no NaN."""

    async def json(self) -> Any:
        """The body. Raises Problem (400) where it is no JSON."""
        body = await self.body()
        try:
            return orjson.loads(body)
        except (orjson.JSONDecodeError, RecursionError):
            raise Problem(
                "bad_request", "the body is no strict JSON", "Send UTF-8 JSON without NaN or lone surrogates."
            ) from None


class GuardedRoute(APIRoute):
    """A route that admits before anything of the body is read."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        declared = (options.get("openapi_extra") or {}).get(DECLARED)
        if declared is None:
            raise UndeclaredError(f"the route {path} declares no permission")
        self.permission = Permission(declared)
        self.once = bool((options.get("openapi_extra") or {}).get(ONCE))
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Handler:
        """See APIRoute."""
        inner = super().get_route_handler()
        permission = self.permission
        query = dict(_parameters(self.dependant))

        async def handler(request: Request) -> Response:
            gate = cast(HasGate, request.app.state).gate
            principal = await gate.admit(request, permission)
            request.state.principal = principal
            request.state.principal_id = principal.id
            _check_query(request, query)
            strict = StrictRequest(request.scope, request.receive)
            if not self.once:
                return await inner(strict)
            replies = cast(HasGate, request.app.state).gate.replies
            return await idempotency.once(strict, principal, self.path, replies, lambda: inner(strict))

        return handler


def _check_query(request: Request, known: Mapping[str, bool]) -> None:
    """Refuse parameters that would be silently dropped: unknown ones, and all but one of several."""
    names = [name for name, _ in request.query_params.multi_items()]
    for name in dict.fromkeys(names):
        if name not in known:
            raise Problem(
                "invalid", "there is no such query parameter", f"It has: {', '.join(known) or 'none'}."
            )
        if not known[name] and names.count(name) > 1:
            raise Problem("invalid", f"{name} is given more than once", "Give it once.")


def _parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """Every query parameter of an endpoint and of what it depends on; whether it may be given more than once."""
    for field in dependant.query_params:
        yield field.alias, _several(field.field_info.annotation)
    for needed in dependant.dependencies:
        yield from _parameters(needed)


def _several(annotation: Any) -> bool:
    """Whether a parameter may be given more than once."""
    return get_origin(annotation) is list or any(get_origin(part) is list for part in get_args(annotation))


class Routes(APIRouter):
    """A noun's routes, under `/v1`."""

    def __init__(self, tag: str, prefix: str = PREFIX) -> None:
        super().__init__(prefix=prefix, tags=[tag], route_class=GuardedRoute)

    def declare(self, method: str, path: str, permission: Permission, **options: Any) -> Callable[..., Any]:
        """Register an endpoint for one method under a permission.

        `problems` are codes that it may answer with, beyond those that its parameters and its permission imply.
        `once`: it does something that must not be done twice, so it takes an `Idempotency-Key`.
        """
        extra = {DECLARED: permission.value, **options.pop("openapi_extra", {})}
        extra[PROBLEMS] = list(options.pop("problems", ()))
        extra[ONCE] = bool(options.pop("once", False))
        return self.api_route(path, methods=[method], openapi_extra=extra, **options)

    def reads(
        self, path: str, permission: Permission = Permission.READ, **options: Any
    ) -> Callable[..., Any]:
        """A GET."""
        return self.declare("GET", path, permission, **options)

    def changes(self, path: str, permission: Permission, **options: Any) -> Callable[..., Any]:
        """A POST."""
        return self.declare("POST", path, permission, **options)


def principal_of(request: Request) -> Principal:
    """Who asks, once admitted: for `Depends`."""
    return cast(Principal, request.state.principal)


def gate_of(request: Request) -> Gate:
    """The gate that admitted it."""
    return cast(HasGate, request.app.state).gate
