"""A detector of a home as it is written: a header of comment lines, then one SELECT or one Python function."""

from __future__ import annotations

import hashlib
import re
import string
from dataclasses import dataclass
from typing import Literal, get_args

from detection.detector import Detector, EvidenceClass, Group
from detection.detector import detectors as shipped_detectors
from detection.lifecycle.views import VIEWS

Language = Literal["sql", "python"]
SUFFIXES: dict[str, Language] = {".sql": "sql", ".py": "python"}
COMMENTS: dict[Language, str] = {"sql": "--", "python": "#"}
FIELDS = ("id", "title", "meaning", "fact", "group", "evidence_class", "reads")
LONGEST = 64 * 1024
"""Bytes of a file; the largest that ships has three thousand."""
LONGEST_TEXT = 300
ID = re.compile(r"[a-z][a-z0-9_]{2,39}")
TAKEN = frozenset({"base", "size", "state", "shadow"})
PLACES = frozenset({"affected", "eligible"})


class FaultyError(Exception):
    """A file that is no detector; `problems` says in plain words what has to change."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class HomeDetector:
    """One file of HOME/detectors: what it declares, what it runs, and the SHA-256 of the file's bytes.

    `declares.sql` is empty: nothing of it may ever run in the process of a run.
    """

    declares: Detector
    language: Language
    source: str
    digest: str

    @property
    def id(self) -> str:
        """Its name, which is the file's."""
        return self.declares.id


def digest(content: bytes) -> str:
    """What promotion binds to."""
    return hashlib.sha256(content).hexdigest()


def define(name: str, language: Language, content: bytes) -> HomeDetector:
    """The detector in a file called `name` (without its suffix). Raises FaultyError with all that is wrong."""
    problems = [f"{what}" for what in id_problems(name)]
    if len(content) > LONGEST:
        raise FaultyError([*problems, f"the file has {len(content):,} bytes, {LONGEST:,} are allowed"])
    try:
        source = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FaultyError([*problems, f"the file is not UTF-8 (byte {error.start})"]) from error
    header = read_header(source, COMMENTS[language])
    problems += [
        f"the header lacks a line '{COMMENTS[language]} {field}: …'"
        for field in FIELDS
        if field not in header
    ]
    problems += list(_field_problems(name, header))
    if problems:
        raise FaultyError(problems)
    declares = Detector(
        id=name,
        title=header["title"],
        meaning=header["meaning"],
        fact=header["fact"],
        group=header["group"],  # type: ignore[arg-type]  # one of them, see _choice
        evidence_class=header["evidence_class"],  # type: ignore[arg-type]  # one of them, see _choice
        reads=listed(header["reads"]),
        sql="",
    )
    return HomeDetector(declares, language, source, digest(content))


def read_header(source: str, comment: str) -> dict[str, str]:
    """The fields at the top of a file: `-- name: value`, continued in comment lines that are indented further."""
    header: dict[str, str] = {}
    last = ""
    start = re.compile(rf"^{re.escape(comment)}\s*({'|'.join(FIELDS)}):\s*(.*)$")
    for line in source.splitlines():
        if line.strip() and not line.startswith(comment):
            break
        if found := start.match(line):
            last = found[1]
            header[last] = found[2].strip()
        elif last and line.startswith(comment + "   ") and line[len(comment) :].strip():
            header[last] += " " + line[len(comment) :].strip()
        else:
            last = ""
    return header


def listed(value: str) -> tuple[str, ...]:
    """The words between commas."""
    return tuple(word.strip() for word in value.split(",") if word.strip())


def id_problems(name: str) -> list[str]:
    """What is wrong with a detector's id."""
    if not ID.fullmatch(name):
        return [f"the id {name!r} is not 3 to 40 lower-case letters, digits and underscores, a letter first"]
    if name in TAKEN or name in {one.id for one in shipped_detectors()}:
        return [f"the id {name!r} is taken by Ringfence itself: choose another one"]
    return []


def _field_problems(name: str, header: dict[str, str]) -> list[str]:
    problems = []
    for field, value in header.items():
        if not value:
            problems.append(f"{field}: is empty")
        elif len(value) > LONGEST_TEXT or not value.isprintable():
            problems.append(f"{field}: has to be at most {LONGEST_TEXT} printable characters")
    if header.get("id", name) != name:
        problems.append(f"id: says {header['id']!r}, the file is called {name!r}")
    problems += _choice("group", header, get_args(Group))
    problems += _choice("evidence_class", header, get_args(EvidenceClass))
    if header.get("fact"):
        problems += _fact_problems(header["fact"])
    for view in listed(header.get("reads", "")):
        if view not in VIEWS:
            problems.append(f"reads: there is no view {view!r}; there are {', '.join(VIEWS)}")
    return problems


def _choice(field: str, header: dict[str, str], choices: tuple[str, ...]) -> list[str]:
    value = header.get(field)
    if not value or value in choices:
        return []
    return [f"{field}: {value!r} is none of {', '.join(choices)}"]


def _fact_problems(fact: str) -> list[str]:
    try:
        places = {name for _, name, form, _ in string.Formatter().parse(fact) if name is not None}
    except ValueError:
        places = {"?"}
    if places == PLACES:
        return []
    return ["fact: is a sentence with the places {affected} and {eligible}, both of them and no others"]
