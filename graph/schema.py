"""Every node, relationship and property of the graph, declared once.

Stores compile this into their own definitions, the docs page is `schema_markdown()`, and one test lints
every declaration. To add a node or a relationship, add it here: nothing else names it.

Relationships point from the many to the shared: from an organization to an identifier or a cluster, from a
cluster to its run. A property of the target counts them, so that a hub is known before it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import pyarrow as pa

SCHEMA_VERSION = 3
KEY_BYTES = 16


class PropertyType(StrEnum):
    """What a property holds: at the edge of a store as plain Python, in bulk as Arrow."""

    KEY = "key"  # 16 bytes in bulk, 32 lower hex digits at the edge
    TEXT = "text"
    INTEGER = "integer"
    REAL = "real"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"  # UTC, microseconds

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type of a column of it."""
        return _ARROW[self]


_ARROW: Mapping[PropertyType, pa.DataType] = {
    PropertyType.KEY: pa.binary(KEY_BYTES),
    PropertyType.TEXT: pa.string(),
    PropertyType.INTEGER: pa.int64(),
    PropertyType.REAL: pa.float64(),
    PropertyType.BOOLEAN: pa.bool_(),
    PropertyType.TIMESTAMP: pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True)
class Property:
    """One property: its name, type and meaning."""

    name: str
    type: PropertyType
    meaning: str


@dataclass(frozen=True)
class NodeType:
    """One kind of node.

    `kind` is the identifier kind whose values it holds, if any. `degree` names the property that says how many
    share it, `name` the one that people read, `search` the texts that `find` matches whole or by prefix,
    `look_alike` the one that it compares with what a query looks like. `kept` are properties that actions set:
    no run has them, and a publication leaves them as they are.
    """

    label: str
    meaning: str
    key: Property
    properties: tuple[Property, ...]
    name: str
    kind: str | None = None
    degree: str | None = None
    search: tuple[str, ...] = ()
    look_alike: str | None = None
    kept: tuple[Property, ...] = ()

    @property
    def columns(self) -> tuple[Property, ...]:
        """The key, then all other properties."""
        return (self.key, *self.properties)

    @property
    def arrow(self) -> pa.Schema:
        """The schema of a record batch of such nodes."""
        return pa.schema([pa.field(column.name, column.type.arrow) for column in self.columns])


@dataclass(frozen=True)
class RelationshipType:
    """One kind of relationship from a `source` label to a `target` label.

    `kind` is the identifier kind whose links it holds, if any. `degree` names the property of the target that
    counts the relationships of this type which point at it.
    """

    name: str
    meaning: str
    source: str
    target: str
    degree: str
    properties: tuple[Property, ...] = ()
    kind: str | None = None

    @property
    def evidence(self) -> bool:
        """Whether two organizations that share a target of it are connected by that."""
        return self.kind is not None

    @property
    def arrow(self) -> pa.Schema:
        """The schema of a record batch of such relationships: key of source and target, properties."""
        ends = (("source", NODES[self.source].key), ("target", NODES[self.target].key))
        fields = [pa.field(name, key.type.arrow) for name, key in ends]
        return pa.schema([*fields, *(pa.field(column.name, column.type.arrow) for column in self.properties)])


_SKELETON = Property("skeleton", PropertyType.TEXT, "What its canonical form looks like to a person.")


def _identifier_properties(*, looks: bool) -> tuple[Property, ...]:
    return (
        Property("canonical", PropertyType.TEXT, "One spelling for all ways to write it; null for secrets."),
        Property(
            "display", PropertyType.TEXT, "What people see: masked for secrets, hidden characters escaped."
        ),
        *((_SKELETON,) if looks else ()),
        Property(
            "hidden", PropertyType.BOOLEAN, "Some spelling of it held invisible or look-alike characters."
        ),
        Property("degree", PropertyType.INTEGER, "Number of organizations that use it."),
        Property("first_at", PropertyType.TIMESTAMP, "First use by any organization."),
        Property("last_at", PropertyType.TIMESTAMP, "Last use by any organization."),
    )


def _identifier(label: str, kind: str, meaning: str, *, looks: bool = False) -> NodeType:
    """An identifier's node type; `looks` for values that people choose and others read."""
    return NodeType(
        label=label,
        meaning=meaning,
        key=Property("key", PropertyType.KEY, "Keyed digest of kind and canonical value."),
        properties=_identifier_properties(looks=looks),
        name="display",
        kind=kind,
        degree="degree",
        search=("canonical",),
        look_alike=_SKELETON.name if looks else None,
    )


_ORGANIZATION = NodeType(
    label="Organization",
    meaning="A customer of the platform: what rings are made of.",
    key=Property("key", PropertyType.KEY, "Keyed digest of `org_id`."),
    properties=(
        Property("org_id", PropertyType.TEXT, "The platform's own id, exactly as given."),
        Property(
            "created_at", PropertyType.TIMESTAMP, "When it was created; null if before the facts begin."
        ),
        Property("first_at", PropertyType.TIMESTAMP, "Its first event."),
        Property("last_at", PropertyType.TIMESTAMP, "Its last event."),
        Property("country", PropertyType.TEXT, "Country it gave, ISO 3166."),
        Property("plan", PropertyType.TEXT, "Latest plan: free, trial, paid or enterprise."),
        Property("cost", PropertyType.REAL, "What serving it cost, in the home's currency."),
        Property("events", PropertyType.INTEGER, "Number of its events."),
        Property("referred", PropertyType.INTEGER, "Number of organizations that it brought."),
    ),
    name="org_id",
    kind="organization",
    search=("org_id",),
    kept=(
        Property("status", PropertyType.TEXT, "What was done about it: null, or the action in force."),
        Property("status_at", PropertyType.TIMESTAMP, "Since when."),
    ),
)

_CLUSTER = NodeType(
    label="Cluster",
    meaning="A tracked group of organizations that one operator seems to run.",
    key=Property("cluster_id", PropertyType.TEXT, "`cl_` and ten base32 characters; lasts across runs."),
    properties=(
        Property("name", PropertyType.TEXT, "A name for people."),
        Property("pattern", PropertyType.TEXT, "The abuse it resembles most."),
        Property("size", PropertyType.INTEGER, "Number of its organizations."),
        Property(
            "actionable", PropertyType.INTEGER, "How many of them may be acted on without a person looking."
        ),
        Property("risk", PropertyType.REAL, "0 to 100."),
        Property("points", PropertyType.REAL, "The score behind the risk, in log-odds points."),
        Property("founder", PropertyType.TEXT, "`org_id` of the organization it was born with."),
        Property("born_at", PropertyType.TIMESTAMP, "As-of of the run in which it was born."),
        Property("first_at", PropertyType.TIMESTAMP, "First event of any member."),
        Property("last_at", PropertyType.TIMESTAMP, "Last event of any member."),
        Property("new_24h", PropertyType.INTEGER, "Members created in the last 24 h before the run's as-of."),
        Property("cost", PropertyType.REAL, "What serving its members cost."),
        Property("cost_24h", PropertyType.REAL, "The same in the last 24 h before the run's as-of."),
        Property("credit_used", PropertyType.REAL, "Trial and promotion credit its members used."),
        Property("ties", PropertyType.INTEGER, "Number of ties between its members."),
        Property("top_evidence", PropertyType.TEXT, "At most three signal ids, joined by `;`."),
    ),
    name="name",
    degree="size",
    search=("cluster_id", "name"),
)

_RUN = NodeType(
    label="Run",
    meaning="The execution of the pipeline that this graph shows.",
    key=Property("run_id", PropertyType.TEXT, "`run_`, as-of and a short digest."),
    properties=(
        Property("as_of", PropertyType.TIMESTAMP, "The moment its figures count from."),
        Property("clusters", PropertyType.INTEGER, "Number of clusters it found."),
    ),
    name="run_id",
    degree="clusters",
    search=("run_id",),
)

_SIGNAL = NodeType(
    label="Signal",
    meaning="Something that a detector looks for in a cluster, and the two rows of every score: base and size.",
    key=Property("signal", PropertyType.TEXT, "The detector's id."),
    properties=(
        Property("title", PropertyType.TEXT, "Its name for people."),
        Property("group", PropertyType.TEXT, "The pattern that it speaks for, or `common`."),
        Property("clusters", PropertyType.INTEGER, "Number of clusters that it gives points."),
    ),
    name="title",
    degree="clusters",
    search=("signal",),
)

_IDENTIFIERS = (
    _identifier("User", "user", "A person's account."),
    _identifier("Ip", "ip", "An IP address."),
    _identifier("IpNetwork", "ip_network", "The /24 (IPv4) or /48 (IPv6) around an address."),
    _identifier("Device", "device", "A device id that a client reports."),
    _identifier("TlsFingerprint", "tls_fingerprint", "How a client opens TLS connections."),
    _identifier("UserAgent", "user_agent", "The name a client gives itself."),
    _identifier("ApiKey", "api_key", "An API key, known by its keyed hash and last four characters only."),
    _identifier("PaymentMethod", "payment_method", "A card or account, known by its keyed hash only."),
    _identifier("Email", "mailbox", "A mailbox: the address without its provider's aliases.", looks=True),
    _identifier("EmailDomain", "email_domain", "A mail domain that is no public provider.", looks=True),
    _identifier("Phone", "phone", "A phone number, known by its keyed hash and last four digits only."),
    _identifier("Name", "name", "The look of an organization's name.", looks=True),
    _identifier("Consumer", "consumer", "Who actually sends inference."),
    _identifier(
        "ReferralCode",
        "referral_code",
        "A code, or an organization, that brings others.",
        looks=True,
    ),
    _identifier("PromoCode", "promo_code", "A code of a promotion.", looks=True),
    _identifier("Payout", "payout", "Where rewards are paid to."),
)


def _link(name: str, target: str, meaning: str) -> RelationshipType:
    return RelationshipType(
        name=name,
        meaning=meaning,
        source="Organization",
        target=target,
        properties=(
            Property("first_at", PropertyType.TIMESTAMP, "First seen."),
            Property("last_at", PropertyType.TIMESTAMP, "Last seen."),
            Property("uses", PropertyType.INTEGER, "Number of times seen."),
            Property("weight", PropertyType.REAL, "Its strongest tie through this, 1 at most; null: none."),
            Property(
                "evidence_class",
                PropertyType.TEXT,
                "What it took to make the link: `unilateral`, `mutual` or `verified`; null: not told.",
            ),
        ),
        degree="degree",
        kind=next(node.kind for node in _IDENTIFIERS if node.label == target),
    )


_RELATIONSHIPS = (
    _link("HAS_USER", "User", "The user belongs to the organization."),
    _link("USED_IP", "Ip", "The organization acted from the address."),
    _link("USED_IP_NETWORK", "IpNetwork", "The organization acted from an address in the network."),
    _link("USED_DEVICE", "Device", "The organization acted from the device."),
    _link("USED_TLS_FINGERPRINT", "TlsFingerprint", "A client of the organization opens TLS that way."),
    _link("USED_USER_AGENT", "UserAgent", "A client of the organization gives itself that name."),
    _link("USED_API_KEY", "ApiKey", "The organization created or used the key."),
    _link("USED_PAYMENT_METHOD", "PaymentMethod", "The organization added it or paid with it."),
    _link("USED_EMAIL", "Email", "The organization or one of its users gave the mailbox."),
    _link("USED_EMAIL_DOMAIN", "EmailDomain", "A mailbox of the organization is at the domain."),
    _link("USED_PHONE", "Phone", "The organization gave the number."),
    _link("HAS_NAME", "Name", "The organization's name looks like that."),
    _link("SERVED_CONSUMER", "Consumer", "The consumer sent inference as the organization."),
    _link("USED_REFERRAL_CODE", "ReferralCode", "The organization owns or redeemed the code."),
    _link("USED_PROMO_CODE", "PromoCode", "The organization redeemed the code."),
    _link("USED_PAYOUT", "Payout", "A reward of the organization is paid to it."),
    RelationshipType(
        name="MEMBER_OF",
        meaning="The organization belongs to the cluster.",
        source="Organization",
        target="Cluster",
        degree="size",
        properties=(
            Property("member_risk", PropertyType.REAL, "0 to 100: how sure this one membership is."),
            Property("actionable", PropertyType.BOOLEAN, "It may be acted on without a person looking."),
            Property("spared_reason", PropertyType.TEXT, "Why it may not; null where it may."),
        ),
    ),
    RelationshipType(
        name="SHOWS",
        meaning="The signal gives the cluster points: the evidence behind its risk.",
        source="Cluster",
        target="Signal",
        degree="clusters",
        properties=(
            Property("points", PropertyType.REAL, "Log-odds points; those of a cluster add up to its total."),
            Property(
                "value", PropertyType.REAL, "How strongly its members show it, 0 to 1; for size, members."
            ),
            Property(
                "baseline", PropertyType.REAL, "What is usual in the population; null where nothing is."
            ),
            Property("affected", PropertyType.INTEGER, "Members that show it."),
            Property("eligible", PropertyType.INTEGER, "Members that it can judge."),
            Property("fact", PropertyType.TEXT, "The same in plain words."),
        ),
    ),
    RelationshipType(
        name="REFERRED_BY",
        meaning="The organization was brought by the other one, named or by its referral code.",
        source="Organization",
        target="Organization",
        degree="referred",
        properties=(
            Property(
                "code", PropertyType.KEY, "Key of the code that it redeemed; null where none was given."
            ),
            Property("first_at", PropertyType.TIMESTAMP, "When it first redeemed."),
        ),
    ),
    RelationshipType(
        name="IN_RUN", meaning="The run found the cluster.", source="Cluster", target="Run", degree="clusters"
    ),
)

NODES: Mapping[str, NodeType] = MappingProxyType(
    {node.label: node for node in (_ORGANIZATION, *_IDENTIFIERS, _CLUSTER, _SIGNAL, _RUN)}
)
RELATIONSHIPS: Mapping[str, RelationshipType] = MappingProxyType({rel.name: rel for rel in _RELATIONSHIPS})
NODE_OF_KIND: Mapping[str, NodeType] = MappingProxyType(
    {node.kind: node for node in NODES.values() if node.kind is not None}
)
LINK_OF_KIND: Mapping[str, RelationshipType] = MappingProxyType(
    {rel.kind: rel for rel in _RELATIONSHIPS if rel.kind is not None}
)
DEGREE_OF: Mapping[str, str] = MappingProxyType({rel.target: rel.degree for rel in _RELATIONSHIPS})
"""By label: the property that counts the relationships which point at a node of it."""
EVIDENCE: tuple[str, ...] = tuple(sorted(rel.name for rel in _RELATIONSHIPS if rel.evidence))


def schema_markdown() -> str:
    """The page of the docs that describes the graph, derived from the declarations."""
    parts = [
        "# The graph's schema\n",
        f"Version {SCHEMA_VERSION}. Written from `graph/schema.py`; do not edit.\n",
        "## Nodes\n",
        *(_node_markdown(node) for node in NODES.values()),
        "## Relationships\n",
        *(_relationship_markdown(rel) for rel in RELATIONSHIPS.values()),
    ]
    return "\n".join(parts)


def _node_markdown(node: NodeType) -> str:
    kind = f" Identifier kind `{node.kind}`." if node.kind else ""
    kept = f"\nSet by actions, kept by publications:\n\n{_table(node.kept)}" if node.kept else ""
    return f"### {node.label}\n\n{node.meaning}{kind}\n\n{_table(node.columns, node.key)}{kept}"


def _relationship_markdown(rel: RelationshipType) -> str:
    head = f"### {rel.name}\n\n`(:{rel.source})-[:{rel.name}]->(:{rel.target})` {rel.meaning}\n"
    return f"{head}\n{_table(rel.properties)}" if rel.properties else head


def _table(columns: tuple[Property, ...], key: Property | None = None) -> str:
    rows = [
        f"| `{column.name}`{' (key)' if column is key else ''} | {column.type} | {column.meaning} |"
        for column in columns
    ]
    return "\n".join(["| property | type | meaning |", "|---|---|---|", *rows, ""])
