"""Answers that a client may have already, and that are worth compressing."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

JSON = "application/json"
LEVEL = 5
WORTH = 1_024
"""Shorter bodies do not get shorter."""


@dataclass(frozen=True)
class Prepared:
    """A body with its tag, plain and compressed: made once, sent many times."""

    body: bytes
    packed: bytes
    etag: str

    @classmethod
    def of(cls, body: bytes) -> Prepared:
        """Prepare a body."""
        digest = hashlib.blake2b(body, digest_size=16).hexdigest()
        packed = gzip.compress(body, LEVEL, mtime=0) if len(body) >= WORTH else b""
        return cls(body, packed, f'W/"{digest}"')


def weight(prepared: Prepared) -> int:
    """Its bytes."""
    return len(prepared.body) + len(prepared.packed)


def answer(request: Request, prepared: Prepared) -> Response:
    """304 where the client has it, else the body in the encoding that the client takes."""
    headers = {
        "ETag": prepared.etag,
        "Vary": "Accept-Encoding, Authorization, Cookie",
        "Cache-Control": "private, no-cache",
    }
    if prepared.etag in _listed(request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    if prepared.packed and _takes_gzip(request.headers.get("accept-encoding", "")):
        headers["Content-Encoding"] = "gzip"
        return Response(prepared.packed, headers=headers, media_type=JSON)
    return Response(prepared.body, headers=headers, media_type=JSON)


def _listed(header: str) -> set[str]:
    return {part.strip() for part in header.split(",")}


def _takes_gzip(header: str) -> bool:
    for part in header.lower().split(","):
        name, _, quality = part.strip().partition(";")
        if name.strip() in ("gzip", "*"):
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
