"""Webhooks over the wire."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, StringConstraints

from actions.webhooks import Opened, WebhookEntry
from api.schemas.base import AT, Answered, Given, Moment, example

_ENTRY = {
    "name": "edge",
    "sink": "webhook:edge",
    "url": "https://hooks.example.com/ringfence",
    "set_by": "user:root",
    "set_at": AT,
    "disabled_at": None,
    "disabled_why": "",
}


class WebhookGiven(Given):
    """Where a webhook sends. The host has to be allowed in the settings."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "name": "edge",
                "url": "https://hooks.example.com/ringfence",
                "reason": "the edge's own receiver",
            }
        )
    )
    name: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    url: Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
    reason: Annotated[str, StringConstraints(max_length=2_000)] = ""


class WebhookShown(Answered):
    """One webhook; plans call it `sink`."""

    model_config = ConfigDict(json_schema_extra=example(_ENTRY))
    name: str
    sink: str
    url: str
    set_by: str
    set_at: Moment
    disabled_at: Moment | None
    disabled_why: str

    @classmethod
    def of(cls, entry: WebhookEntry) -> WebhookShown:
        """From the ledger's."""
        return cls.model_validate({**vars(entry), "sink": entry.sink})


class WebhookOpened(Answered):
    """A webhook with the secret that its receiver verifies with; it is shown this once."""

    model_config = ConfigDict(json_schema_extra=example({"webhook": _ENTRY, "secret": "whsec_…"}))
    webhook: WebhookShown
    secret: str

    @classmethod
    def of(cls, opened: Opened) -> WebhookOpened:
        """From the ledger's."""
        return cls(webhook=WebhookShown.of(opened.entry), secret=opened.secret)
