"""Organizations by their exact ids."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from api.answers.connections import standing
from api.auth.permissions import Permission
from api.http.guard import Routes
from api.routes.needs import ReadsOf
from api.schemas.base import Page
from api.schemas.graph import Organization, OrganizationIds
from graph.lookup import organization_ref

routes = Routes("organizations")
OrgId = Annotated[
    str, Path(min_length=1, max_length=512, description="An organization's id, exactly.", examples=["org_1"])
]


@routes.reads("/organizations/{org_id}")
def get_organization(reads: ReadsOf, org_id: OrgId) -> Organization:
    """One organization, and which cluster it is in. An id with a slash: POST /v1/organizations/find."""
    return Organization.of(standing(reads.store(), reads.organization(org_id)))


@routes.changes("/organizations/find", Permission.READ)
def find_organizations(reads: ReadsOf, wanted: OrganizationIds) -> Page[Organization]:
    """Those of up to a hundred organizations that the run knows, in the order in which they were asked for."""
    refs = [organization_ref(org_id, reads.pepper) for org_id in dict.fromkeys(wanted.org_ids)]
    store = reads.store()
    nodes = store.get_nodes(refs)
    found = [Organization.of(standing(store, nodes[ref])) for ref in refs if ref in nodes]
    return Page(items=found, total=len(found))
