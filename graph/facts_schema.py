"""The columns of the facts, declared once: what ingest writes and every later stage reads.

Key columns are `pa.uuid()`: the 16 bytes of `graph.identifiers.key`. A null key means that the value was absent
or a stop value (a placeholder such as `unknown`, which never links).
"""

from __future__ import annotations

import pyarrow as pa

from graph.identifiers import Kind

KEY = pa.uuid()
TEXT = pa.string()
WORD = pa.dictionary(pa.int32(), pa.string())
"""Text that repeats: dictionary-encoded in memory and in Parquet."""
MOMENT = pa.timestamp("us", tz="UTC")
MONEY = pa.decimal128(18, 6)

KEY_COLUMNS: dict[str, Kind | None] = {
    "organization": Kind.ORGANIZATION,
    "user": Kind.USER,
    "ip": Kind.IP,
    "ip_network": Kind.IP_NETWORK,
    "device": Kind.DEVICE,
    "tls_fingerprint": Kind.TLS_FINGERPRINT,
    "user_agent": Kind.USER_AGENT,
    "api_key": Kind.API_KEY,
    "payment_method": Kind.PAYMENT_METHOD,
    "mailbox": Kind.MAILBOX,
    "email_domain": Kind.EMAIL_DOMAIN,
    "phone": Kind.PHONE,
    "name": Kind.NAME,
    "consumer": Kind.CONSUMER,
    "referral_code": Kind.REFERRAL_CODE,
    "promo_code": Kind.PROMO_CODE,
    "payout": Kind.PAYOUT,
    "other_organization": Kind.ORGANIZATION,
    "referrer_organization": Kind.ORGANIZATION,
    "entity": None,
}
"""Key columns of EVENTS and the kind of their keys; `entity` has the kind that its row's `entity_type` names."""

HIDDEN_FIELDS: tuple[str, ...] = (
    "event_type",
    "event_id",
    "org_id",
    "user_id",
    "ip",
    "device_id",
    "tls_fingerprint",
    "user_agent",
    "api_key",
    "payment_method",
    "email",
    "phone",
    "org_name",
    "consumer_id",
    "referral_code",
    "promo_code",
    "payout_id",
    "other_org_id",
    "referrer_org_id",
    "program_id",
    "plan",
    "country",
    "model",
    "payment_kind",
    "action",
    "reason",
    "label",
    "label_source",
    "entity_type",
    "entity_key",
    "currency",
)
"""Input fields in the bit order of EVENTS' `hidden`: bit i is set when the raw value of field i held invisible or
look-alike characters. Append only (31 of the 31 bits are taken)."""

EVENTS: pa.Schema = pa.schema(
    [
        ("event_id", TEXT),
        ("source", WORD),
        ("event_type", WORD),
        ("occurred_at", MOMENT),
        ("ingested_at", MOMENT),
        ("organization", KEY),
        ("user", KEY),
        ("ip", KEY),
        ("ip_network", KEY),
        ("device", KEY),
        ("attested", pa.bool_()),
        ("tls_fingerprint", KEY),
        ("user_agent", KEY),
        ("api_key", KEY),
        ("payment_method", KEY),
        ("mailbox", KEY),
        ("email_domain", KEY),
        ("phone", KEY),
        ("name", KEY),
        ("consumer", KEY),
        ("referral_code", KEY),
        ("promo_code", KEY),
        ("payout", KEY),
        ("other_organization", KEY),
        ("referrer_organization", KEY),
        ("country", WORD),
        ("plan", WORD),
        ("program_id", WORD),
        ("payment_kind", WORD),
        ("payment_bin", WORD),
        ("phone_country", WORD),
        ("phone_type", WORD),
        ("model", WORD),
        ("reward", MONEY),
        ("credit", MONEY),
        ("credit_used", MONEY),
        ("cost", MONEY),
        ("amount", MONEY),
        ("currency", WORD),
        ("requests", pa.int64()),
        ("tokens", pa.int64()),
        ("status_code", pa.int16()),
        ("action", WORD),
        ("reason", WORD),
        ("label", WORD),
        ("label_source", WORD),
        ("entity_type", WORD),
        ("entity", KEY),
        ("hidden", pa.int32()),
        ("extra", TEXT),
    ]
)
"""One row an accepted event."""

VALUES: pa.Schema = pa.schema(
    [
        ("kind", WORD),
        ("key", KEY),
        ("organization", KEY),
        ("raw", TEXT),
        ("canonical", TEXT),
        ("display", TEXT),
        ("hidden", pa.bool_()),
    ]
)
"""What a key stands for, one row a distinct raw value (see docs/concepts): raw and canonical text (both null for
secrets), what people are shown, and the organization that brought it, so that erasing one rewrites little."""
