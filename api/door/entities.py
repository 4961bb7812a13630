"""Restrictions on entities, compiled so that what somebody shows is matched in microseconds."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from api.door.shown import Shown
from graph.identifiers import Keyer, Kind

_KEYED = {
    "domain": Kind.EMAIL_DOMAIN,
    "tls_fingerprint": Kind.TLS_FINGERPRINT,
    "device": Kind.DEVICE,
}
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Actions = frozenset[str]


@dataclass(frozen=True)
class Entities:
    """What applies to which entity."""

    keyed: Mapping[bytes, Actions] = field(default_factory=dict)
    networks: tuple[tuple[Network, Actions], ...] = ()
    prefixes: Mapping[str, Actions] = field(default_factory=dict)
    """Phone ranges, by the digits that they begin with."""
    bins: Mapping[str, Actions] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, object]], keyer: Keyer) -> Entities:
        """From (kind, name, restrictions) of the ledger. What cannot be read as what it says matches nothing."""
        keyed: dict[bytes, Actions] = {}
        networks: list[tuple[Network, Actions]] = []
        prefixes: dict[str, Actions] = {}
        bins: dict[str, Actions] = {}
        for row in rows:
            kind, name = str(row["kind"]), str(row["name"])
            actions = frozenset(row["restrictions"])  # type: ignore[call-overload]
            if kind in _KEYED:
                key = keyer.identify(_KEYED[kind], name)
                if key is not None:
                    keyed[key] = actions
            elif kind == "network":
                networks += [(each, actions) for each in _network(name)]
            elif kind == "phone_range":
                prefixes["".join(one for one in name if one.isdecimal())] = actions
            elif kind == "bin":
                bins[name.strip()] = actions
        return cls(keyed, tuple(networks), prefixes, bins)

    def about(self, shown: Shown) -> Actions:
        """Everything that applies to any part of what is shown."""
        keys = (
            shown.domain,
            shown.key("tls_fingerprint", Kind.TLS_FINGERPRINT),
            shown.key("device_id", Kind.DEVICE),
        )
        found = [self.keyed[key] for key in keys if key is not None and key in self.keyed]
        if shown.address is not None:
            found += [actions for network, actions in self.networks if shown.address in network]
        digits = shown.digits
        found += [
            self.prefixes[digits[:length]]
            for length in range(1, len(digits) + 1)
            if digits[:length] in self.prefixes
        ]
        card = shown.fields.get("payment_bin", "").strip()
        found += [self.bins[card[:length]] for length in (6, 8) if card[:length] in self.bins]
        return frozenset().union(*found)


def _network(name: str) -> list[Network]:
    try:
        return [ipaddress.ip_network(name.strip(), strict=False)]
    except ValueError:
        return []
