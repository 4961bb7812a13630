"""`ringfence serve`: the HTTP API."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli._deeds import AloneOption
from api.cli._options import HomeOption, JsonOption, StoreOption, examples
from api.output import Output
from graph.home import Home

if TYPE_CHECKING:
    from api.auth.startup import Serving

ORDER = 88
PORT = 8321
group = typer.Typer()


@group.command(
    epilog=examples(
        "ringfence serve",
        "ringfence serve --port 9000",
        "ringfence serve --host 0.0.0.0 --allow-host rings.example.com --trusted-proxy 10.0.0.2",
    )
)
def serve(
    host: Annotated[
        str, typer.Option("--host", help="Address to serve on; others than this machine's own need more.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="Port; 0 takes a free one.")] = PORT,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="A host name it is reached under."),
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option("--tls-certificate", metavar="FILE", help="Certificate chain (PEM).")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="Its key (PEM).")] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            "--trusted-proxy", metavar="ADDRESS", help="A proxy whose X-Forwarded headers are believed."
        ),
    ] = None,
    single_operator: AloneOption = False,
    home: HomeOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> int:
    """Serve the HTTP API until interrupted.

    On this machine it needs no set-up: open the address that it prints, once. Anywhere else it refuses to start
    without TLS or a trusted proxy, OIDC or an admin password, a pepper, an audit key and two approvers.
    """
    from api.auth.startup import Serving

    names, proxies = tuple(allow_host or ()), tuple(trusted_proxy or ())
    serving = Serving(host, port, names, tls_certificate, tls_key, proxies, dict(os.environ))
    _serve(Output(as_json), serving, Home.resolve(home), store, single_operator=single_operator)
    return 0


def _serve(output: Output, serving: Serving, home: Home, store: str | None, *, single_operator: bool) -> None:
    """Say where it is, and serve."""
    import uvicorn

    from actions.access.identities import LedgerIdentities
    from api.app import Parts, create_app
    from api.deciding.desk import open_desk
    from api.deciding.people import first_admin
    from api.http.server import configure, listen

    desk = open_desk(home, single_operator=single_operator)
    first_admin(desk, serving.environment)
    identities = LedgerIdentities(desk.ledger, local=serving.local)
    app = create_app(serving, home, Parts(identities=identities, desk=desk, store=store))
    listening = listen(serving)
    scheme = "https" if serving.certificate is not None else "http"
    address = f"{scheme}://{serving.host}:{listening.getsockname()[1]}"
    opened = f"{address}/v1/session/open?token={identities.invite_owner()}" if serving.local else None
    if output.as_json:
        output.json({"address": address, "open": opened})
    else:
        output.line(f"Serving {home.path} on {address}. Stop with Ctrl-C.")
        if opened is not None:
            output.line(f"Open once, within ten minutes: {opened}")
    signal.signal(
        signal.SIGTERM, lambda *_: None
    )  # it is raised once more when all has ended: that is success
    with suppress(KeyboardInterrupt):  # to be interrupted is how it ends
        uvicorn.Server(configure(app, serving)).run(sockets=[listening])
