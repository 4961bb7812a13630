"""Licence, notice, dependencies, and what must not be in a tracked file."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
LISTED = dict(re.findall(r"^\| ([a-z][a-z0-9-]*) \| ([^|]+) \|", PAGE, re.MULTILINE))

FORBIDDEN = (
    r"files\.pythonhosted\.org",
    r"pypi\.org/simple",
    r"--(extra-)?index-url",
    r"--find-links",
    r"(?<![\w.~])/(root|home|work|opt)/\w",
)
"""Hosts of registries and paths of one machine: a clone has to work elsewhere."""


UNDECLARED = {"pysqlite3": ("Zlib", "provided 'as-is', without any express or implied warranty")}
"""Packages whose metadata names no licence: which it is, and words of it in their licence file."""


def _declared() -> list[str]:
    groups = [PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"].values()]
    names = {re.split(r"[<>=!~ ;\[]", line)[0].lower() for group in groups for line in group}
    return sorted(names)


def _pinned(lock: str) -> dict[str, int]:
    """Each pinned package with the number of its hashes."""
    pins: dict[str, int] = {}
    for line in (ROOT / lock).read_text(encoding="utf-8").splitlines():
        if found := re.match(r"([A-Za-z0-9._-]+)==", line):
            current = found[1].lower()
            pins.setdefault(current, 0)
        elif "--hash=sha256:" in line:
            pins[current] += 1
    return pins


def _declared_licence(name: str) -> str:
    if name in UNDECLARED:
        licence, words = UNDECLARED[name]
        files = [file for file in metadata.files(name) or [] if file.name == "LICENSE"]
        return licence if any(words in file.read_text() for file in files) else ""
    data = metadata.metadata(name)
    texts = [data.get("License-Expression") or "", data.get("License") or ""]
    return " ".join(texts + [text for text in data.get_all("Classifier") or [] if "License" in text])


def test_our_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert PROJECT["project"]["license"] == "Apache-2.0"


def test_whoever_ships_igraph_is_told_what_follows() -> None:
    for page in ((ROOT / "NOTICE").read_text(encoding="utf-8"), PAGE):
        assert "igraph" in page
        assert re.search(r"GPL-3\.0|General Public License, version 3", page)


@pytest.mark.parametrize("name", _declared())
def test_every_dependency_has_a_line(name: str) -> None:
    assert name in LISTED, f"say in docs/dependencies.md why {name} is needed, and its licence"


@pytest.mark.parametrize("name", sorted(LISTED.keys() - {"package"}))
def test_listed_licences_are_those_of_the_packages(name: str) -> None:
    try:
        declared = _declared_licence(name)
    except metadata.PackageNotFoundError:
        pytest.skip(f"{name} is not installed here")
    assert LISTED[name].strip().split()[0].removesuffix("-Clause").rstrip("-23") in declared


@pytest.mark.parametrize("lock", ["requirements.lock", "bench/requirements.lock"])
def test_locks_pin_by_hash(lock: str) -> None:
    pins = _pinned(lock)
    assert pins
    assert all(pins.values()), [name for name, hashes in pins.items() if not hashes]


def test_the_lock_holds_what_is_declared() -> None:
    declared = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["test"]]
    names = {re.split(r"[<>=!~ ;\[]", line)[0].lower() for line in declared}
    assert names <= set(_pinned("requirements.lock"))


def _tracked() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / line for line in done.stdout.splitlines() if (ROOT / line).is_file()]


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_no_tracked_file_names_a_registry_or_a_machine(pattern: str) -> None:
    found = []
    for file in _tracked():
        if file == Path(__file__).resolve() or file.suffix in {".parquet", ".gz", ".zst"}:
            continue
        text = file.read_bytes().decode("utf-8", "replace")
        found += [f"{file.relative_to(ROOT)}: {hit[0]}" for hit in re.finditer(pattern, text)]
    assert not found
