"""Answers that are files: written whole beside the home's facts, then streamed, then removed."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from anyio import open_file
from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse

BLOCK = 1 << 16


def streamed(home: Path, name: str, media_type: str, write: Callable[[Path], object]) -> StreamingResponse:
    """Let `write` write a file, then stream it as a download of this name. It is removed afterwards."""
    folder = home / "spool" / f"export-{secrets.token_hex(8)}"
    folder.mkdir(mode=0o700, parents=True)
    target = folder / name
    try:
        write(target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return StreamingResponse(
        _blocks(target),
        media_type=media_type,
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Length": str(target.stat().st_size),
        },
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )


async def _blocks(path: Path) -> AsyncIterator[bytes]:
    async with await open_file(path, "rb") as file:
        while block := await file.read(BLOCK):
            yield block
