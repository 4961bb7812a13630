"""`ringfence migrate` and `ringfence health`: what an installation does before it serves, and asks while it does."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli._options import HomeOption, JsonOption, StoreOption, examples
from api.output import Output, printable
from graph.errors import RingfenceError
from graph.home import Home

if TYPE_CHECKING:
    import httpx

ORDER = 91
URL = "http://127.0.0.1:8321"
TIMEOUT_S = 4.0
SILENT_S = 30.0
"""A worker that lives says so every five seconds."""
group = typer.Typer()


@group.command(epilog=examples("ringfence migrate", "ringfence migrate --store neo4j"))
def migrate(home: HomeOption = None, store: StoreOption = None, as_json: JsonOption = False) -> int:
    """Bring the ledger's tables and the graph store up to this version.

    Several processes may do so at once. Every command that needs it does it by itself; before many of them start it is
    done once.
    """
    from api.deciding.desk import opened
    from api.stores import chosen
    from graph.stores import open_store

    output = Output(as_json)
    place = Home.resolve(home)
    with opened(place) as desk:
        ledger = desk.ledger.database
    name = chosen(store)
    graph = open_store(name, place)
    try:
        graph.migrate()
    finally:
        graph.close()
    if as_json:
        output.json({"ledger": ledger, "store": name})
    else:
        output.line(f"The ledger ({ledger}) and the graph store ({name}) are up to date.")
    return 0


@group.command(
    epilog=examples(
        "ringfence health",
        "ringfence health --url https://127.0.0.1:8321 --host rings.example.com",
        "ringfence health --alive /tmp/worker",
    )
)
def health(
    url: Annotated[str, typer.Option(metavar="URL", help="Where this machine's server listens.")] = URL,
    host: Annotated[
        str | None, typer.Option(metavar="NAME", help="The name under which it is reached from elsewhere.")
    ] = None,
    alive: Annotated[
        Path | None,
        typer.Option("--alive", metavar="FILE", help="Ask for a worker: the file that it was told to touch."),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Ask a server or a worker of this machine whether it lives.

    Exit 1: it does not.

    Its certificate is for its own name, not for this machine's address, and is therefore not checked.
    """
    import httpx

    from api.auth.startup import loopback

    output = Output(as_json)
    if alive is not None:
        return _touched(output, alive)
    where = httpx.URL(url)
    if not loopback(where.host):
        raise RingfenceError(f"{printable(where.host)} is not this machine", "Name 127.0.0.1.", exit_code=2)
    headers = {} if host is None else {"Host": host}
    try:
        answer = httpx.get(where.join("/healthz"), headers=headers, timeout=TIMEOUT_S, verify=False)  # noqa: S501
    except httpx.HTTPError as error:
        raise RingfenceError(
            f"nothing answers at {printable(url)} ({type(error).__name__})", "Start it: ringfence serve"
        ) from error
    return _say(output, answer)


def _touched(output: Output, file: Path) -> int:
    """Whether a worker said lately that nothing of it is stuck."""
    try:
        age = time.time() - file.stat().st_mtime
    except OSError as error:
        raise RingfenceError(
            f"no worker touched {printable(str(file))} ({error.strerror})",
            f"Start it: ringfence worker --alive {printable(str(file))}",
        ) from error
    lives = age < SILENT_S
    if output.as_json:
        output.json({"alive": lives, "seconds": round(age, 1)})
    else:
        output.line("alive" if lives else f"not well: silent for {age:.0f} s")
    return 0 if lives else 1


def _say(output: Output, answer: httpx.Response) -> int:
    alive = answer.is_success
    if output.as_json:
        output.json({"alive": alive, "status": answer.status_code})
    else:
        output.line("alive" if alive else f"not well: it answers {answer.status_code}")
    return 0 if alive else 1
