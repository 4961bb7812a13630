"""What routes are given: nothing of it is made by a route."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, cast

from fastapi import Depends, Query, Request

from actions.access.identities import LedgerIdentities
from actions.model import Principal
from api.audit import AuditTrail
from api.auth.masking import Mask
from api.auth.oidc import OidcProvider
from api.deciding.desk import Desk
from api.door.door import Door
from api.http.guard import principal_of
from api.http.metrics import Metrics
from api.http.paging import Cursors
from api.intake import Intake
from api.progress_stream import Stream
from api.reads import Reads
from api.schemas.base import MOST


@dataclass(frozen=True)
class Services:
    """Everything that an application's routes share; made once, in `api.app`."""

    reads: Reads
    identities: LedgerIdentities
    cursors: Cursors
    metrics: Metrics
    intake: Intake
    audit: AuditTrail
    desk: Desk
    door: Door
    stream: Stream
    oidc: OidcProvider | None
    secure: bool


async def _services(request: Request) -> Services:
    return cast(Services, request.app.state.services)


async def _reads(request: Request) -> Reads:
    return cast(Services, request.app.state.services).reads


async def _cursors(request: Request) -> Cursors:
    return cast(Services, request.app.state.services).cursors


async def _principal(request: Request) -> Principal:
    return principal_of(request)


async def _mask(request: Request) -> Mask:
    return Mask.of(principal_of(request))


async def _desk(request: Request) -> Desk:
    return replace(cast(Services, request.app.state.services).desk, principal=principal_of(request))


ServicesOf = Annotated[Services, Depends(_services)]
ReadsOf = Annotated[Reads, Depends(_reads)]
CursorsOf = Annotated[Cursors, Depends(_cursors)]
PrincipalOf = Annotated[Principal, Depends(_principal)]
MaskOf = Annotated[Mask, Depends(_mask)]
DeskOf = Annotated[Desk, Depends(_desk)]
"""The ledger, on behalf of whoever asks. Work with it in `def` endpoints: it waits for a database."""
Limit = Annotated[int, Query(ge=1, le=MOST, description="How many at most.")]
After = Annotated[str | None, Query(max_length=2_000, description="`next` of the page before.")]
