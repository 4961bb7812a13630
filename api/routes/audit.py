"""What was done, by whom and why: entries, a file to verify offline, and the verifier."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.responses import StreamingResponse

from actions import audit
from api.auth.permissions import Permission
from api.http.files import streamed
from api.http.guard import Routes
from api.routes.needs import After, CursorsOf, DeskOf, Limit
from api.schemas.audit import AuditCheckpoint, AuditEntry, AuditVerified
from api.schemas.base import Page
from api.schemas.plans import PLAN_ID

routes = Routes("audit")
NDJSON = "application/x-ndjson"


@routes.reads("/audit", Permission.AUDIT)
def list_entries(
    desk: DeskOf,
    cursors: CursorsOf,
    plan_id: Annotated[str | None, Query(pattern=PLAN_ID, description="Only those of a plan.")] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[AuditEntry]:
    """Entries, the oldest first."""
    asked = ["audit", plan_id]
    place = 0 if after is None else cursors.read(asked, after)
    with desk.ledger.reading() as reading:
        found = audit.entries(reading, desk.principal, after=place, plan_id=plan_id, limit=limit + 1)
    page, following = cursors.cut(asked, found, limit, lambda last: last.seq)
    return Page(items=[AuditEntry.of(each) for each in page], next=following)


@routes.reads("/audit/checkpoints", Permission.AUDIT)
def list_checkpoints(
    desk: DeskOf, cursors: CursorsOf, after: After = None, limit: Limit = 50
) -> Page[AuditCheckpoint]:
    """Signed checkpoints, the oldest first."""
    asked = ["audit checkpoints"]
    place = 0 if after is None else cursors.read(asked, after)
    with desk.ledger.reading() as reading:
        found = audit.checkpoints(reading, desk.principal, after=place, limit=limit + 1)
    page, following = cursors.cut(asked, found, limit, lambda last: last.seq)
    return Page(items=[AuditCheckpoint.of(each) for each in page], next=following)


@routes.reads("/audit/verify", Permission.AUDIT)
def verify(desk: DeskOf) -> AuditVerified:
    """Verify the whole chain with the installation's key."""
    return AuditVerified.of(audit.verify(desk.ledger, [desk.signer]))


@routes.reads(
    "/audit/export",
    Permission.AUDIT,
    response_class=StreamingResponse,
    responses={
        200: {"content": {NDJSON: {"schema": {"type": "string"}, "example": '{"entry": "…", "hash": "…"}\n'}}}
    },
)
def export(desk: DeskOf) -> StreamingResponse:
    """The whole audit, signed to its end, as a file that 'ringfence audit verify FILE' verifies offline."""
    with desk.ledger.transaction() as tx:
        tx.audit("audit.exported", desk.principal)
    with desk.ledger.transaction() as tx:
        audit.checkpoint(tx, desk.signer)
    return streamed(desk.home.path, "audit.ndjson", NDJSON, lambda target: audit.export(desk.ledger, target))
