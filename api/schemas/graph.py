"""Organizations, identifiers and what connects them, over the wire."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from api.answers.pairs import Common, Reason, Tie
from api.answers.reading import Row
from api.auth.masking import Mask
from api.schemas.base import AT, Answered, ExactId, Given, Moment, Money, Words, example, money
from graph.schema import NODE_OF_KIND
from graph.store import Node, Relationship

KEY = r"^[0-9a-f]{32}$"
_ORGANIZATION = {
    "org_id": "org_1",
    "created_at": "2026-02-20T03:27:13Z",
    "first_at": "2026-02-20T03:27:13Z",
    "last_at": AT,
    "country": "US",
    "plan": "trial",
    "cost": "1.020885",
    "events": 13,
    "referred": 0,
    "status": None,
    "status_at": None,
    "cluster_id": "cl_iuyzaqhqd5",
    "member_risk": 99.9,
    "actionable": True,
    "spared_reason": None,
}
_IDENTIFIER = {
    "label": "Email",
    "key": "00112233445566778899aabbccddeeff",
    "value": "b•••@example.com",
    "degree": 4,
    "hidden": False,
    "first_at": "2026-02-20T03:27:13Z",
    "last_at": AT,
}


class Organization(Answered):
    """A customer of the platform as the run sees it."""

    model_config = ConfigDict(json_schema_extra=example(_ORGANIZATION))
    org_id: str
    created_at: Moment | None
    first_at: Moment | None
    last_at: Moment | None
    country: str | None
    plan: str | None
    cost: Money | None
    events: int | None
    referred: int | None
    status: Annotated[str | None, Field(description="The action in force; null: none.")]
    status_at: Moment | None
    cluster_id: str | None
    member_risk: float | None
    actionable: bool | None
    spared_reason: str | None

    @classmethod
    def of(cls, row: Row) -> Organization:
        """From its properties with its standing."""
        given = {**row, "cost": money(row["cost"])}
        return cls(**{name: given.get(name) for name in cls.model_fields})


class Identifier(Answered):
    """Something that organizations use. `value` is masked unless it may be seen; secrets never were kept."""

    model_config = ConfigDict(json_schema_extra=example(_IDENTIFIER))
    label: str
    key: Annotated[str, Field(pattern=KEY)]
    value: str | None
    degree: Annotated[int | None, Field(description="How many organizations use it.")]
    hidden: bool
    first_at: Moment | None
    last_at: Moment | None

    @classmethod
    def of(cls, node: Node, mask: Mask) -> Identifier:
        """From the graph's node."""
        has: dict[str, Any] = dict(node.properties)
        return cls(
            label=node.ref.label,
            key=node.ref.key,
            value=mask.text(node.ref.label, node.name),
            degree=node.degree,
            hidden=bool(has.get("hidden")),
            first_at=has.get("first_at"),
            last_at=has.get("last_at"),
        )


class Use(Answered):
    """That an organization uses an identifier."""

    type: str
    org_id: str
    label: str
    key: str
    value: str | None
    degree: int | None
    first_at: Moment | None
    last_at: Moment | None
    uses: int | None
    weight: float | None
    evidence_class: str | None


class IdentifierUses(Answered):
    """An identifier with organizations that use it; `total` counts all of them."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"identifier": _IDENTIFIER, "organizations": ["org_1", "org_2"], "total": 2}
        )
    )
    identifier: Identifier
    organizations: list[str]
    total: int


class RevealRequest(Given):
    """Which identifier is to be shown in clear, and why: others will read it."""

    model_config = ConfigDict(
        json_schema_extra=example({"reason": "Support case 4711: which mailbox was abused?"})
    )
    reason: Words


class Point(Answered):
    """A node of the graph."""

    label: str
    key: str
    name: Annotated[
        str | None, Field(description="What people read; masked. Null for what one organization alone has.")
    ]
    degree: int | None

    @classmethod
    def of(cls, node: Node, mask: Mask) -> Point:
        """From the graph's node."""
        name = mask.text(node.ref.label, node.name)
        return cls(label=node.ref.label, key=node.ref.key, name=name, degree=node.degree)


class Connection(Answered):
    """A relationship of the graph."""

    type: str
    source: str
    target: str
    degree: Annotated[int, Field(description="Relationships of this type at the target.")]
    first_at: Moment | None = None
    last_at: Moment | None = None

    @classmethod
    def of(cls, relationship: Relationship) -> Connection:
        """From the graph's relationship; its ends are `Label:key`."""
        has: dict[str, Any] = dict(relationship.properties)
        return cls(
            type=relationship.type,
            source=f"{relationship.source.label}:{relationship.source.key}",
            target=f"{relationship.target.label}:{relationship.target.key}",
            degree=relationship.degree,
            first_at=has.get("first_at"),
            last_at=has.get("last_at"),
        )


class Expanded(Answered):
    """What is around some nodes. `hubs` counts nodes that were left out because too many share them."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "run_id": "run_1",
                "nodes": [
                    {
                        "label": "Phone",
                        "key": "00112233445566778899aabbccddeeff",
                        "name": "•••4711",
                        "degree": 4,
                    }
                ],
                "relationships": [
                    {
                        "type": "USED_PHONE",
                        "source": "Organization:ffeeddccbbaa99887766554433221100",
                        "target": "Phone:00112233445566778899aabbccddeeff",
                        "degree": 4,
                        "first_at": AT,
                        "last_at": AT,
                    }
                ],
                "total": 1,
                "hubs": 0,
            }
        )
    )
    run_id: str
    nodes: list[Point]
    relationships: list[Connection]
    total: int
    hubs: int


class Found(Answered):
    """One thing that a search found, and whom it leads to."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "kind": "mailbox",
                "value": "b•••@example.com",
                "match": "exact",
                "count": 4,
                "organizations": ["org_1", "org_2"],
                "cluster_id": None,
            }
        )
    )
    kind: str
    value: str | None
    match: str
    count: int | None
    organizations: list[str]
    cluster_id: str | None


class ReasonOf(Answered):
    """A shared identifier behind a tie."""

    label: str | None
    kind: str
    key: str
    value: str | None
    weight: float
    gap_s: int | None
    a_at: Moment | None
    b_at: Moment | None
    organizations: int | None
    evidence_class: str | None

    @classmethod
    def of(cls, reason: Reason, mask: Mask) -> ReasonOf:
        """From the answer."""
        label = _label(reason.kind)
        given: dict[str, Any] = asdict(reason)
        return cls(label=label, value=mask.text(label or "Signal", given.pop("display")), **given)


class TieOf(Answered):
    """Two organizations, the weight between them (1 is a fresh private card), and why."""

    a: str
    b: str
    weight: float
    reasons: list[ReasonOf]

    @classmethod
    def of(cls, tie: Tie, mask: Mask) -> TieOf:
        """From the answer."""
        return cls(
            a=tie.a, b=tie.b, weight=tie.weight, reasons=[ReasonOf.of(one, mask) for one in tie.reasons]
        )


class CommonOf(Answered):
    """An identifier that both used, and how many organizations ever did."""

    label: str | None
    kind: str
    key: str
    value: str | None
    organizations: int

    @classmethod
    def of(cls, common: Common, mask: Mask) -> CommonOf:
        """From the answer."""
        label = _label(common.kind)
        return cls(
            label=label,
            kind=common.kind,
            key=common.key,
            value=mask.text(label or "Signal", common.display),
            organizations=common.organizations,
        )


class Why(Answered):
    """Why two organizations belong together (`path`: one tie, or the ties that lead from a to b), or, without b,
    the strongest of the `total` ties of a."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "run_id": "run_1",
                "a": _ORGANIZATION,
                "b": None,
                "path": [
                    {
                        "a": "org_1",
                        "b": "org_2",
                        "weight": 1.0,
                        "reasons": [
                            {
                                "label": "Phone",
                                "kind": "phone",
                                "key": "00112233445566778899aabbccddeeff",
                                "value": "•••4711",
                                "weight": 1.0,
                                "gap_s": 60,
                                "a_at": AT,
                                "b_at": AT,
                                "organizations": 2,
                                "evidence_class": "mutual",
                            }
                        ],
                    }
                ],
                "common": [],
                "total": 1,
                "organizations": 5000,
            }
        )
    )
    run_id: str
    a: Organization
    b: Organization | None
    path: list[TieOf]
    common: list[CommonOf]
    total: int
    organizations: Annotated[int, Field(description="All organizations of the run.")]


class OrganizationIds(Given):
    """Some organizations by their exact ids."""

    model_config = ConfigDict(json_schema_extra=example({"org_ids": ["org_1", "org_2"]}))

    org_ids: Annotated[list[ExactId], Field(min_length=1, max_length=100)]


def _label(kind: str) -> str | None:
    return NODE_OF_KIND[kind].label if kind in NODE_OF_KIND else None
