"""Imports point down, and drivers stay in their adapters."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DRIVERS = ("apsw", "duckdb", "igraph", "neo4j", "pyspark", "sqlalchemy", "sklearn", "scipy", "typer", "rich")
QUICK = ("pyarrow", "numpy", "duckdb", "igraph", "sklearn", "scipy")


def _loaded(statement: str, names: tuple[str, ...]) -> list[str]:
    code = f"import sys; {statement}; print(*[name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_import_graph_loads_no_driver() -> None:
    assert _loaded("import graph", DRIVERS) == []


def test_the_store_protocol_and_the_schema_load_no_driver() -> None:
    assert _loaded("import graph.store, graph.schema, graph.facts, graph.identifiers", DRIVERS) == []


def test_help_loads_nothing_heavy() -> None:
    silenced = "contextlib.redirect_stdout(io.StringIO()).__enter__()"
    statement = f"import contextlib, io; from api.cli import invoke; {silenced}; invoke(['--help'])"
    assert _loaded(f"{statement}; sys.stdout = sys.__stdout__", QUICK) == []


def test_contracts_hold() -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [tool, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
