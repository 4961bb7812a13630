"""`ringfence doctor`: is this installation in order, and if not, what to do."""

from __future__ import annotations

from dataclasses import asdict

import typer

from api.cli._options import HomeOption, JsonOption, examples
from api.output import Column, Output, Table
from graph.home import Home

ORDER = 90
group = typer.Typer()

STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


@group.command(epilog=examples("ringfence doctor", "ringfence doctor --home .demo --json"))
def doctor(home: HomeOption = None, as_json: JsonOption = False) -> int:
    """Check the installation and the home; say what to do.

    Python, libraries, the pepper, disk space, settings, and whether the current run and the graph are up to
    date. Exit 1 when something has failed; warnings do not count.
    """
    from api.health import examine

    output = Output(as_json)
    checks = examine(Home.resolve(home))
    failed = any(check.state == "fail" for check in checks)
    if as_json:
        output.json({"healthy": not failed, "checks": [asdict(check) for check in checks]})
        return int(failed)
    output.table(
        Table(
            [Column("state"), Column("check"), Column("found")],
            [[check.state, check.name, check.found] for check in checks],
        )
    )
    for check in checks:
        if check.remedy:
            output.line()
            output.line(f"{check.name}: {check.state}", STYLES[check.state])
            output.paragraph(check.remedy, indent="  ")
    return int(failed)
