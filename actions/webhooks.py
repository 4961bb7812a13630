"""Where webhooks go: set by admins, within the rules, each with a signing secret that can be rotated."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from actions.access import roles
from actions.ids import keyed
from actions.ledger import Ledger, Reading, Tx, webhooks
from actions.ledger.people import Row
from actions.model import Principal
from actions.refusals import Refusal
from actions.sinks.egress import EgressRules, parse
from actions.sinks.webhook import Endpoint, WebhookSink, secret_text

PREFIX = "webhook:"
OVERLAP = timedelta(hours=24)
"""For how long messages carry a signature under the secret before a rotation, too."""
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")


@dataclass(frozen=True)
class WebhookEntry:
    """One webhook; plans call it `sink`. The URL is for admins: it may hold a secret."""

    name: str
    url: str
    set_by: str
    set_at: datetime
    disabled_at: datetime | None
    disabled_why: str

    @property
    def sink(self) -> str:
        """What plans call it."""
        return PREFIX + self.name


@dataclass(frozen=True)
class Opened:
    """A webhook with its secret as a receiver needs it: `whsec_…`."""

    entry: WebhookEntry
    secret: str


def put(tx: Tx, name: str, url: str, principal: Principal, rules: EgressRules, *, reason: str = "") -> Opened:
    """Add a webhook, or send elsewhere. Raises Refusal for a URL that the rules do not allow.

    Another URL brings another secret: whoever received until now can sign nothing for the new receiver.
    """
    roles.require_admin(principal)
    if not _NAME.fullmatch(name):
        raise Refusal("bad_request", "this is no name for a webhook", "Use up to 32 of a-z 0-9 -")
    target = parse(url, rules)
    row = webhooks.get(tx, name)
    version = 1 if row is None else row["version"] + (row["url"] != target.url)
    webhooks.put(
        tx,
        name,
        url=target.url,
        version=version,
        older_until=None,
        set_by=principal.id,
        set_at=tx.now,
        disabled_at=None,
        disabled_why="",
    )
    tx.audit("webhook.set", principal, why=reason, details={"webhook": name, "host": target.authority})
    return _opened(tx, name)


def rotate(tx: Tx, name: str, principal: Principal, *, reason: str = "") -> Opened:
    """Another secret; for a day, messages are signed under both."""
    roles.require_admin(principal)
    row = _row(tx, name)
    webhooks.put(tx, name, version=row["version"] + 1, older_until=tx.now + OVERLAP)
    tx.audit("webhook.rotated", principal, why=reason, details={"webhook": name})
    return _opened(tx, name)


def disable(tx: Tx, name: str, principal: Principal, *, reason: str) -> WebhookEntry:
    """Send nothing there any more; what is on its way fails."""
    principal.require("admin", "operator")
    _row(tx, name)
    if not webhooks.disable(tx, name, reason):
        raise Refusal("wrong_state", "this webhook is disabled", "")
    tx.audit("webhook.disabled", principal, why=reason, details={"webhook": name})
    return _entry(_row(tx, name))


def enable(tx: Tx, name: str, principal: Principal, *, reason: str) -> WebhookEntry:
    """Send there again; what failed meanwhile is sent when its plan is retried."""
    roles.require_admin(principal)
    if _row(tx, name)["disabled_at"] is None:
        raise Refusal("wrong_state", "this webhook is not disabled", "")
    webhooks.put(tx, name, disabled_at=None, disabled_why="")
    tx.audit("webhook.enabled", principal, why=reason, details={"webhook": name})
    return _entry(_row(tx, name))


def listed(reading: Reading, principal: Principal) -> list[WebhookEntry]:
    """All webhooks, for admins."""
    principal.require("admin")
    return [_entry(row) for row in webhooks.everything(reading)]


def open_sinks(
    ledger: Ledger, rules: EgressRules, known: Container[str] = (), **options: Any
) -> list[WebhookSink]:
    """A sink for every webhook that is set now, disabled ones too: they may be enabled while a worker runs.

    Those whose sink is among the `known` names are left out.
    """
    with ledger.reading() as reading:
        names = [row["name"] for row in webhooks.everything(reading)]
    return [open_sink(ledger, name, rules, **options) for name in names if PREFIX + name not in known]


def open_sink(ledger: Ledger, name: str, rules: EgressRules, **options: Any) -> WebhookSink:
    """The sink of one webhook: it asks the ledger before every attempt where to send, and whether."""

    def endpoint() -> Endpoint:
        with ledger.reading() as reading:
            return _endpoint(reading, _row(reading, name))

    def gone() -> None:
        with ledger.transaction() as tx:
            if webhooks.disable(tx, name, "the receiver answered 410"):
                tx.audit("webhook.gone", f"system:{PREFIX}{name}", details={"webhook": name})

    return WebhookSink(PREFIX + name, endpoint, rules, gone=gone, clock=ledger.clock, **options)


def _endpoint(reading: Reading, row: Row) -> Endpoint:
    secrets = [_secret(reading, row["name"], row["version"])]
    if row["older_until"] is not None and row["older_until"] > reading.now:
        secrets.append(_secret(reading, row["name"], row["version"] - 1))
    return Endpoint(row["url"], tuple(secrets), row["disabled_why"] if row["disabled_at"] else None)


def _secret(reading: Reading, name: str, version: int) -> bytes:
    """Derived from the ledger's own secret: there is no further one to keep."""
    return keyed(reading.secret, f"webhook\0{version}")(name)


def _opened(reading: Reading, name: str) -> Opened:
    row = _row(reading, name)
    return Opened(_entry(row), secret_text(_secret(reading, name, row["version"])))


def _row(reading: Reading, name: str) -> Row:
    row = webhooks.get(reading, name)
    if row is None:
        raise Refusal("not_found", "there is no such webhook", "List the webhooks.")
    return row


def _entry(row: Row) -> WebhookEntry:
    return WebhookEntry(
        row["name"], row["url"], row["set_by"], row["set_at"], row["disabled_at"], row["disabled_why"]
    )
