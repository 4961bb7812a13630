"""A simulated campaign in a home, made once a session and copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.services import detect, ingest_files, simulate_campaign
from graph.home import Home
from tests.unit.worlds import PEPPER

FAST = """
[ingest]
workers = 0

[actions.waves]
holds = [0, 0]

[actions.lasting]
single_operator_hold = 0
"""


@pytest.fixture(scope="session")
def _campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("campaign")
    (folder / "pepper").write_bytes(PEPPER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RINGFENCE_PEPPER_FILE", str(folder / "pepper"))
        simulate_campaign(folder / "events", 2_000, 7, "plain")
        home = Home(folder / "home").ensure()
        home.settings_file.write_text(FAST)
        ingest_files(home, [str(folder / "events" / "events.parquet")])
        detect(home)
        yield folder


@pytest.fixture
def campaign_home(_campaign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A copy of the campaign's home, in a fresh folder that is the current one."""
    monkeypatch.setenv("RINGFENCE_PEPPER_FILE", str(_campaign / "pepper"))
    monkeypatch.delenv("RINGFENCE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(_campaign / "home", tmp_path / "home")
    return Home(tmp_path / "home")
