"""Whether it runs, whether it can answer, and its figures."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from api.auth.permissions import Permission
from api.http.guard import Routes
from api.http.metrics import MEDIA_TYPE
from api.routes.needs import ReadsOf, ServicesOf
from api.schemas.runs import Health, Ready

routes = Routes("health", prefix="")


@routes.reads("/healthz", Permission.PUBLIC)
async def live() -> Health:
    """Whether the process answers."""
    return Health()


@routes.reads("/readyz", Permission.PUBLIC)
def ready(reads: ReadsOf) -> Ready:
    """Whether there is a run to answer about, and it has been read; 503 until one has been published."""
    reads.resident()
    return Ready(run_id=reads.run_id())


@routes.reads(
    "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {"example": "# HELP"}}}}
)
def metrics(services: ServicesOf) -> Response:
    """The figures, as Prometheus reads them."""
    return Response(services.metrics.text(), media_type=MEDIA_TYPE)


@routes.reads(
    "/v1/openapi.json", responses={200: {"content": {"application/json": {"example": {"openapi": "3.1.0"}}}}}
)
def description(request: Request) -> dict[str, object]:
    """This description."""
    found: dict[str, object] = request.app.openapi()
    return found
