"""Settings: four layers, and a clear word about what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from api.settings import load_settings
from graph.errors import RingfenceError
from graph.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def _file(home: Home, text: str) -> None:
    home.settings_file.write_text(text, encoding="utf-8")


def test_defaults(home: Home) -> None:
    settings = load_settings(home, environment={})
    assert settings.ingest.currency == "USD"
    assert settings.detection.predecessors == 10


def test_each_layer_wins_over_the_one_before(home: Home) -> None:
    _file(
        home,
        '[ingest]\ncurrency = "EUR"\n[detection]\npredecessors = 5\nseed = 3\n[detection.engine]\nthreads = 4\n',
    )
    environment = {
        "RINGFENCE_DETECTION__PREDECESSORS": "6",
        "RINGFENCE_DETECTION__SEED": "4",
        "RINGFENCE_HOME": "x",
    }
    settings = load_settings(home, {"detection": {"seed": 9}}, environment)
    assert settings.ingest.currency == "EUR"
    assert settings.detection.engine.threads == 4
    assert settings.detection.predecessors == 6
    assert settings.detection.seed == 9


def test_one_entry_of_a_table_can_be_set_alone(home: Home) -> None:
    _file(home, "[detection.tie_kinds.ip]\nevidence = 3.5\n")
    kinds = load_settings(home, environment={}).detection.tie_kinds
    assert kinds["ip"].evidence == 3.5
    assert kinds["ip"].cap == 200
    assert "device" in kinds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[detection]\nresolutoin = 1\n", "sets detection.resolutoin, which is no setting"),
        ("[detction]\n", "sets detction, which is no setting"),
        ("[detection]\npredecessors = 0\n", "sets detection.predecessors wrongly"),
        ("[detection\n", "is not TOML"),
    ],
)
def test_what_is_wrong_in_the_file(home: Home, text: str, said: str) -> None:
    _file(home, text)
    with pytest.raises(RingfenceError, match=said) as caught:
        load_settings(home, environment={})
    assert "ringfence.toml" in caught.value.message
    assert caught.value.exit_code == 2
    assert caught.value.remedy


def test_what_is_wrong_in_the_environment_is_said_without_its_value(home: Home) -> None:
    with pytest.raises(RingfenceError, match=r"the environment sets ingest\.currency wrongly") as caught:
        load_settings(home, environment={"RINGFENCE_INGEST__CURRENCY": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_settings_are_frozen(home: Home) -> None:
    settings = load_settings(home, environment={})
    with pytest.raises(ValidationError):
        settings.detection = settings.detection
