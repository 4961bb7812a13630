"""An organization that wants to be forgotten. People are erased under `/v1/users`."""

from __future__ import annotations

from api.auth.permissions import Permission
from api.erasing import erase_organization
from api.http.guard import Routes
from api.http.problems import Problem
from api.routes.needs import DeskOf, ServicesOf
from api.schemas.erasure import ErasedOrganization, Erasing

routes = Routes("erasure")


@routes.changes("/organizations/erase", Permission.ADMINISTER, problems=("invalid", "not_a_person"))
def erase(desk: DeskOf, services: ServicesOf, given: Erasing) -> ErasedOrganization:
    """Erase an organization, for good. It takes as long as reading all events; asked again, it finishes."""
    if given.confirm != given.org_id:
        raise Problem("invalid", "`confirm` is not the same id", "Give the organization's id once more.")
    found = erase_organization(desk, given.org_id, given.reason, store=services.reads.store_name)
    return ErasedOrganization(**vars(found))
