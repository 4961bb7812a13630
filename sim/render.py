"""Spells identifier codes as the text that a log would contain. Only distinct codes are spelt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sim.identifiers import DOMAIN_BITS, DOTS, HIDDEN, OWN_DOMAIN, PERSON_BITS, TAGS, V6, VARIANT_SHIFT
from sim.mix import Bytes, Int64, hex_digits, mix64, permute
from sim.vocabulary import (
    DOMAIN_ENDINGS,
    EVENT_TYPES,
    FIRST_NAMES,
    INVISIBLE,
    LAST_NAMES,
    LOOK_ALIKES,
    MAILBOX_WORDS,
    NAME_TEMPLATES,
    PROVIDERS,
    WORDS,
)

Renderer = Callable[[Int64, int], pa.Array]
"""From distinct codes (all >= 0) and the salt of their column to text, one string each."""

_V6_BLOCKS: Final = ("2a02", "2a01", "2600", "2601", "2607", "2804", "2401", "2003")


def fixed_width(rows: Bytes) -> pa.Array:
    """Return rows of equally many ASCII bytes as strings, without visiting them one by one."""
    count, width = rows.shape
    offsets = np.arange(0, (count + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(rows)))


def _literal(text: str, count: int) -> Bytes:
    return np.broadcast_to(np.frombuffer(text.encode(), dtype=np.uint8), (count, len(text)))


def prefixed_hex(prefix: str, digits: int) -> Renderer:
    """Return a renderer of opaque tokens: a prefix and 16 or more hex digits of the mixed code."""

    def render(codes: Int64, by: int) -> pa.Array:
        blocks = [hex_digits(mix64(codes, by + 7919 * block)) for block in range(-(-digits // 16))]
        body = np.concatenate(blocks, axis=1)[:, :digits]
        return fixed_width(np.concatenate([_literal(prefix, len(codes)), body], axis=1))

    return render


def uuids(codes: Int64, by: int) -> pa.Array:
    """Spell devices as random UUIDs (version 4)."""
    body = np.concatenate([hex_digits(mix64(codes, by)), hex_digits(mix64(codes, by + 7919))], axis=1)
    body[:, 12] = ord("4")
    body[:, 16] = np.frombuffer(b"89ab", dtype=np.uint8)[body[:, 16] % 4]
    dash = _literal("-", len(codes))
    parts = [body[:, :8], dash, body[:, 8:12], dash, body[:, 12:16], dash, body[:, 16:20], dash, body[:, 20:]]
    return fixed_width(np.concatenate(parts, axis=1))


def addresses(codes: Int64, by: int) -> pa.Array:
    """Spell addresses: dotted IPv4, or full IPv6 whose /64 the code names and whose host part is random."""
    modern = codes >= V6
    old = codes[~modern]
    octets = [pa.array((old >> shift) & 255).cast(pa.string()) for shift in (24, 16, 8, 0)]
    spelt = pa.concat_arrays([pc.binary_join_element_wise(*octets, "."), _v6(codes[modern], by)])
    order = np.concatenate([np.flatnonzero(~modern), np.flatnonzero(modern)])
    return spelt.take(pa.array(np.argsort(order)))


def _v6(codes: Int64, by: int) -> pa.Array:
    prefix = (codes >> 16) & 0xFFFFFFFF
    blocks = np.array([list(block.encode()) for block in _V6_BLOCKS], dtype=np.uint8)[prefix & 7]
    middle = hex_digits((prefix << 32).astype(np.uint64))
    host = hex_digits(mix64(codes, by))
    colon, subnet = _literal(":", len(codes)), _literal("0001", len(codes))
    hextets = [blocks, middle[:, :4], middle[:, 4:8], subnet, *(host[:, at : at + 4] for at in (0, 4, 8, 12))]
    return fixed_width(np.concatenate([part for hextet in hextets for part in (hextet, colon)][:-1], axis=1))


def phones(codes: Int64, by: int) -> pa.Array:  # noqa: ARG001
    """Spell phone numbers in E.164."""
    return pc.binary_join_element_wise("+", pa.array(codes).cast(pa.string()), "")


def domain_text(domain: int) -> str:
    """Spell a domain code: two words, a hyphen between them or not, perhaps a number, and an ending."""
    first, second = WORDS[domain & 127], WORDS[(domain >> 7) & 127]
    number = domain >> 17
    tail = number >> 1
    return f"{first}{'-' if number & 1 else ''}{second}{tail or ''}{DOMAIN_ENDINGS[(domain >> 14) & 7]}"


def _local_part(person: int, own: bool, style: int) -> str:
    first, last, number = FIRST_NAMES[person & 127], LAST_NAMES[(person >> 7) & 127], person >> 14
    if own and not number:
        return (f"{first}.{last}", first, f"{first}{last}", MAILBOX_WORDS[(person >> 3) & 7])[style]
    return (
        f"{first}.{last}{number}",
        f"{first}{last}{number}",
        f"{last}.{first}{number}",
        f"{first}{number}{last}",
    )[style]


def _spelt(local: str, variant: int) -> str:
    if variant >= HIDDEN:
        at = 1 + variant % (len(local) - 1)
        return f"{local[:at]}{INVISIBLE[variant % 4]}{local[at:]}"
    if variant >= DOTS:
        bare = local.replace(".", "")
        at = 1 + (variant - DOTS) % max(len(bare) - 2, 1)
        return f"{bare[:at]}.{bare[at:]}"
    return f"{local}+{WORDS[variant]}" if variant >= TAGS else local


def mailboxes(codes: Int64, by: int) -> pa.Array:
    """Spell e-mail addresses."""
    persons = codes & ((1 << PERSON_BITS) - 1)
    styles = (mix64(persons, by) & np.uint64(3)).tolist()
    domains = (codes >> PERSON_BITS) & ((1 << DOMAIN_BITS) - 1)
    owned = (codes & OWN_DOMAIN) != 0
    rows = zip(
        persons.tolist(),
        domains.tolist(),
        owned.tolist(),
        (codes >> VARIANT_SHIFT).tolist(),
        styles,
        strict=True,
    )
    return pa.array(
        [
            f"{_spelt(_local_part(person, own, style), variant)}@{domain_text(domain) if own else PROVIDERS[domain]}"
            for person, domain, own, variant, style in rows
        ],
        pa.string(),
    )


def _obfuscated(text: str, hidden: int) -> str:
    if hidden >= 5:
        for plain, twin in LOOK_ALIKES.items():
            if plain in text[hidden - 5 :]:
                return text[: hidden - 5] + text[hidden - 5 :].replace(plain, twin, 1)
    at = 1 + hidden % (len(text) - 1)
    return f"{text[:at]}{INVISIBLE[hidden % 4]}{text[at:]}"


def names(codes: Int64, by: int) -> pa.Array:  # noqa: ARG001
    """Spell organization names (see `sim.identifiers.name_codes`)."""
    spelt = []
    for code in codes.tolist():
        first, last = FIRST_NAMES[code & 127], LAST_NAMES[(code >> 7) & 127]
        word, other = WORDS[(code >> 14) & 127], WORDS[(code >> 21) & 127]
        text = NAME_TEMPLATES[(code >> 45) & 31].format(
            First=first.title(),
            Last=last.title(),
            Word=word.title(),
            Other=other.title(),
            first=first,
            last=last,
            word=word,
            other=other,
            n=(code >> 28) & 0x1FFFF,
        )
        hidden = code >> 50
        spelt.append(_obfuscated(text, hidden) if hidden else text)
    return pa.array(spelt, pa.string())


def event_types(codes: Int64, by: int) -> pa.Array:  # noqa: ARG001
    """Spell event types; codes from 64 on hide an invisible character in the name."""
    spelt = []
    for code in codes.tolist():
        name, hidden = EVENT_TYPES[code & 63], code >> 6
        spelt.append(f"{name[:hidden]}{INVISIBLE[hidden % 4]}{name[hidden:]}" if hidden else name)
    return pa.array(spelt, pa.string())


def short_codes(prefixes: tuple[str, ...]) -> Renderer:
    """Return a renderer of codes that people pass on: a prefix and six capitals and digits."""
    letters = np.frombuffer(b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789", dtype=np.uint8)

    def render(codes: Int64, by: int) -> pa.Array:
        spread = permute(codes & ((1 << 30) - 1), 30, by)
        body = np.stack([letters[(spread >> shift) & 31] for shift in range(0, 30, 5)], axis=1)
        tails = fixed_width(body)
        heads = pa.array([prefixes[index] for index in (codes >> 30).tolist()], pa.string())
        return pc.binary_join_element_wise(heads, tails, "")

    return render


def fingerprints(codes: Int64, by: int) -> pa.Array:
    """Spell TLS fingerprints in the shape of JA4: protocol, counts, and two truncated digests."""
    one, two = hex_digits(mix64(codes, by)), hex_digits(mix64(codes, by + 7919))
    heads = pa.array(
        [f"t13d{12 + code % 8}{10 + code % 7}h{1 + code % 2}_" for code in codes.tolist()], pa.string()
    )
    bodies = fixed_width(np.concatenate([one[:, :12], _literal("_", len(codes)), two[:, :12]], axis=1))
    return pc.binary_join_element_wise(heads, bodies, "")


def listed(values: tuple[str, ...]) -> Renderer:
    """Return a renderer of codes that index a fixed list."""

    def render(codes: Int64, by: int) -> pa.Array:  # noqa: ARG001
        return pa.array(values, pa.string()).take(pa.array(codes))

    return render


def plain_numbers(codes: Int64, by: int) -> pa.Array:  # noqa: ARG001
    """Spell numbers as decimal text (card BINs)."""
    return pa.array(codes).cast(pa.string())
