"""What people see of identifiers: enough to tell two apart, unless they may see, and say why they look."""

from __future__ import annotations

from dataclasses import dataclass

from actions.model import Principal

DOTS = "•••"
_SHOWN_AS_IS = frozenset({"Organization", "Cluster", "Run", "Signal", "ApiKey", "PaymentMethod", "Phone"})
"""The last three are known by their last four only, whoever asks."""
_SHORT = 6


@dataclass(frozen=True)
class Mask:
    """How one principal sees values. On one's own machine they are in clear: whoever asks has the files."""

    clear: bool

    @classmethod
    def of(cls, principal: Principal) -> Mask:
        """The mask of a principal: on the network everybody's is on, and a reveal is a request of its own."""
        return cls(clear=principal.kind == "local")

    def text(self, label: str, value: str | None) -> str | None:
        """A node's display as this principal sees it."""
        if value is None or self.clear or label in _SHOWN_AS_IS:
            return value
        return masked(label, value)

    def cell(self, column: str, value: object) -> object:
        """A value of a query's row: text is masked unless its column holds no identifier."""
        if self.clear or not isinstance(value, str) or column in PLAIN_COLUMNS:
            return value
        return masked("", value)


PLAIN_COLUMNS = frozenset(
    {"org_id", "org_ids", "organizations", "cluster_id", "riskiest_clusters", "fact", "plan", "spared_reason"}
    | {"status", "type", "key", "keys", "api_key", "payment_method"}
)
"""Columns of named queries that hold no identifier of a person."""


def masked(label: str, value: str) -> str:
    """A value with its middle hidden: `b•••@example.com`, `198.51.•••`, `my•••21`."""
    if "@" in value:
        local, _, domain = value.rpartition("@")
        return f"{local[:1]}{DOTS}@{domain}"
    if label in ("Ip", "IpNetwork"):
        separator = ":" if ":" in value else "."
        return separator.join([*value.split(separator)[:2], DOTS])
    if label == "EmailDomain":
        return f"{value[:1]}{DOTS}.{value.rpartition('.')[2]}"
    if len(value) <= _SHORT:
        return f"{value[:1]}{DOTS}"
    return f"{value[:2]}{DOTS}{value[-2:]}"
