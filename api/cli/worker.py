"""`ringfence worker`: whoever turns decisions into effects."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli._deeds import deciding, until_stopped
from api.cli._options import HomeOption, JsonOption, examples
from api.output import Output, printable
from graph.errors import RingfenceError

if TYPE_CHECKING:
    from api.deciding.desk import Desk

ORDER = 85
NOTHING = 3
group = typer.Typer()


@group.command(
    epilog=examples(
        "ringfence worker",
        "ringfence worker --once",
        "ringfence worker --home /var/lib/ringfence --alive /tmp/worker",
    )
)
def worker(
    once: Annotated[
        bool,
        typer.Option(
            "--once", help="Do what can be done now and stop, as from cron; exit 3 if there was nothing."
        ),
    ] = False,
    alive: Annotated[
        Path | None,
        typer.Option(
            "--alive",
            metavar="FILE",
            help="Touch a file every few seconds while nothing is stuck: 'ringfence health --alive' looks at it.",
        ),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Do the work of plans until stopped: waves, sinks, expiry, records.

    Several may run: one works, the others stand by. What is being sent when it is stopped is settled first. A webhook
    that is added meanwhile is served.
    """
    output = Output(as_json)
    with deciding(home, output) as desk:
        if once:
            return _once(output, desk)
        _work(output, desk, alive)
    return 0


def _once(output: Output, desk: Desk) -> int:
    """What there is now."""
    from api.deciding import working

    done = working.once(desk, until_stopped())
    if output.as_json:
        output.json({"worker": working.holder(), "done": done})
    else:
        output.line("What could be done now is done." if done else "There is nothing to do.")
    return 0 if done else NOTHING


def _work(output: Output, desk: Desk, alive: Path | None) -> None:
    from api.deciding import working

    def touch() -> None:
        if alive is not None:
            with suppress(OSError):  # whoever looks at it will know
                alive.touch()

    stop = until_stopped()
    try:
        if alive is not None:
            alive.touch()
    except OSError as error:
        raise RingfenceError(
            f"cannot write {printable(str(alive))}: {error.strerror}",
            "Name a file that this user may write.",
            exit_code=2,
        ) from error
    if output.as_json:
        output.json({"worker": working.holder(), "ledger": desk.ledger.database})
    else:
        output.line(f"Working on {printable(str(desk.home.path))} as {working.holder()}. Stop with Ctrl-C.")
    working.run(desk, stop, touch)
