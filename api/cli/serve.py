"""`ringfence serve`: the HTTP API."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    _serve(Output(as_json), serving, Home.resolve(home), store)
    return 0


def _serve(output: Output, serving: Serving, home: Home, store: str | None) -> None:
    """Check, say where it is, and serve."""
    import uvicorn

    from api.app import Parts, create_app
    from api.auth.principal import LocalIdentities
    from api.auth.startup import check
    from api.http.server import configure, listen

    identities = LocalIdentities()
    check(serving, identities.approvers())
    listening = listen(serving)
    scheme = "https" if serving.certificate is not None else "http"
    address = f"{scheme}://{serving.host}:{listening.getsockname()[1]}"
    app = create_app(serving, home, Parts(identities=identities, store=store))
    opened = f"{address}/v1/session/open?token={identities.invite()}"
    if output.as_json:
        output.json({"address": address, "open": opened})
    else:
        output.line(f"Serving {home.path} on {address}. Stop with Ctrl-C.")
        output.line(f"Open once, within ten minutes: {opened}")
    with suppress(KeyboardInterrupt):  # to be interrupted is how it ends
        uvicorn.Server(configure(app, serving)).run(sockets=[listening])
