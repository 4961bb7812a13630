"""Files for other tools: written whole, then streamed, then removed."""

from __future__ import annotations

from pathlib import Path as File
from typing import Annotated, Literal

from fastapi import Path, Query
from starlette.responses import StreamingResponse

from api.answers.reading import RunReader
from api.auth.permissions import Permission
from api.http.files import streamed
from api.http.guard import Routes
from api.http.problems import not_found
from api.routes.needs import PrincipalOf, ServicesOf
from api.schemas.clusters import CLUSTER_ID
from api.services import write_export

routes = Routes("exports")
TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
}
_CSV = "org_id,cluster_id,cluster_risk\norg_1,cl_iuyzaqhqd5,99.97\n"
_FILE = {
    "text/csv": {"schema": {"type": "string"}, "example": _CSV},
    "application/json": {
        "schema": {"type": "array", "items": {"type": "object"}},
        "example": [{"org_id": "org_1", "cluster_id": "cl_iuyzaqhqd5", "cluster_risk": 99.97}],
    },
    TYPES["parquet"]: {"schema": {"type": "string", "format": "binary"}, "example": "PAR1…"},
}


@routes.reads(
    "/exports/{what}",
    Permission.EXPORT,
    response_class=StreamingResponse,
    responses={200: {"content": _FILE}},
)
def export(
    services: ServicesOf,
    principal: PrincipalOf,
    what: Annotated[Literal["members", "clusters"], Path(description="What to export.")],
    format: Annotated[Literal["csv", "json", "parquet"], Query()] = "csv",  # noqa: A002 - as on the command line
    cluster_id: Annotated[str | None, Query(pattern=CLUSTER_ID)] = None,
    min_risk: Annotated[float, Query(ge=0, le=100, allow_inf_nan=False)] = 0,
) -> StreamingResponse:
    """All members, or all clusters, of the run that is shown, from a risk on or of one cluster; it is audited."""
    reads = services.reads
    run = RunReader.open(reads.home, reads.run_id())
    if cluster_id is not None and run.one("clusters", "cluster_id", cluster_id) is None:
        raise not_found(f"cluster {cluster_id}", "See /v1/clusters.")
    about = {"what": what, "format": format, "cluster_id": cluster_id, "min_risk": min_risk}
    services.audit.record(principal, "exported", "", about)

    def write(target: File) -> object:
        return write_export(run, what, format, target, cluster_id=cluster_id, min_risk=min_risk)

    return streamed(reads.home.path, f"{what}.{format}", TYPES[format], write)
