"""The image and what runs beside it: read without an engine, and its own commands run as they stand."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_schema import COMPOSE
from jsonschema_rs import validator_for

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
PREFIX = "/srv/ringfence"


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile, with the number of its stage from 0 (-1 before the first)."""

    stage: int
    name: str
    rest: str

    @property
    def argv(self) -> list[str]:
        """The words of its exec form."""
        found = yaml.safe_load(self.rest)
        assert isinstance(found, list), self.rest
        return [str(word) for word in found]


def instructions() -> list[Instruction]:
    text = re.sub(r"^#.*\n", "", (DOCKER / "Dockerfile").read_text(), flags=re.M)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    found: list[Instruction] = []
    stage = -1
    for line in filter(str.strip, lines):
        name, _, rest = line.partition(" ")
        stage += name == "FROM"
        found.append(Instruction(stage, name, rest.strip()))
    return found


def last_stage() -> list[Instruction]:
    every = instructions()
    return [each for each in every if each.stage == every[-1].stage]


def of(name: str) -> str:
    return next(each.rest for each in last_stage() if each.name == name)


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    return found


def test_the_image_is_small_unprivileged_and_knows_its_health() -> None:
    names = {"FROM", "ARG", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL"}
    names |= {"HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert {each.name for each in instructions()} <= names
    assert len({each.stage for each in instructions() if each.stage >= 0}) == 3
    user, _, group = of("USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0
    placed = [each.name for each in last_stage()]
    assert placed.index("USER") > max(place for place, name in enumerate(placed) if name in {"RUN", "COPY"})
    assert "CMD" in of("HEALTHCHECK")
    assert next(each for each in last_stage() if each.name == "ENTRYPOINT").argv == ["ringfence"]
    assert not re.search(r"(?i)(password|secret|token|key)=", (DOCKER / "Dockerfile").read_text())


def test_every_package_of_the_image_is_pinned_by_hash_as_in_the_tests() -> None:
    for each in instructions():
        if each.name == "RUN" and "pip install" in each.rest and "--no-index" not in each.rest:
            assert "--require-hashes" in each.rest
    tested = pins(ROOT / "requirements.lock")
    for lock in ("requirements.lock", "build.lock"):
        shipped = pins(DOCKER / lock)
        assert shipped
        assert {name: tested.get(name) for name in shipped} == shipped
    assert "pytest" not in pins(DOCKER / "requirements.lock")


def pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9._-]+(?:\[\w+\])?)==([^ ;\\]+)", path.read_text(), re.M))


def test_what_is_copied_is_there_and_nothing_else_is_sent() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert all(list(ROOT.glob(pattern)) for pattern in kept)
    packages = re.search(r"^packages = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), re.M)
    assert packages is not None
    assert set(re.findall(r'"(\w+)"', packages[1])) <= set(kept)


def test_compose_keeps_to_its_specification(composed: dict[str, Any]) -> None:
    assert [str(error) for error in validator_for(COMPOSE).iter_errors(composed)] == []
    wrong = {**composed, "services": {**composed["services"], "api": {"imaeg": "x"}}}
    assert list(validator_for(COMPOSE).iter_errors(wrong))


def test_compose_names_only_what_there_is(composed: dict[str, Any]) -> None:
    services = composed["services"]
    assert set(services) == {"migrate", "api", "worker", "postgres", "neo4j"}
    for name, service in services.items():
        assert set(service.get("secrets", ())) <= set(composed["secrets"]), name
        named = {each.partition(":")[0] for each in service["volumes"] if not each.startswith((".", "/"))}
        assert named <= set(composed["volumes"]), name
        assert set(service.get("depends_on", {})) <= set(services), name
        for value in service.get("environment", {}).values():
            secret = re.match(r"/run/secrets/(\w+)", str(value))
            assert secret is None or secret[1] in service["secrets"], (name, value)


def test_compose_gives_our_own_processes_little(composed: dict[str, Any]) -> None:
    for name in ("migrate", "api", "worker"):
        service = composed["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["stop_grace_period"]
        assert not any("PASSWORD" in key and not key.endswith("_FILE") for key in service["environment"])
    for name in ("api", "worker"):
        assert composed["services"][name]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"}
        }
    for name in ("postgres", "neo4j"):
        assert composed["services"]["migrate"]["depends_on"][name] == {"condition": "service_healthy"}
        assert composed["services"][name]["healthcheck"]["test"]


def test_up_says_in_a_line_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([DOCKER / "up"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no container engine")
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 0\n")
    environment["RINGFENCE_SECRETS"] = str(tmp_path)
    done = subprocess.run([DOCKER / "up"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pepper is missing" in done.stderr


class Image:
    """The image's steps in a folder: its paths moved below it, its commands run by a user without rights."""

    def __init__(self, folder: Path, python: str, user: str | None) -> None:
        self.folder, self._python, self._user = folder, python, user
        self.home = folder / "home"
        self.environment = {
            "PATH": f"{self.moved(PREFIX)}/bin:/usr/bin:/bin",
            "HOME": str(folder),
            "TMPDIR": str(folder / "tmp"),
            "RINGFENCE_HOME": str(self.home),
            "RINGFENCE_PEPPER_FILE": str(folder / "secrets" / "pepper"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
        }

    def moved(self, text: str) -> str:
        """Paths of the image as they are here."""
        for path in (PREFIX, "/build", "/wheels"):
            text = re.sub(rf"(?<![\w/.]){re.escape(path)}\b", f"{self.folder}{path}", text)
        return re.sub(r"(?<![\w/.])python -m venv", f"{self._python} -m venv", text)

    def run(self, command: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder / "src",
            env=self.environment,
            user=self._user,
            group=self._user and "nogroup",
            extra_groups=[] if self._user else None,
            capture_output=True,
            text=True,
            check=False,
            **more,
        )

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.home,
            env=self.environment,
            user=self._user,
            group=self._user and "nogroup",
            extra_groups=[] if self._user else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def usable_python(user: str | None) -> str | None:
    """An interpreter with venv that this user may run."""
    if user is None:
        return sys.executable
    for name in ("python3.14", "python3.13", "python3.12", "python3.11"):
        for folder in ("/usr/local/bin", "/usr/bin"):
            python = f"{folder}/{name}"
            works = [python, "-c", "import ensurepip, venv"]
            if Path(python).exists() and (
                subprocess.run(works, user=user, capture_output=True, check=False, cwd="/").returncode == 0
            ):
                return python
    return None


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The image's own install steps, done. Folders of pytest are closed to other users, so it has one of its own."""
    user = "nobody" if os.getuid() == 0 else None
    python = usable_python(user)
    if python is None:
        pytest.skip(
            "no Python 3.11 or newer with venv that an unprivileged user may run: install python3-venv"
        )
    root = Path(tempfile.mkdtemp(prefix="ringfence-image-"))
    root.chmod(0o755)
    try:
        image = Image(root, python, user)
        for name in ("src", "tmp", "home", "secrets", "srv"):
            (root / name).mkdir()
        kept = [
            line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
        ]
        for found in (path for pattern in kept for path in ROOT.glob(pattern)):
            target = root / "src" / found.relative_to(ROOT)
            target.parent.mkdir(exist_ok=True)
            if found.is_dir():
                shutil.copytree(found, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(found, target)
        if user is not None:
            subprocess.run(["chown", "-R", f"{user}:nogroup", root], check=True)
        for each in instructions():
            if (each.name == "RUN" and "pip" in each.rest) or each.rest.startswith("python -m venv"):
                done = image.run(["sh", "-c", image.moved(each.rest)])
                assert done.returncode == 0, (each.rest, done.stdout[-2_000:], done.stderr[-2_000:])
        yield image
    finally:
        shutil.rmtree(root, ignore_errors=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def test_the_images_own_commands_install_migrate_serve_and_stop(image: Image) -> None:
    entry = next(each for each in last_stage() if each.name == "ENTRYPOINT").argv
    serve = next(each for each in last_stage() if each.name == "CMD").argv
    migrated = image.run([*entry, "migrate"])
    assert migrated.returncode == 0, migrated.stderr
    assert "up to date" in migrated.stdout
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    health = yaml.safe_load(of("HEALTHCHECK").partition("CMD ")[2])
    assert image.run([*health, "--url", url]).returncode == 1
    server = image.start([*entry, *serve, "--port", str(port)])
    worker = image.start([*entry, "worker"])
    try:
        assert server.stdout is not None
        assert worker.stdout is not None
        assert str(port) in server.stdout.readline()
        assert "Working" in worker.stdout.readline()
        for _ in range(100):
            if image.run([*health, "--url", url]).returncode == 0:
                break
        else:
            pytest.fail("it never was healthy")
    finally:
        stop = getattr(signal, of("STOPSIGNAL"))
        for process in (server, worker):
            process.send_signal(stop)
        left = [process.wait(60) for process in (server, worker)]
        for process in (server, worker):
            assert process.stdout is not None
            assert "Traceback" not in process.stdout.read()
            process.stdout.close()
    assert left == [0, 0]
    assert not list((image.folder / "tmp").glob("ringfence*"))
