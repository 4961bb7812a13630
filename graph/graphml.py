"""GraphML (http://graphml.graphdrawing.org/specification.html), written as a stream.

Every attribute is declared with its type, absent ones are left out, and what XML 1.0 cannot hold (most control
characters, lone surrogates, U+FFFE and U+FFFF) is written out as `<U+XXXX>`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa

ROWS = 16_384
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ENDS = ("id", "source", "target")
_TYPES = {pa.int64(): "long", pa.float64(): "double", pa.bool_(): "boolean"}


def graphml(nodes: pa.Table, edges: pa.Table) -> Iterator[bytes]:
    """An undirected graph: `nodes` have an `id`, `edges` a `source` and a `target`; all else is attributes."""
    yield b'<?xml version="1.0" encoding="UTF-8"?>\n'
    yield b'<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'
    for element, table in (("node", nodes), ("edge", edges)):
        for field in table.schema:
            if field.name not in _ENDS:
                kind = _TYPES.get(field.type, "string")
                yield (
                    f'<key id="{element}-{field.name}" for="{element}" '
                    f'attr.name="{field.name}" attr.type="{kind}"/>\n'
                ).encode()
    yield b'<graph edgedefault="undirected">\n'
    yield from _elements("node", nodes)
    yield from _elements("edge", edges)
    yield b"</graph>\n</graphml>\n"


def legal(text: str) -> str:
    """The text with characters that XML 1.0 forbids written as `<U+XXXX>`."""
    return _ILLEGAL.sub(lambda match: f"<U+{ord(match.group()):04X}>", text)


def _elements(element: str, table: pa.Table) -> Iterator[bytes]:
    for batch in table.to_batches(max_chunksize=ROWS):
        yield "".join(_element(element, row) for row in batch.to_pylist()).encode()


def _element(element: str, row: Mapping[str, Any]) -> str:
    ends = " ".join(f"{name}={quoteattr(legal(row[name]))}" for name in _ENDS if name in row)
    data = "".join(
        f'<data key="{element}-{name}">{_text(value)}</data>'
        for name, value in row.items()
        if name not in _ENDS and value is not None
    )
    return f"<{element} {ends}>{data}</{element}>\n"


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bool):
        return str(value).lower()
    # A parser turns a bare carriage return into a line feed.
    return escape(legal(str(value)), {"\r": "&#13;"})
