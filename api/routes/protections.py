"""The protected list: organizations that plans leave out."""

from __future__ import annotations

from collections.abc import Mapping

from actions import protections
from actions.protections import Protection
from api.auth.permissions import Permission
from api.decisions import PROTECT, record
from api.http.guard import Routes
from api.http.problems import of_unknown
from api.routes.needs import After, CursorsOf, DeskOf, Limit, Services, ServicesOf
from api.schemas.appeals import ProtectionEnded, ProtectionGiven, ProtectionShown
from api.schemas.base import Page
from graph.errors import RingfenceError

routes = Routes("protections")


@routes.reads("/protections")
def list_protections(
    desk: DeskOf, cursors: CursorsOf, after: After = None, limit: Limit = 50
) -> Page[ProtectionShown]:
    """Protections that hold now, in the order in which they were given."""
    asked = ["protections"]
    place = 0 if after is None else cursors.read(asked, after)
    with desk.ledger.reading() as reading:
        found = protections.listed(reading, after=place, limit=limit + 1)
    page, following = cursors.cut(asked, found, limit, lambda last: last.id)
    return Page(items=[_shown(each) for each in page], next=following)


@routes.changes("/protections", Permission.GUARD, status_code=201, once=True, problems=("not_found",))
def protect(services: ServicesOf, desk: DeskOf, given: ProtectionGiven) -> ProtectionShown:
    """Protect an organization: plans leave it out at once, runs from the next one on."""
    row = {"org_id": given.org_id, "reason": given.reason}
    if given.ends_at is None:  # what ends by itself is the ledger's business alone
        _recorded(services, row)
    with desk.ledger.transaction() as tx:
        protections.protect(tx, given.org_id, desk.principal, reason=given.reason, ends_at=given.ends_at)
    return ProtectionShown(
        org_id=given.org_id,
        reason=given.reason,
        created_by=desk.principal.id,
        created_at=desk.ledger.clock(),
        ends_at=given.ends_at,
    )


@routes.changes("/protections/end", Permission.UNGUARD, status_code=204, once=True, problems=("not_found",))
def unprotect(services: ServicesOf, desk: DeskOf, given: ProtectionEnded) -> None:
    """End an organization's protection."""
    with desk.ledger.transaction() as tx:
        protections.unprotect(tx, given.org_id, desk.principal, reason=given.reason)
    _recorded(services, {"org_id": given.org_id, "reason": given.reason, "action": "end"})


def _recorded(services: Services, row: Mapping[str, str]) -> None:
    """Let runs know, too."""
    try:
        with services.intake.alone():
            record(services.reads.home, PROTECT, [row])
    except RingfenceError as error:
        raise of_unknown(error) from None


def _shown(found: Protection) -> ProtectionShown:
    about = {name: value for name, value in vars(found).items() if name != "id"}
    return ProtectionShown.model_validate(about)
