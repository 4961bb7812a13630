"""`ringfence label`: what a person knows about an organization, kept as a fact."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli._options import HomeOption, JsonOption, examples
from api.output import Output, one_of, printable
from graph.home import Home

ORDER = 80
group = typer.Typer()

LABELS = ("abusive", "legitimate")


@group.command(
    epilog=examples(
        'ringfence label org_1 abusive --reason "same operator as org_2, confirmed by support"',
        'ringfence label org_3 legitimate --reason "university course, called them"',
    )
)
def label(
    organization: Annotated[str, typer.Argument(metavar="ORG", help="An organization's id, exactly.")],
    verdict: Annotated[str, typer.Argument(metavar="LABEL", help="abusive or legitimate.")],
    reason: Annotated[str, typer.Option("--reason", help="Why: others will read it.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Record that an organization is abusive or legitimate."""
    from api.labels import label_organization

    one_of(verdict, LABELS, "label")
    output = Output(as_json)
    event = label_organization(Home.resolve(home), organization, verdict, reason)
    if as_json:
        output.json(event)
        return 0
    output.line(f"{printable(organization)} is labelled {verdict}. The next run knows it: ringfence run")
    return 0
