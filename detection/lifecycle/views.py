"""The views that a detector of a home may read: what each holds, column by column.

This is the contract, and the page that explains it is written from here. What is not listed is not handed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

DECISIONS = (
    "organization_labelled",
    "organization_protected",
    "organizations_not_linked",
    "entity_labelled",
)
"""Types of event that say what people think of an organization. A detector must not learn from the answer."""


@dataclass(frozen=True)
class Column:
    """One column: its name, its SQL type and what it holds, with the unit."""

    name: str
    type: str
    meaning: str


@dataclass(frozen=True)
class View:
    """One view: what a row is, its columns, those by which rows are sorted, and which rows are handed over."""

    name: str
    row: str
    columns: tuple[Column, ...]
    order: tuple[str, ...]
    where: str = "TRUE"

    def select(self) -> str:
        """The rows in a fixed order, with the numbers that groups have outside this package's own tables."""
        columns = ", ".join(
            "n.number AS cluster" if column.name == "cluster" else f"v.{column.name}"
            for column in self.columns
        )
        order = ", ".join("n.number" if name == "cluster" else f"v.{name}" for name in self.order)
        joined = " INNER JOIN group_numbers AS n ON v.cluster = n.cluster" if self._grouped else ""
        return f"SELECT {columns} FROM {self.name} AS v{joined} WHERE {self.where} ORDER BY {order}"

    @property
    def _grouped(self) -> bool:
        return any(column.name == "cluster" for column in self.columns)


_CLUSTER = Column(
    "cluster",
    "BIGINT",
    "Number of the group. Numbers mean nothing and change from run to run. Some groups are random organizations:"
    " what a detector says of them is its baseline, and nothing tells them apart",
)
_ORG = Column("org", "INTEGER", "Number of the organization in this run")
_KEY = Column("key", "UUID", "Keyed digest of the identifier: equal for equal identifiers, and nothing else")
_FIRST = Column("first_at", "BIGINT", "First time, microseconds since 1970 in UTC")
_LAST = Column("last_at", "BIGINT", "Last time, microseconds since 1970 in UTC")

_VIEWS = (
    View(
        "members",
        "one member of one group",
        (_CLUSTER, _ORG),
        ("cluster", "org"),
    ),
    View(
        "member_links",
        "one identifier that one member of a group used",
        (
            _CLUSTER,
            _ORG,
            Column("kind", "VARCHAR", "Kind of identifier, see below"),
            _KEY,
            _FIRST,
            _LAST,
            Column("uses", "BIGINT", "Events in which it was used"),
            Column("sharers", "BIGINT", "Members of this group that used it, this one counted"),
            Column(
                "organizations",
                "BIGINT",
                "Organizations of the whole population that used it, this one counted; 1 also for kinds that are"
                " followed in groups only (`tls_fingerprint`)",
            ),
        ),
        ("cluster", "org", "kind", "key"),
    ),
    View(
        "member_activity",
        "one type of event of one member of a group, all its events added up",
        (
            _CLUSTER,
            _ORG,
            Column("event_type", "VARCHAR", "Type of event, see below"),
            Column("events", "BIGINT", "How many"),
            _FIRST,
            _LAST,
            Column("tokens", "BIGINT", "Tokens used; null where no event says"),
            Column("probes", "BIGINT", "Events with at most 16 tokens"),
            Column("cost", "DOUBLE", "Cost of serving, in the home's currency; null where no event says"),
            Column("credit", "DOUBLE", "Credit granted, in the home's currency"),
            Column("credit_used", "DOUBLE", "Credit used, in the home's currency"),
            Column("reward", "DOUBLE", "Rewards paid, in the home's currency"),
            Column("amount", "DOUBLE", "Amounts invoiced or paid, in the home's currency"),
            Column(
                "hidden", "INTEGER", "1 where an identifier held invisible or look-alike characters, else 0"
            ),
        ),
        ("cluster", "org", "event_type"),
        where=f"v.event_type NOT IN ({', '.join(repr(name) for name in DECISIONS)})",
    ),
    View(
        "member_addresses",
        "one address, or one consumer where the platform names it, from which one member of a group acted or was used",
        (
            _CLUSTER,
            _ORG,
            Column("kind", "VARCHAR", "`ip` or `consumer`"),
            _KEY,
            Column("calls", "BIGINT", "Calls of models from there"),
            Column("probes", "BIGINT", "Calls with at most 16 tokens"),
            Column("acts", "BIGINT", "Events that are no calls: what people and the client do"),
            Column(
                "first_call_at", "BIGINT", "First call, microseconds since 1970; null where there is none"
            ),
            _FIRST,
            _LAST,
            Column("type", "VARCHAR", "Kind of network (`residential`, `hosting`, …), null where unknown"),
            Column("place", "BOOLEAN", "It is shared by strangers: an office, a carrier, a gateway"),
            Column("callers", "BIGINT", "Members of this group that called from there, this one counted"),
            Column("probed", "BIGINT", "Those of them with calls of at most 16 tokens"),
        ),
        ("cluster", "org", "kind", "key"),
    ),
    View(
        "member_clients",
        "one client software with which one member of a group called models",
        (
            _CLUSTER,
            _ORG,
            Column("key", "UUID", "Keyed digest of the user agent; null where it sends none"),
            Column("calls", "BIGINT", "Calls with it"),
            Column("reports", "BIGINT", "Times at which that software reported of itself for this member"),
            _FIRST,
            Column("organizations", "BIGINT", "Organizations of the population that call with it"),
            Column("reporting", "BIGINT", "Those of them for which it ever reported"),
        ),
        ("cluster", "org", "key"),
    ),
    View(
        "member_hours",
        "one hour in which one member of a group used models or credit",
        (
            _CLUSTER,
            _ORG,
            Column("hour", "BIGINT", "Hours since 1970 in UTC"),
            Column("cost", "DOUBLE", "Cost of its calls in that hour, in the home's currency"),
            Column("credit", "DOUBLE", "Credit granted in that hour"),
            Column("credit_used", "DOUBLE", "Credit used in that hour"),
        ),
        ("cluster", "org", "hour"),
    ),
    View(
        "member_moments",
        "one time at which something happened to the keys or the standing of one member of a group",
        (
            _CLUSTER,
            _ORG,
            Column("moment", "VARCHAR", "`key_created`, `key_revoked`, `restricted` or `restored`"),
            Column("happened_at", "BIGINT", "When, microseconds since 1970 in UTC"),
        ),
        ("cluster", "org", "moment", "happened_at"),
    ),
    View(
        "referrals",
        "one organization that another one brought",
        (
            Column("org", "INTEGER", "Number of the organization that came"),
            Column("referrer", "INTEGER", "Number of the one that brought it"),
            Column("code", "UUID", "Keyed digest of the referral code, or null"),
            _FIRST,
        ),
        ("org", "referrer"),
        where="v.org IN (SELECT org FROM members)",
    ),
    View(
        "organizations",
        "one organization that is a member of some group",
        (
            _ORG,
            Column("org_id", "VARCHAR", "Its id as the platform writes it"),
            Column(
                "created_at",
                "BIGINT",
                "When it was created, microseconds since 1970; null where no event says",
            ),
            _FIRST,
            _LAST,
            Column("events", "BIGINT", "Events of all types"),
            Column("cost", "DOUBLE", "Cost of its inference, in the home's currency; 0 where no event says"),
            Column("credit_used", "DOUBLE", "Credit used, in the home's currency; 0 where no event says"),
            Column("country", "VARCHAR", "Country as the platform says it, or null"),
            Column("plan", "VARCHAR", "Plan as the platform says it, or null"),
        ),
        ("org",),
        where="v.org IN (SELECT org FROM members)",
    ),
)

VIEWS: Mapping[str, View] = MappingProxyType({view.name: view for view in _VIEWS})
"""By name."""

ANSWER = (
    Column("cluster", "BIGINT", "The group, as the views number it"),
    Column("org", "INTEGER", "The member. Each member at most once; one that cannot be judged has no row"),
    Column(
        "value",
        "DOUBLE",
        "From 0, as innocent as can be, to 1. From 0.5 on the member counts as affected. Null: not judged",
    ),
    Column("kind", "VARCHAR", "Kind of the identifier that it rests on most, or null"),
    Column("key", "UUID", "That identifier, or null"),
    Column("happened_at", "BIGINT", "When, microseconds since 1970, or null"),
    Column("count", "BIGINT", "How many: uses, sharers, events; whatever `fact` speaks of. Or null"),
)
"""What a detector returns."""


def markdown() -> str:
    """The views and the columns of an answer as they stand in docs/recipes/detectors.md."""
    parts = []
    for view in VIEWS.values():
        parts += [f"**`{view.name}`**: {view.row}.\n", *_table(view.columns), ""]
    return "\n".join(parts)


def answer_markdown() -> str:
    """The columns of an answer, likewise."""
    return "\n".join(_table(ANSWER))


def _table(columns: tuple[Column, ...]) -> list[str]:
    rows = [f"| `{column.name}` | {column.type} | {column.meaning} |" for column in columns]
    return ["| column | type | meaning |", "|---|---|---|", *rows]
