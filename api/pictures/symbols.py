"""What stands for what: a shape and a hue for each type of node, a colour for each band of risk."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from api.pictures.svg import PAPER, Drawing, points

RISK_BANDS = ("0-19", "20-39", "40-59", "60-79", "80+")
RISK_COLOURS = ("#C3CAD4", "#EAB54D", "#E07B1F", "#C93A2B", "#7D1128")
ON_RISK = ("#131A26", "#131A26", "#131A26", "#FFFFFF", "#FFFFFF")
"""What is legible on each colour of risk."""
BAND = 20

Corners = Sequence[tuple[float, float]]


def band(risk: float) -> int:
    """The number of the band that a risk of 0 to 100 lies in."""
    return max(0, min(int(risk // BAND), len(RISK_BANDS) - 1))


@dataclass(frozen=True)
class Symbol:
    """How a type is drawn and named: `corners` within a circle of radius 1, `words` for one and for several."""

    corners: Corners
    colour: str
    words: tuple[str, str]
    mark: Callable[[Drawing, float, float, float], None] | None = None


def _regular(sides: int, turn: float = -90, reach: float = 1.0) -> Corners:
    angles = [math.radians(turn + 360 * side / sides) for side in range(sides)]
    return [(reach * math.cos(angle), reach * math.sin(angle)) for angle in angles]


def _star(rays: int, inner: float) -> Corners:
    angles = [math.radians(-90 + 180 * corner / rays) for corner in range(2 * rays)]
    reaches = [1.0 if corner % 2 == 0 else inner for corner in range(2 * rays)]
    return [
        (reach * math.cos(angle), reach * math.sin(angle))
        for reach, angle in zip(reaches, angles, strict=True)
    ]


def _box(half_width: float, half_height: float, slant: float = 0) -> Corners:
    w, h = half_width, half_height
    return [(-w + slant, -h), (w + slant, -h), (w - slant, h), (-w - slant, h)]


_ARM = 0.34
_PLUS = [
    (-_ARM, -0.92), (_ARM, -0.92), (_ARM, -_ARM), (0.92, -_ARM), (0.92, _ARM), (_ARM, _ARM),
    (_ARM, 0.92), (-_ARM, 0.92), (-_ARM, _ARM), (-0.92, _ARM), (-0.92, -_ARM), (-_ARM, -_ARM),
]  # fmt: skip
_DOME = [(-0.92, 0.55), *[(0.92 * -math.cos(math.pi * i / 12), 0.55 - 1.2 * math.sin(math.pi * i / 12))
         for i in range(13)], (0.92, 0.55)]  # fmt: skip


def _hollow(drawing: Drawing, x: float, y: float, r: float) -> None:
    drawing.add("rect", x=x - r * 0.36, y=y - r * 0.36, width=r * 0.72, height=r * 0.72, fill=PAPER)


def _flap(drawing: Drawing, x: float, y: float, r: float) -> None:
    corners = points([(x - r * 0.9, y - r * 0.55), (x, y + r * 0.15), (x + r * 0.9, y - r * 0.55)])
    drawing.add("polyline", points=corners, fill="none", stroke=PAPER, stroke_width=r * 0.18)


_NET, _TOOL, _MONEY, _CONTACT, _CODE, _SELF = (
    "#295D4E", "#69AF73", "#7A44A4", "#3F7486", "#A84B82", "#59636F",
)  # fmt: skip
SYMBOLS: Mapping[str, Symbol] = MappingProxyType(
    {
        "Ip": Symbol(_box(0.8, 0.8), _NET, ("IP address", "IP addresses")),
        "IpNetwork": Symbol(_box(0.84, 0.84), _NET, ("IP network", "IP networks"), _hollow),
        "Device": Symbol(_regular(4), _TOOL, ("device", "devices")),
        "TlsFingerprint": Symbol(_regular(3, 90), _TOOL, ("TLS fingerprint", "TLS fingerprints")),
        "UserAgent": Symbol(
            [(-0.5, -0.65), (0.5, -0.65), (0.92, 0.65), (-0.92, 0.65)], _TOOL, ("user agent", "user agents")
        ),
        "ApiKey": Symbol(_regular(3), "#CB86DE", ("API key", "API keys")),
        "PaymentMethod": Symbol(_regular(6, 0), _MONEY, ("payment method", "payment methods")),
        "Payout": Symbol(_regular(8, 22.5, 0.95), _MONEY, ("payout account", "payout accounts"), _hollow),
        "Email": Symbol(_box(0.95, 0.64), _CONTACT, ("mailbox", "mailboxes"), _flap),
        "EmailDomain": Symbol(_PLUS, _CONTACT, ("mail domain", "mail domains")),
        "Phone": Symbol(_box(0.5, 0.92), _CONTACT, ("phone number", "phone numbers")),
        "ReferralCode": Symbol(_star(5, 0.45), _CODE, ("referral code", "referral codes")),
        "PromoCode": Symbol(_star(4, 0.42), _CODE, ("promotion code", "promotion codes")),
        "Name": Symbol(_box(0.66, 0.56, 0.3), _SELF, ("name pattern", "name patterns")),
        "Consumer": Symbol(_regular(5, 90, 0.98), _SELF, ("consumer", "consumers")),
        "User": Symbol(_DOME, _SELF, ("user", "users")),
    }
)
ORGANIZATION_WORDS = ("organization", "organizations")


def amount(count: int, words: tuple[str, str]) -> str:
    """`1 device`, `2,000 devices`."""
    return f"{count:,} {words[count != 1]}"


def draw_symbol(drawing: Drawing, label: str, x: float, y: float, r: float) -> None:
    """The shape of an identifier's type around a point, within the radius."""
    symbol = SYMBOLS[label]
    corners = points([(x + r * across, y + r * down) for across, down in symbol.corners])
    drawing.add("polygon", points=corners, fill=symbol.colour)
    if symbol.mark is not None:
        symbol.mark(drawing, x, y, r)


def draw_organization(drawing: Drawing, x: float, y: float, r: float, risk: float) -> None:
    """A circle in the colour of its risk; a dark edge keeps the pale band visible on paper."""
    colour = RISK_COLOURS[band(risk)]
    drawing.add("circle", cx=x, cy=y, r=r, fill=colour, stroke="#4A2030", stroke_width=max(r * 0.1, 0.25))
