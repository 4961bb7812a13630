"""Events of money: payment methods, invoices, promotions, referrals and their rewards."""

from __future__ import annotations

import numpy as np

from sim.columns import MICRO
from sim.events import Batch
from sim.identifiers import NULL
from sim.profile import Profile
from sim.sessions import users
from sim.world import DAY, HOUR, MINUTE, World, exponential


def payments(batch: Batch, p: Profile, world: World, rng: np.random.Generator) -> None:
    """Add payment methods, invoices with their disputes, and cancellations."""
    rows = np.flatnonzero((p.payment != NULL) & ~p.old)
    at = p.created[rows] + MINUTE + p.pay_after[rows]
    batch.add(
        "payment_method_added",
        p.org[rows],
        at,
        user_id=users(p, rows),
        payment_method=p.payment[rows],
        payment_kind=p.payment_kind[rows],
        payment_bin=p.payment_bin[rows],
        ip=p.address[rows, 0],
    )
    refused = rows[rng.random(len(rows)) < 0.06]
    batch.add(
        "payment_failed",
        p.org[refused],
        p.created[refused] + 5 * MINUTE + p.pay_after[refused],
        payment_method=p.payment[refused],
        payment_bin=p.payment_bin[refused],
        payment_kind=p.payment_kind[refused],
    )
    _invoices(batch, p, world, rng)
    leaving = np.flatnonzero(p.cancel_after != NULL)
    batch.add(
        "subscription_cancelled",
        p.org[leaving],
        p.created[leaving] + 10 * MINUTE + p.cancel_after[leaving],
        plan=1,
    )


def _invoices(batch: Batch, p: Profile, world: World, rng: np.random.Generator) -> None:
    """Add an invoice a month for whoever pays, and the disputes of some first ones."""
    paying = np.flatnonzero((p.payment != NULL) & p.paying)
    begun = np.where(p.old, world.start + p.created % (30 * DAY), p.created + p.pay_after + HOUR)[paying]
    for month in range(-(-world.days // 30)):
        amount = rng.choice([20, 20, 20, 50, 100], size=len(paying)).astype(np.int64) * MICRO
        batch.add(
            "invoice_paid",
            p.org[paying],
            begun + month * 30 * DAY + exponential(HOUR, len(paying), rng),
            plan=2,
            payment_method=p.payment[paying],
            amount_usd=amount,
            payment_kind=p.payment_kind[paying],
            payment_bin=p.payment_bin[paying],
        )
    disputed = paying[p.disputed[paying]]
    batch.add(
        "charge_disputed",
        p.org[disputed],
        begun[p.disputed[paying]] + 2 * DAY + exponential(6 * DAY, len(disputed), rng),
        payment_method=p.payment[disputed],
        amount_usd=20 * MICRO,
    )


def promotions(batch: Batch, p: Profile, rng: np.random.Generator) -> None:
    """Add redeemed promotion codes."""
    rows = np.flatnonzero((p.promo != NULL) & ~p.old)
    batch.add(
        "promo_redeemed",
        p.org[rows],
        p.created[rows] + 3 * MINUTE + exponential(HOUR, len(rows), rng),
        promo_code=p.promo[rows],
        program_id=4,
        credit_usd=5 * MICRO,
    )


def referrals(batch: Batch, p: Profile, rng: np.random.Generator) -> None:
    """Add referral codes, their use, and the rewards of whoever owns them."""
    issued = np.flatnonzero((p.referral_owned != NULL) & ~p.old)
    batch.add(
        "referral_code_issued",
        p.org[issued],
        p.created[issued] + 2 * MINUTE + exponential(10 * MINUTE, len(issued), rng),
        referral_code=p.referral_owned[issued],
        program_id=2,
    )
    used = np.flatnonzero((p.referral_used != NULL) & (p.referrer != NULL) & ~p.old)
    at = p.created[used] + 5 * MINUTE + exponential(20 * MINUTE, len(used), rng)
    batch.add(
        "referral_redeemed",
        p.org[used],
        at,
        referral_code=p.referral_used[used],
        referrer_org_id=p.referrer[used],
        program_id=2,
    )
    batch.add(
        "reward_earned",
        p.referrer[used],
        at + exponential(MINUTE, len(used), rng),
        other_org_id=p.org[used],
        program_id=2,
        reward_usd=5 * MICRO,
    )
    paid = rng.random(len(used)) < 0.6
    batch.add(
        "reward_paid",
        p.referrer[used][paid],
        at[paid] + DAY + exponential(2 * DAY, int(paid.sum()), rng),
        other_org_id=p.org[used][paid],
        program_id=2,
        reward_usd=5 * MICRO,
        payout_id=p.org[used][paid],
    )
