"""The sinks that a home's settings name. `feed`, `file` and `records` are always there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from actions.refusals import Refusal
from api.settings import RECORDS

if TYPE_CHECKING:
    from actions.sinks import Sink
    from actions.sinks.egress import EgressRules
    from api.deciding.desk import Desk

FILE = "file"
FEED = "feed"
EFFECTS = "effects.ndjson"


def open_sinks(desk: Desk) -> list[Sink]:
    """One of each sink. Raises Refusal for a command that may not be run."""
    from actions.sinks.command import CommandSink
    from actions.sinks.feed import FeedSink
    from actions.sinks.file import FileSink
    from actions.webhooks import open_sinks as open_webhooks

    section = desk.section
    found: list[Sink] = [
        FeedSink(acknowledged=section.feed_acknowledged),
        FeedSink(name=RECORDS),
        FileSink(section.file or desk.home.path / EFFECTS, FILE),
    ]
    for name, each in section.commands.items():
        found.append(CommandSink(each.argv, each.folder, name=f"command:{name}"))
    return [*found, *open_webhooks(desk.ledger, egress(desk))]


def newcomers(desk: Desk) -> Callable[[], Sequence[Sink]]:
    """Asked the first time, all sinks; later, those of webhooks that were added since."""
    from actions.webhooks import open_sinks as open_webhooks

    known: set[str] = set()

    def found() -> Sequence[Sink]:
        new: Sequence[Sink] = open_webhooks(desk.ledger, egress(desk), known) if known else open_sinks(desk)
        known.update(sink.name for sink in new)
        return new

    return found


def egress(desk: Desk) -> EgressRules:
    """Whereto webhooks may be sent, as the settings say. Raises Refusal for a network that is none."""
    from actions.sinks.egress import EgressRules

    return EgressRules.of(desk.section.webhook_hosts, desk.section.webhook_exceptions)


def chosen(desk: Desk, names: Sequence[str]) -> tuple[str, ...] | None:
    """The sinks of a plan: as named, and the records; None: as the settings say. Raises Refusal for an unknown one."""
    if not names:
        return None
    known = [sink.name for sink in open_sinks(desk)]
    for name in names:
        if name not in known:
            raise Refusal(
                "bad_request", f"there is no sink {name!r}", f"Choose among: {', '.join(sorted(known))}."
            )
    return tuple(sorted({*names, RECORDS}))
