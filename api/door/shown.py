"""What somebody shows at the door, as keys: spelled and hashed exactly as ingest does."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from graph.email_rules import parse_email
from graph.identifiers import Keyer, Kind

STRONG: Mapping[str, tuple[Kind, str]] = {
    "payment_method": (Kind.PAYMENT_METHOD, "payment"),
    "email": (Kind.MAILBOX, "contact"),
    "phone": (Kind.PHONE, "phone"),
    "device_id": (Kind.DEVICE, "client"),
    "user_id": (Kind.USER, "person"),
}
"""Fields whose values are one person's or one purse's: the kind of their key, and the family of evidence."""


@dataclass(frozen=True)
class Shown:
    """Fields as in the event record; values may be anything that a stranger types."""

    keyer: Keyer
    fields: Mapping[str, str]

    @cached_property
    def strong(self) -> dict[bytes, str]:
        """Key to family of evidence of what is strong."""
        found = {}
        for name, (kind, family) in STRONG.items():
            if name in self.fields and (key := self.keyer.identify(kind, self.fields[name])) is not None:
                found[key] = family
        return found

    @cached_property
    def organization(self) -> bytes | None:
        """The key of the organization, if it is named."""
        return (
            self.keyer.identify(Kind.ORGANIZATION, self.fields["org_id"]) if "org_id" in self.fields else None
        )

    @cached_property
    def domain(self) -> bytes | None:
        """The key of the mail domain; None of a public provider."""
        domain = parse_email(self.fields["email"]).domain if "email" in self.fields else None
        return None if domain is None else self.keyer.identify(Kind.EMAIL_DOMAIN, domain)

    @cached_property
    def address(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The address it comes from."""
        try:
            return ipaddress.ip_address(self.fields.get("ip", "").strip())
        except ValueError:
            return None

    @cached_property
    def digits(self) -> str:
        """The digits of the phone number, with the country's code first."""
        phone = self.fields.get("phone", "")
        return "".join(one for one in phone if one.isdecimal()) if phone.strip().startswith("+") else ""

    def key(self, field: str, kind: Kind) -> bytes | None:
        """The key of one field."""
        return self.keyer.identify(kind, self.fields[field]) if field in self.fields else None
