"""What an organization is and does, before its events: one array a property, one row an organization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.columns import MICRO
from sim.identifiers import (
    DOTS,
    NULL,
    TAGS,
    name_codes,
    own_mailboxes,
    random_templates,
    random_words,
    with_variant,
)
from sim.mix import Int64
from sim.vocabulary import FIRST_LIBRARY
from sim.world import DAY, MINUTE, Bools, Floats, World, exponential

NEVER = NULL
SLOTS = 4
"""Addresses kept for each organization; the first is the usual one unless `churn` walks through them."""


@dataclass
class Profile:
    """Properties of organizations. Times and durations are µs, money millionths, identifiers codes, `NULL` none."""

    org: Int64
    country: Int64
    created: Int64
    old: Bools
    machine: Bools
    span_days: Floats
    pace: Int64
    email: Int64
    email_verified: Bools
    phone: Int64
    phone_verified: Bools
    name: Int64
    device: Int64
    attested: Int64
    address: Int64
    churn: Bools
    browser: Int64
    browser_tls: Int64
    client: Int64
    client_tls: Int64
    server_share: Floats
    server_address: Int64
    server_agent: Int64
    server_tls: Int64
    sessions: Int64
    calls: Int64
    telemetry: Int64
    burn: Bools
    cost: Int64
    key: Int64
    second_key: Int64
    payment: Int64
    payment_kind: Int64
    payment_bin: Int64
    pay_after: Int64
    paying: Bools
    disputed: Bools
    trial: Bools
    credit: Int64
    promo: Int64
    referral_owned: Int64
    referral_used: Int64
    referrer: Int64
    cancel_after: Int64
    restricted_after: Int64
    probes: Int64
    hidden_type: Bools

    def __len__(self) -> int:
        return len(self.org)

    @property
    def pays(self) -> Bools:
        """Is there a payment method that settles invoices?"""
        return np.asarray(self.paying & (self.payment != NULL), dtype=np.bool_)


def draw(world: World, org: Int64, rng: np.random.Generator, scale: float) -> Profile:
    """Draw ordinary people who share nothing with each other; `scale` stretches how much they use."""
    country = world.countries(len(org), rng)
    p = Profile(
        org=org,
        country=country,
        created=world.clock(world.days_drawn(len(org), rng), country, rng),
        **_person(world, country, rng),
        **_equipment(world, len(org), rng),
        **_use(world, len(org), rng, scale),
        **_money(world, len(org), rng),
        **_incentives(org, rng),
    )
    # Only the genuine client reports about itself.
    p.telemetry[p.client >= FIRST_LIBRARY] = 0
    return p


def _person(world: World, country: Int64, rng: np.random.Generator) -> dict[str, Any]:
    n = len(country)
    persons = world.identifiers.persons(n)
    return {
        "email": _mailboxes(world, persons, rng),
        "email_verified": rng.random(n) < 0.93,
        "phone": np.where(rng.random(n) < 0.6, world.identifiers.phones(country), NULL),
        "phone_verified": rng.random(n) < 0.9,
        "name": _names(persons, rng),
    }


def _equipment(world: World, n: int, rng: np.random.Generator) -> dict[str, Any]:
    browser, library = world.browsers(n, rng), world.libraries(n, rng)
    client = np.where(rng.random(n) < 0.85, world.clients(n, rng), library)
    return {
        "device": world.identifiers.tokens("device", 2 * n).reshape(n, 2),
        "attested": np.where(rng.random(n) < 0.25, 1, 0),
        "address": _homes(world, n, rng),
        "churn": np.zeros(n, dtype=bool),
        "browser": browser,
        "browser_tls": world.tls(browser, rng),
        "client": client,
        "client_tls": world.tls(client, rng),
        "server_share": np.where(rng.random(n) < 0.15, 0.6, 0.0),
        "server_address": np.repeat(
            world.identifiers.addresses("datacenter", n, rng)[:, None], SLOTS, axis=1
        ),
        "server_agent": library,
        "server_tls": world.tls(library, rng),
    }


def _use(world: World, n: int, rng: np.random.Generator, scale: float) -> dict[str, Any]:
    sessions = rng.geometric(0.36, size=n)
    return {
        "old": np.zeros(n, dtype=bool),
        "machine": np.zeros(n, dtype=bool),
        "span_days": rng.exponential(9.0, size=n),
        "pace": np.full(n, 25 * MINUTE),
        "sessions": sessions,
        "calls": rng.poisson(rng.gamma(1.3, 5.2 * scale, size=n)),
        "telemetry": sessions + rng.poisson(0.8 * sessions * scale),
        "burn": np.zeros(n, dtype=bool),
        "cost": np.full(n, MICRO // 50),
        "key": world.identifiers.tokens("key", n),
        "second_key": np.full(n, NULL),
        "restricted_after": np.where(rng.random(n) < 0.001, exponential(3 * DAY, n, rng), NEVER),
        "probes": np.where(rng.random(n) < 0.02, 2, 0),
        "hidden_type": np.zeros(n, dtype=bool),
    }


def _money(world: World, n: int, rng: np.random.Generator) -> dict[str, Any]:
    carded = rng.random(n) < 0.24
    kinds = rng.choice(5, size=n, p=[0.72, 0.06, 0.06, 0.12, 0.04]).astype(np.int64)
    prepaid = rng.choice(world.prepaid_bins, size=n)
    return {
        "payment": np.where(carded, world.identifiers.tokens("payment", n), NULL),
        "payment_kind": kinds,
        "payment_bin": np.where(np.isin(kinds, (1, 2)), prepaid, world.bins_drawn(n, rng)),
        "pay_after": exponential(4 * DAY, n, rng),
        "paying": carded & (rng.random(n) < 0.8),
        "disputed": rng.random(n) < 0.002,
        "cancel_after": np.where(rng.random(n) < 0.05, exponential(8 * DAY, n, rng), NEVER),
    }


def _incentives(org: Int64, rng: np.random.Generator) -> dict[str, Any]:
    n = len(org)
    return {
        "trial": rng.random(n) < 0.85,
        "credit": np.where(rng.random(n) < 0.9, 5 * MICRO, 25 * MICRO),
        "promo": np.where(rng.random(n) < 0.06, rng.integers(0, 6, size=n), NULL),
        "referral_owned": np.where(rng.random(n) < 0.1, org, NULL),
        "referral_used": np.full(n, NULL),
        "referrer": np.full(n, NULL),
    }


def _mailboxes(world: World, persons: Int64, rng: np.random.Generator) -> Int64:
    n = len(persons)
    # Whoever owns a domain needs no number to be unique there.
    nameless = np.where(rng.random(n) < 0.8, persons & 0x3FFF, persons)
    own = own_mailboxes(nameless, world.identifiers.domains(n))
    codes = np.where(rng.random(n) < 0.35, own, world.identifiers.provider_mailboxes(persons, rng))
    roll = rng.random(n)
    tags, dots = rng.integers(TAGS, DOTS, size=n), rng.integers(DOTS, DOTS + 8, size=n)
    return with_variant(codes, np.select([roll < 0.03, roll < 0.04], [tags, dots], 0))


def _names(persons: Int64, rng: np.random.Generator) -> Int64:
    n = len(persons)
    number = np.where(rng.random(n) < 0.7, rng.integers(1, 100, size=n), rng.integers(100, 9999, size=n))
    hidden = np.where(rng.random(n) < 0.0008, rng.integers(1, 8, size=n), 0)
    return name_codes(random_templates(n, rng), persons, random_words(n, rng), number, hidden)


def _homes(world: World, n: int, rng: np.random.Generator) -> Int64:
    """Home, telephone, a café, and home again; a few homes unknowingly serve as residential proxies."""
    make = world.identifiers
    home = make.addresses("residential", n, rng)
    home = np.where(rng.random(n) < 0.004, rng.choice(world.proxies, size=n), home)
    phone = np.where(rng.random(n) < 0.5, make.addresses("mobile", n, rng), home)
    cafe = np.where(rng.random(n) < 0.05, rng.choice(world.vpn, size=n), home)
    return np.stack([home, phone, cafe, home], axis=1)
