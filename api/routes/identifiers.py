"""Identifiers, who uses them, and their value in clear for those who say why they look."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from api.auth.masking import Mask
from api.auth.permissions import Permission
from api.http.guard import Routes
from api.http.problems import not_found
from api.reads import Reads
from api.routes.needs import MaskOf, PrincipalOf, ReadsOf, ServicesOf
from api.schemas.graph import KEY, Identifier, IdentifierUses, RevealRequest
from graph.schema import LINK_OF_KIND
from graph.store import GraphStore, Node, NodeRef

routes = Routes("identifiers")
LABELS = tuple(sorted(rel.target for rel in LINK_OF_KIND.values()))
Label = Annotated[
    str, Path(pattern=f"^({'|'.join(LABELS)})$", description="What sort it is.", examples=["Email"])
]
Key = Annotated[
    str,
    Path(pattern=KEY, description="Its key: 32 hex digits.", examples=["00112233445566778899aabbccddeeff"]),
]


@routes.reads("/identifiers/{label}/{key}")
def get_identifier(
    reads: ReadsOf, mask: MaskOf, label: Label, key: Key, limit: Annotated[int, Query(ge=1, le=1_000)] = 100
) -> IdentifierUses:
    """An identifier, and organizations that use it."""
    node, store = _known(reads, label, key)
    found = store.expand([node.ref], degree_cap=None, limit=limit)
    nodes = store.get_nodes([each.source for each in found.items])
    users = sorted(str(one.name) for one in nodes.values())
    return IdentifierUses(identifier=Identifier.of(node, mask), organizations=users, total=found.total)


@routes.changes("/identifiers/{label}/{key}/reveal", Permission.REVEAL)
def reveal(
    services: ServicesOf, principal: PrincipalOf, label: Label, key: Key, wanted: RevealRequest
) -> Identifier:
    """Its value in clear. Who looked, and why, is kept first; where it cannot be kept, nothing is shown."""
    node, _ = _known(services.reads, label, key)
    services.audit.record(principal, "identifier_revealed", wanted.reason, {"label": label, "key": key})
    return Identifier.of(node, Mask(clear=True))


def _known(reads: Reads, label: str, key: str) -> tuple[Node, GraphStore]:
    """The identifier, and the store that has it; one that an organization alone has takes longer."""
    for store in (reads.store(), reads.with_leaves()):
        node = store.get_nodes([NodeRef(label, key)]).get(NodeRef(label, key))
        if node is not None:
            return node, store
    raise not_found(f"{label} {key}", "/v1/search?q= finds identifiers by their value.")
