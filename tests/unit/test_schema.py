"""Every declaration of the graph's schema is sound, and what is derived from it is complete."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest

from graph.identifiers import SECRET_KINDS, Kind
from graph.schema import (
    EVIDENCE,
    LINK_OF_KIND,
    NODE_OF_KIND,
    NODES,
    RELATIONSHIPS,
    NodeType,
    PropertyType,
    RelationshipType,
    schema_markdown,
)

DECLARATIONS: list[NodeType | RelationshipType] = [*NODES.values(), *RELATIONSHIPS.values()]


def _name(declared: NodeType | RelationshipType) -> str:
    return declared.label if isinstance(declared, NodeType) else declared.name


@pytest.mark.parametrize("declared", DECLARATIONS, ids=_name)
def test_every_declaration_is_sound(declared: NodeType | RelationshipType) -> None:
    assert declared.meaning.endswith(".")
    columns = declared.columns if isinstance(declared, NodeType) else declared.properties
    if isinstance(declared, NodeType):
        columns = (*columns, *declared.kept)
    names = [column.name for column in columns]
    assert len(names) == len(set(names))
    for column in columns:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", column.name)
        assert column.name not in ("id", "source", "target")
        assert column.meaning.endswith(".")
    assert all(isinstance(field.type, pa.DataType) for field in declared.arrow)


@pytest.mark.parametrize("node", NODES.values(), ids=_name)
def test_every_node_names_its_own_properties(node: NodeType) -> None:
    types = {column.name: column.type for column in node.columns}
    assert re.fullmatch(r"[A-Z][A-Za-z]*", node.label)
    assert node.key.type in (PropertyType.KEY, PropertyType.TEXT)
    assert types[node.name] is PropertyType.TEXT
    assert node.search
    assert all(types[text] is PropertyType.TEXT for text in node.search)
    assert node.look_alike is None or types[node.look_alike] is PropertyType.TEXT
    assert node.degree is None or types[node.degree] is PropertyType.INTEGER


@pytest.mark.parametrize("rel", RELATIONSHIPS.values(), ids=_name)
def test_every_relationship_joins_declared_nodes_and_its_target_counts_it(rel: RelationshipType) -> None:
    assert re.fullmatch(r"[A-Z][A-Z_]*", rel.name)
    assert rel.source in NODES
    counts = {column.name: column.type for column in NODES[rel.target].properties}
    assert counts[rel.degree] is PropertyType.INTEGER
    assert [other.name for other in RELATIONSHIPS.values() if other.target == rel.target] == [rel.name]
    if rel.kind is not None:
        assert NODES[rel.target].kind == rel.kind
        assert {"first_at", "last_at", "uses", "weight", "evidence_class"} <= {
            column.name for column in rel.properties
        }


def test_names_are_unique_whatever_their_case() -> None:
    names = [_name(declared).lower() for declared in DECLARATIONS]
    assert len(names) == len(set(names))


def test_every_kind_of_identifier_has_a_node_and_a_link() -> None:
    assert set(NODE_OF_KIND) == {kind.value for kind in Kind}
    assert set(LINK_OF_KIND) == {kind.value for kind in Kind if kind is not Kind.ORGANIZATION}
    assert set(EVIDENCE) == {rel.name for rel in LINK_OF_KIND.values()}


def test_secrets_have_no_look_alikes() -> None:
    assert all(NODE_OF_KIND[kind].look_alike is None for kind in SECRET_KINDS)


def test_the_page_of_the_docs_holds_every_declaration_and_property() -> None:
    page = schema_markdown()
    for declared in DECLARATIONS:
        section = page.split(f"### {_name(declared)}\n", 1)[1].split("\n### ", 1)[0]
        columns = declared.columns if isinstance(declared, NodeType) else declared.properties
        assert all(f"| `{column.name}`" in section and column.meaning in section for column in columns)
