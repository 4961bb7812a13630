"""The examples of the documents: commands in `console` blocks, and files that they need."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_FILE = re.compile(r"<!-- file: (\S+) -->\n```\w*\n(.*?)```", re.DOTALL)
_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
_TITLE = re.compile(r"(?!pattern )[#\w][^0-9.…_]*[^0-9.…_:]$")
_CLUSTER = re.compile(r"cl_[a-z2-7]{10}")


@dataclass(frozen=True)
class Example:
    """One command of a page, and the lines that the page shows under it."""

    page: str
    words: tuple[str, ...]
    shown: tuple[str, ...]
    code: int = 0
    """Its exit code: 0 unless the page says `# exit N` after the command."""


def files_of(page: Path) -> dict[str, str]:
    """Files that the page tells its reader to have: name and content."""
    return dict(_FILE.findall(page.read_text(encoding="utf-8")))


def examples_of(page: Path) -> list[Example]:
    """Every `$ ringfence …` of the page's console blocks, in order."""
    found = []
    for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            command, _, code = command.partition("  # exit ")
            words = tuple(shlex.split(command))
            if words[0] == "ringfence":
                found.append(Example(page.name, words[1:], tuple(shown), int(code or 0)))
    return found


def adapted(example: Example, cluster: str, pair: tuple[str, str]) -> list[str]:
    """The command for other data than the page's: its cluster and its pair stand for those there."""
    if ".demo" not in example.words:  # a page's own campaign is the same wherever it is made
        return list(example.words)
    words = [_CLUSTER.sub(cluster, word) for word in example.words]
    if words[0] == "why":
        words[1:3] = [*pair]
    return words


def shape(lines: Iterable[str]) -> list[str]:
    """What is the same whatever the data: titles of sections and tables, without their spacing.

    That is, lines that begin in the first column and hold no figure, id or colon at the end. The page may leave
    lines out.
    """
    plain = [line.replace("24h", "day").rstrip() for line in lines]
    return [" ".join(line.split()) for line in plain if line and not line[0].isspace() and _TITLE.match(line)]
