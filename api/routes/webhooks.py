"""Where signed effects are sent. Only people who are admins set it; a secret is shown once."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from actions import webhooks
from api.auth.permissions import Permission
from api.deciding.sinks import egress
from api.http.guard import Routes
from api.routes.needs import DeskOf
from api.schemas.base import Page
from api.schemas.plans import Why
from api.schemas.webhooks import WebhookGiven, WebhookOpened, WebhookShown

routes = Routes("webhooks")
Name = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,32}$", description="A webhook's name.", examples=["edge"])]
ADMIN = Permission.ADMINISTER
REFUSED = ("not_a_person", "bad_request", "bad_url", "wrong_state")


@routes.reads("/webhooks", ADMIN)
def list_webhooks(desk: DeskOf) -> Page[WebhookShown]:
    """All webhooks by name."""
    with desk.ledger.reading() as reading:
        found = webhooks.listed(reading, desk.principal)
    return Page(items=[WebhookShown.of(each) for each in found], total=len(found))


@routes.changes("/webhooks", ADMIN, status_code=201, problems=REFUSED)
def put_webhook(desk: DeskOf, given: WebhookGiven) -> WebhookOpened:
    """Add a webhook, or send elsewhere: another URL brings another secret."""
    with desk.ledger.transaction() as tx:
        return WebhookOpened.of(
            webhooks.put(tx, given.name, given.url, desk.principal, egress(desk), reason=given.reason)
        )


@routes.changes("/webhooks/{name}/rotate", ADMIN, problems=REFUSED)
def rotate_webhook(desk: DeskOf, name: Name, given: Why) -> WebhookOpened:
    """Another secret; for a day, messages are signed under both."""
    with desk.ledger.transaction() as tx:
        return WebhookOpened.of(webhooks.rotate(tx, name, desk.principal, reason=given.reason))


@routes.changes("/webhooks/{name}/disable", ADMIN, problems=REFUSED)
def disable_webhook(desk: DeskOf, name: Name, given: Why) -> WebhookShown:
    """Send nothing there any more; what is on its way fails."""
    with desk.ledger.transaction() as tx:
        return WebhookShown.of(webhooks.disable(tx, name, desk.principal, reason=given.reason))


@routes.changes("/webhooks/{name}/enable", ADMIN, problems=REFUSED)
def enable_webhook(desk: DeskOf, name: Name, given: Why) -> WebhookShown:
    """Send there again; what failed meanwhile is sent when its plan is retried."""
    with desk.ledger.transaction() as tx:
        return WebhookShown.of(webhooks.enable(tx, name, desk.principal, reason=given.reason))
