"""The columns of the event record and what each holds: the table that models and columns both follow."""

from __future__ import annotations

from graph.identifiers import FIELD_KINDS, Kind

EVENT_TYPES: tuple[str, ...] = (
    "organization_created",
    "organization_labelled",
    "organization_restricted",
    "organization_restored",
    "organization_protected",
    "organizations_not_linked",
    "user_added",
    "session_started",
    "email_verified",
    "phone_verified",
    "verification_requested",
    "verification_passed",
    "verification_failed",
    "api_key_created",
    "api_key_revoked",
    "payment_method_added",
    "payment_failed",
    "invoice_paid",
    "refunded",
    "charge_disputed",
    "trial_started",
    "promo_redeemed",
    "subscription_cancelled",
    "referral_code_issued",
    "referral_redeemed",
    "reward_earned",
    "reward_paid",
    "reward_reversed",
    "inference",
    "client_telemetry",
    "entity_labelled",
)
"""By subject, in the order of a customer's life."""

SECRET_FIELDS = ("api_key", "payment_method", "phone")
"""Fields that are hashed before anything else; `entity_key` too, where `entity_type` names one of them."""

IDENTIFIER_FIELDS: dict[str, Kind] = FIELD_KINDS

MONEY_FIELDS: dict[str, tuple[str, bool]] = {
    "reward_usd": ("reward", True),
    "credit_usd": ("credit", True),
    "credit_used_usd": ("credit_used", False),
    "cost_usd": ("cost", False),
    "amount_usd": ("amount", True),
}
"""Input field to facts column, and whether it may be negative (a reversal, a refund)."""

INTEGER_FIELDS: dict[str, tuple[int, int]] = {
    "requests": (0, 2**63 - 1),
    "tokens": (0, 2**63 - 1),
    "status_code": (0, 999),
}
"""Smallest and largest accepted value."""

FOLDED_TEXT = ("program_id", "action", "label_source", "payment_bin")
"""Words that are compared: stored folded, null for a placeholder."""

FREE_TEXT = ("model", "reason")
"""Words for people: stored tidied (NFKC, nothing invisible), case kept."""

CHOICES: dict[str, frozenset[str]] = {
    "plan": frozenset({"free", "trial", "paid", "enterprise"}),
    "payment_kind": frozenset({"card", "prepaid", "virtual", "wallet", "bank"}),
    "label": frozenset({"abusive", "legitimate"}),
}
"""Closed lists, folded; anything else is `unknown_<field>`, a placeholder is null."""

_CODES = """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD
    CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP
    GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK
    LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB
    PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SYP SZL THB
    TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAF XAG XAU XCD XCG XDR XOF
    XPD XPF XPT XSU XUA YER ZAR ZMW ZWG ZWL
"""
CURRENCIES = frozenset(_CODES.split())
"""ISO 4217, with a few codes withdrawn in recent years that old rows still use."""

KNOWN_FIELDS: frozenset[str] = frozenset(
    {
        *("event_type", "event_id", "occurred_at", "ingested_at", "attested", "country", "currency"),
        *("entity_type", "entity_key"),
        *IDENTIFIER_FIELDS,
        *MONEY_FIELDS,
        *INTEGER_FIELDS,
        *FOLDED_TEXT,
        *FREE_TEXT,
        *CHOICES,
    }
)
"""Every column of the event record; all others go to `extra`."""

LONG_FIELDS = frozenset({"event_id", "entity_key", *IDENTIFIER_FIELDS})
"""Fields whose length may reach `max_identifier`; other text ends at `max_text`."""
