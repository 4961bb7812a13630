"""`ringfence erase`: an organization that wants to be forgotten."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli._deeds import ReasonOption, deciding
from api.cli._options import HomeOption, JsonOption, StoreOption, examples
from api.output import Output, counted, printable
from api.progress import progress
from graph.errors import RingfenceError

ORDER = 90
group = typer.Typer()


@group.command(
    epilog=examples('ringfence erase org_4711 --reason "request 12 of their owner" --confirm org_4711')
)
def erase(
    organization: Annotated[str, typer.Argument(metavar="ORGANIZATION", help="Its id, exactly.")],
    reason: ReasonOption,
    confirm: Annotated[
        str, typer.Option(metavar="ORGANIZATION", help="Its id once more: nothing undoes this.")
    ],
    home: HomeOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> int:
    """Erase an organization for good.

    No file holds a value of it afterwards, and ingesting again does not bring it back. Its events, values that nobody
    else has, quarantined rows, its name in runs, in the graph and in the ledger go; the audit keeps what was done
    under a name that leads nowhere. What restricts it ends without an effect: restore it first if that matters. Run
    it again if it was interrupted. Backups and what was sent elsewhere are yours to clean.
    """
    from api.erasing import erase_organization

    if confirm != organization:
        raise RingfenceError(
            "--confirm is not the same id",
            "Type the organization's id once more: nothing undoes this.",
            exit_code=2,
        )
    output = Output(as_json)
    with deciding(home, output) as desk, progress(quiet=as_json) as reporter:
        found = erase_organization(desk, organization, reason, store=store, progress=reporter)
    if as_json:
        output.json(vars(found))
        return 0
    output.line(
        f"{printable(organization)} is erased: {counted(found.events, 'event')}, {counted(found.values, 'value')},"
        f" {counted(found.quarantined, 'quarantined row')}, mentioned in {counted(found.mentions, 'event')} of others,"
        f" {counted(found.files, 'file')} written anew. The audit keeps it as {found.known_as}."
    )
    return 0
