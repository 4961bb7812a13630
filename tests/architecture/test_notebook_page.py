"""The code of the notebook's page runs, block after block, as a reader would run it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from api.cli import invoke

PAGE = Path(__file__).parents[2] / "docs" / "recipes" / "notebook.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RINGFENCE_PEPPER_FILE", str(tmp_path / "pepper"))
    monkeypatch.delenv("RINGFENCE_STORE", raising=False)
    assert invoke(["simulate", "--organizations", "700", "--seed", "3", "-o", "campaign", "--json"]) == 0
    assert invoke(["ingest", "campaign/events.parquet", "--home", ".demo", "--json"]) == 0
    assert invoke(["run", "--home", ".demo", "--json"]) == 0
    known: dict[str, Any] = {}
    for block in BLOCKS:
        exec(compile(block, str(PAGE), "exec"), known)  # noqa: S102 - that is what the page is for
    assert len(BLOCKS) >= 8
    assert known["evidence"]["points"].iloc[0] > 0
    assert set(known["members"]["org_id"]) == set(known["organizations"]["org_id"])
    assert known["per_hour"].sum() == len(known["members"])
    assert known["graph"].number_of_edges() > len(known["members"])
    assert known["top"]
    assert not known["bridges"].empty
    assert "steps" in known["around"].graph["note"]
    assert known["uses"] > 0
    assert known["new"] == set()
