"""From what a person types to the keys under which the graph may know it."""

from __future__ import annotations

from collections.abc import Iterator

from graph.identifiers import Keyer, Kind
from graph.store import KeysOf, NodeRef


def keys_of(pepper: bytes) -> KeysOf:
    """A function that tells, for a text, the (kind, key) it has as each kind of identifier it could be.

    Secrets are hashed as ingest does, so they are found although only their keys are stored.
    """
    keyer = Keyer(pepper)

    def keys(text: str) -> Iterator[tuple[str, bytes]]:
        for kind in Kind:
            key = keyer.identify(kind, text)
            if key is not None:
                yield kind.value, key

    return keys


def organization_ref(org_id: str, pepper: bytes) -> NodeRef:
    """The node that an organization has in the graph, if it is there."""
    return NodeRef("Organization", Keyer(pepper).key(Kind.ORGANIZATION, org_id).hex())
