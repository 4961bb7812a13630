"""The process in which one detector runs: it takes the views, gives everything else up, and answers through a pipe.

Started by `detection.lifecycle.sandbox` with the number of one descriptor, which holds the job. Answers begin with
one letter: S when the detector is about to start, then R and its rows, or E and what was wrong, in words.
"""

from __future__ import annotations

import ast
import importlib
import json
import mmap
import os
import sys
import traceback
from collections.abc import Callable
from types import CodeType
from typing import Any

import pyarrow as pa
import pyarrow.compute  # casts load it, which is too late once the disk is given up

from detection.lifecycle import confine
from detection.lifecycle.answers import NonsenseError, encode

MODULES = (
    "bisect",
    "collections",
    "dataclasses",
    "datetime",
    "functools",
    "heapq",
    "itertools",
    "math",
    "numpy",
    "operator",
    "pyarrow",
    "pyarrow.compute",
    "re",
    "statistics",
    "string",
    "typing",
)
"""What a Python detector may import. They are loaded before the process gives up the disk."""
_ALSO = ("pyarrow.acero", "numpy.linalg")
"""What those load by themselves when they are first used."""
LONGEST_MESSAGE = 500


class _WrongError(Exception):
    """The detector cannot run, or did not answer properly; the message is for its author."""


def main(descriptor: int) -> None:
    """Do the job and end the process."""
    job = json.loads(bytes(_mapped(descriptor)))
    result: int = job["result"]
    try:
        _send(result, b"R" + encode(_answer(job)))
    except (_WrongError, NonsenseError, confine.UnconfinedError) as error:
        _fail(result, str(error))
    except MemoryError:
        _fail(result, f"it needs more than {job['memory_mb']:,} MB")
    except BaseException as error:  # whatever it is, its author is told
        _fail(result, f"{type(error).__name__}: {error}")
    os._exit(0)


def _answer(job: dict[str, Any]) -> pa.Table:
    tables = {name: _table(descriptor) for name, descriptor in job["views"].items()}
    prepare = _python if job["language"] == "python" else _sql
    run = prepare(job, tables)
    confine.limit_time(job["seconds"] + 1)
    if job["confined"]:
        confine.enter(job["memory_mb"] << 20)
    else:
        confine.limit_memory(job["memory_mb"] << 20)
    _send(job["result"], b"S")
    found = run()
    if len(found) > job["rows"]:
        raise _WrongError(
            f"it returns more rows than there are members ({job['rows']:,}): one row a member of a group"
        )
    return found


def _sql(job: dict[str, Any], tables: dict[str, pa.Table]) -> Callable[[], pa.Table]:
    """The SELECT, judged before it runs; both only once nothing else can be reached."""
    from detection.engines.confined import Confined, FailedSqlError, RefusedSqlError
    from detection.lifecycle.sql_rules import problems
    from detection.lifecycle.views import ANSWER

    database = Confined(tables, job["memory_mb"] * 3 // 4)

    def run() -> pa.Table:
        source: str = job["source"]
        try:
            found = problems(database.parsed(source), list(tables), database.pure)
            if found:
                raise _WrongError("; ".join(found))
            inner = f"({source.rstrip().removesuffix(';')}\n)"
            _check_columns(list(database.columns(f"SELECT * FROM {inner}")))
            cast = ", ".join(f'CAST("{one.name}" AS {one.type}) AS "{one.name}"' for one in ANSWER)
            return database.fetch(f"SELECT {cast} FROM {inner} LIMIT {job['rows'] + 1}")
        except RefusedSqlError as error:
            raise _WrongError(str(error)) from error
        except FailedSqlError as error:
            memory = f"it needs more than {job['memory_mb']:,} MB"
            raise _WrongError(memory if error.memory else str(error)) from error

    return run


def _check_columns(names: list[str]) -> None:
    """Say what is missing before a cast does, in its own words."""
    encode(pa.table({name: pa.nulls(0) for name in dict.fromkeys(names)}))


def _python(job: dict[str, Any], tables: dict[str, pa.Table]) -> Callable[[], pa.Table]:
    """The function `detect` of the source, compiled and called only once nothing else can be reached."""
    pa.set_cpu_count(1)
    for name in (*MODULES, *_ALSO):
        importlib.import_module(name)
    plain = {name: _plain(table) for name, table in tables.items()}
    file = f"{job['id']}.py"

    def run() -> pa.Table:
        space: dict[str, Any] = {"__name__": job["id"]}
        try:
            exec(_compiled(job["source"], file), space)  # noqa: S102 - this process exists for it
            found = space["detect"](plain)
        except (_WrongError, MemoryError):
            raise
        except PermissionError as error:
            said = f"a detector reaches no files, no network and no processes: {error}{_place(error, file)}"
            raise _WrongError(said) from error
        except BaseException as error:
            raise _WrongError(f"{type(error).__name__}: {error}{_place(error, file)}") from error
        if not isinstance(found, pa.Table):
            raise _WrongError(f"detect returned a {type(found).__name__}, a pyarrow.Table is wanted")
        return found

    return run


def _compiled(source: str, file: str) -> CodeType:
    tree = ast.parse(source, file)
    if not any(isinstance(one, ast.FunctionDef) and one.name == "detect" for one in tree.body):
        raise _WrongError("it defines no function detect(tables)")
    for node in ast.walk(tree):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or "."] if node.module != "__future__" else []
        for name in names:
            if name not in MODULES and not name.startswith(("numpy.", "collections.")):
                raise _WrongError(f"it imports {name}; there are {', '.join(MODULES)}")
    return compile(tree, file, "exec")


def _place(error: BaseException, file: str) -> str:
    lines = [one.lineno for one in traceback.extract_tb(error.__traceback__) if one.filename == file]
    if isinstance(error, SyntaxError):
        lines = [error.lineno]
    return f" (line {lines[-1]})" if lines else ""


def _plain(table: pa.Table) -> pa.Table:
    """Keys as sixteen bytes: Arrow groups and joins by those, not by UUIDs."""
    for place, field in enumerate(table.schema):
        if isinstance(field.type, pa.BaseExtensionType):
            storage = [chunk.storage for chunk in table.column(place).chunks]
            column = pa.chunked_array(storage, type=field.type.storage_type)
            table = table.set_column(place, field.name, column)
    return table


def _mapped(descriptor: int) -> memoryview:
    """A file's content; the descriptor is closed."""
    content = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    os.close(descriptor)
    return memoryview(content)


def _table(descriptor: int) -> pa.Table:
    return pa.ipc.open_stream(pa.py_buffer(_mapped(descriptor))).read_all()


def _fail(result: int, message: str) -> None:
    said = " ".join(message.split())[:LONGEST_MESSAGE]
    _send(result, b"E" + said.encode("utf-8", "replace"))


def _send(result: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(result, left) :]


if __name__ == "__main__":
    main(int(sys.argv[1]))
