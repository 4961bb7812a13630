"""The `ringfence` command. Each verb group is a module of this package with a `group` and an `ORDER`.

A new module is found by itself: nothing here has to be edited to add a command.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import traceback
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from api.cli._options import help_if_bare
from api.output import Output, printable
from graph.errors import RingfenceError

ABOUT = "Finds rings of synthetic organizations, shows why, and acts on a whole ring at once."
INTERRUPTED = 130

EPILOG = "Start with: ringfence demo. Then, with data of your own: ringfence ingest FILE, ringfence run."


def application() -> typer.Typer:
    """The command with every verb group, in the order in which data flows."""
    app = typer.Typer(
        help=ABOUT,
        epilog=EPILOG,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback(invoke_without_command=True)(_start)
    modules = [
        importlib.import_module(f"{__name__}.{found.name}")
        for found in pkgutil.iter_modules(__path__)
        if not found.name.startswith("_")
    ]
    for module in sorted(modules, key=lambda module: int(module.ORDER)):
        app.add_typer(module.group)
    return app


def _start(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Show the version and exit."),
) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"ringfence {installed('ringfence')}")
        raise typer.Exit
    help_if_bare(context)


def invoke(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; errors become lines on stderr, never a traceback."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    output = Output(as_json="--json" in words)
    try:
        code = application()(words, prog_name="ringfence", standalone_mode=False)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # Typer turns the former into the latter
        return _reader_left()
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:  # the last line of defence: whatever it is, people get a sentence
        return _explain(output, error)
    if code == INTERRUPTED:
        output.error("interrupted", "Nothing half-done is kept: run the same command again.")
    return code if isinstance(code, int) else 0


def main() -> None:
    """The console script."""
    sys.exit(invoke())


def _usage_remedy(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "ringfence"
    return f"See: {command} --help"


def _explain(output: Output, error: Exception) -> int:
    """Say what went wrong, and return the exit code."""
    if isinstance(error, RingfenceError):
        output.error(error.message, error.remedy)
        return error.exit_code
    if isinstance(error, TyperException):
        output.error(error.format_message(), _usage_remedy(error))
        return error.exit_code
    return _unexpected(output, error)


def _reader_left() -> int:
    """The reader of a pipe (`| head`) closed it: that is no error, but Python must not flush again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _unexpected(output: Output, error: Exception) -> int:
    if os.environ.get("RINGFENCE_DEBUG"):
        traceback.print_exc()
    said = printable(" ".join(str(error).split()))
    output.error(
        f"unexpected {type(error).__name__}: {said}" if said else f"unexpected {type(error).__name__}",
        "This is a fault in Ringfence. RINGFENCE_DEBUG=1 shows the traceback; 'ringfence doctor' checks the home.",
    )
    return 1
