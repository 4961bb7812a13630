"""Makes identifier codes: integers from which `sim.render` spells addresses, phones, mailboxes, names and tokens.

Every code is distinct by construction (a counter sent through a bijection), so an identifier is shared by two
organizations only where the simulator means it to be. Negative codes are not identifiers: `NULL` is absent, and
``JUNK[column]`` are the worthless values that real logs contain.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sim.mix import Int64, permute, salt
from sim.vocabulary import COUNTRIES, NAME_TEMPLATES, PROVIDER_SHARES, WORDS

NULL: Final = -1
V6: Final = 1 << 61
PERSON_BITS: Final = 31
DOMAIN_BITS: Final = 23
OWN_DOMAIN: Final = 1 << 54
VARIANT_SHIFT: Final = 55
TAGS, DOTS, HIDDEN = 1, 81, 111
"""First e-mail variant of each sort: plus tags, moved dots, and invisible characters (up to 127)."""

_OCTETS: Final = {
    "residential": (
        *(2, 5, 24, 31, 37, 46, 58, 62, 67, 68, 71, 73, 76, 77, 78, 79),
        *(80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95),
    ),
    "mobile": (101, 106, 110, 112, 117, 122, 171, 174),
    "office": (128, 129, 130, 131, 132, 134, 136, 140),
    "datacenter": (3, 13, 18, 20, 34, 35, 40, 44, 51, 52, 54, 104, 138, 159, 167, 185),
}
_V6_SHARE: Final = 0.2


class Identifiers:
    """Counters of every kind of identifier under one seed."""

    def __init__(self, seed: int) -> None:
        """Start every counter at zero; `seed` salts the bijections."""
        self._seed = seed
        self._next: dict[str, int] = {}

    def serial(self, kind: str, count: int) -> Int64:
        """Return the next `count` numbers of a kind."""
        first = self._next.get(kind, 0)
        self._next[kind] = first + count
        return np.arange(first, first + count, dtype=np.int64)

    def addresses(self, kind: str, count: int, rng: np.random.Generator) -> Int64:
        """Return addresses of a network kind; a fifth of residential and mobile ones are IPv6."""
        octets = np.array(_OCTETS[kind], dtype=np.int64)
        bits = 24 + int(octets.size - 1).bit_length()
        spread = permute(self.serial(kind, count), bits, salt(self._seed, kind))
        codes: Int64 = (octets[spread >> 24] << 24) | (spread & 0xFFFFFF)
        if kind in {"residential", "mobile"}:
            modern = rng.random(count) < _V6_SHARE
            prefixes = permute(self.serial("v6", count), 32, salt(self._seed, "v6"))
            codes = np.where(modern, V6 | (prefixes << 16), codes)
        return codes

    def phones(self, countries: Int64) -> Int64:
        """Return a mobile number for each country index: the digits of its E.164 form as one integer."""
        numbers = np.empty(len(countries), dtype=np.int64)
        for index, country in enumerate(COUNTRIES):
            here = np.flatnonzero(countries == index)
            tail = 10**country.tail_digits
            space = len(country.mobile_prefixes) * tail
            # 982_451_653 is prime and divides no space, so the map is a bijection on it.
            serial = self.serial(f"phone:{country.code}", len(here))
            slot = (serial * 982_451_653 + salt(self._seed, country.code) % space) % space
            numbers[here] = (
                np.array(country.mobile_prefixes, dtype=np.int64)[slot // tail] * tail + slot % tail
            )
        return numbers

    def persons(self, count: int) -> Int64:
        """Return persons: first name, last name and a number, 31 bits."""
        return permute(self.serial("person", count), PERSON_BITS, salt(self._seed, "person"))

    def domains(self, count: int) -> Int64:
        """Return domains nobody else uses, 23 bits."""
        return permute(self.serial("domain", count), DOMAIN_BITS, salt(self._seed, "domain"))

    def provider_mailboxes(self, persons: Int64, rng: np.random.Generator) -> Int64:
        """Return mailboxes of the persons at common providers."""
        providers = rng.choice(len(PROVIDER_SHARES), size=len(persons), p=PROVIDER_SHARES).astype(np.int64)
        return persons | (providers << PERSON_BITS)

    def tokens(self, kind: str, count: int) -> Int64:
        """Return opaque tokens (devices, keys, payment methods, payouts): plain counters, mixed when spelt."""
        return self.serial(kind, count)


def own_mailboxes(persons: Int64, domains: Int64) -> Int64:
    """Return mailboxes of the persons at domains of their own."""
    return persons | (domains << PERSON_BITS) | OWN_DOMAIN


def with_variant(mailboxes: Int64, variants: Int64) -> Int64:
    """Return the same mailboxes in another spelling (see `TAGS`, `DOTS`, `HIDDEN`); 0 leaves them as they are."""
    return mailboxes | (variants << VARIANT_SHIFT)


def name_codes(template: Int64, person: Int64, words: Int64, number: Int64, hidden: Int64) -> Int64:
    """Pack an organization's name.

    `template` indexes `NAME_TEMPLATES`; `person` lends 14 bits of first and last name; `words` is 14 bits, two
    words; `number` 17 bits; `hidden` 0 (plain) to 7 (an invisible or look-alike character somewhere).
    """
    low = (person & 0x3FFF) | ((words & 0x3FFF) << 14) | ((number & 0x1FFFF) << 28)
    return low | (template << 45) | (hidden << 50)


def random_words(count: int, rng: np.random.Generator) -> Int64:
    """Return pairs of words, 14 bits each."""
    return rng.integers(0, len(WORDS) ** 2, size=count, dtype=np.int64)


def random_templates(count: int, rng: np.random.Generator) -> Int64:
    """Return name templates as the public uses them: the default name is by far the commonest."""
    shares = np.array([0.22, 0.08, 0.12, 0.12, 0.08, 0.06, 0.06, 0.06, 0.06, 0.05, 0.03, 0.03, 0.03])
    return rng.choice(len(NAME_TEMPLATES), size=count, p=shares).astype(np.int64)
