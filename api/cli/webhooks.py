"""`ringfence webhooks`: where signed effects are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from api.cli._deeds import ReasonOption, deciding
from api.cli._options import HomeOption, JsonOption, examples, help_if_bare
from api.output import Column, Output, Table, moment, printable

if TYPE_CHECKING:
    from actions.webhooks import Opened, WebhookEntry

ORDER = 88
group = typer.Typer()
verbs = typer.Typer(help="Webhooks: signed effects, sent to a URL of yours.")
verbs.callback(invoke_without_command=True)(help_if_bare)
group.add_typer(verbs, name="webhooks")

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A webhook's name; plans say webhook:NAME.")
]


@verbs.command(
    epilog=examples('ringfence webhooks put edge https://hooks.example.com/ringfence --reason "the edge"')
)
def put(
    name: NameArgument,
    url: Annotated[str, typer.Argument(metavar="URL", help="Its host has to be in actions.webhook_hosts.")],
    reason: ReasonOption,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Add a webhook, or send elsewhere; its secret is printed once.

    Another URL brings another secret: whoever received until now can sign nothing for the new receiver.
    """
    from actions import webhooks
    from api.deciding.sinks import egress

    output = Output(as_json)
    with deciding(home, output) as desk, desk.ledger.transaction() as tx:
        opened = webhooks.put(tx, name, url, desk.principal, egress(desk), reason=reason)
    return _opened(output, opened)


@verbs.command(epilog=examples('ringfence webhooks rotate edge --reason "every quarter"'))
def rotate(
    name: NameArgument, reason: ReasonOption, home: HomeOption = None, as_json: JsonOption = False
) -> int:
    """Give a webhook another secret; for a day, both sign."""
    from actions import webhooks

    output = Output(as_json)
    with deciding(home, output) as desk, desk.ledger.transaction() as tx:
        opened = webhooks.rotate(tx, name, desk.principal, reason=reason)
    return _opened(output, opened)


@verbs.command(epilog=examples('ringfence webhooks disable edge --reason "the receiver leaks"'))
def disable(
    name: NameArgument, reason: ReasonOption, home: HomeOption = None, as_json: JsonOption = False
) -> int:
    """Send nothing there any more; what is on its way fails."""
    from actions import webhooks

    output = Output(as_json)
    with deciding(home, output) as desk, desk.ledger.transaction() as tx:
        entry = webhooks.disable(tx, name, desk.principal, reason=reason)
    return _changed(output, entry)


@verbs.command(epilog=examples('ringfence webhooks enable edge --reason "it is mended"'))
def enable(
    name: NameArgument, reason: ReasonOption, home: HomeOption = None, as_json: JsonOption = False
) -> int:
    """Send there again; 'ringfence effects retry' sends what failed."""
    from actions import webhooks

    output = Output(as_json)
    with deciding(home, output) as desk, desk.ledger.transaction() as tx:
        entry = webhooks.enable(tx, name, desk.principal, reason=reason)
    return _changed(output, entry)


@verbs.command("list", epilog=examples("ringfence webhooks list", "ringfence webhooks list --json"))
def list_webhooks(home: HomeOption = None, as_json: JsonOption = False) -> int:
    """List webhooks by name."""
    from actions import webhooks

    output = Output(as_json)
    with deciding(home, output) as desk, desk.ledger.reading() as reading:
        found = webhooks.listed(reading, desk.principal)
    if as_json:
        output.json({"webhooks": [vars(each) for each in found]})
        return 0
    columns = [Column("webhook", style="cyan"), Column("url"), Column("disabled"), Column("why")]
    rows = [
        [each.sink, printable(each.url), moment(each.disabled_at)[:16], printable(each.disabled_why)]
        for each in found
    ]
    output.table(Table(columns, rows))
    return 0


def _opened(output: Output, opened: Opened) -> int:
    if output.as_json:
        output.json({**vars(opened.entry), "secret": opened.secret})
        return 0
    output.line(f"{opened.entry.sink} sends to {printable(opened.entry.url)}. Its secret, shown once:")
    output.line(opened.secret)
    return 0


def _changed(output: Output, entry: WebhookEntry) -> int:
    if output.as_json:
        output.json(vars(entry))
    else:
        output.line(f"{entry.sink} is {'enabled' if entry.disabled_at is None else 'disabled'}.")
    return 0
