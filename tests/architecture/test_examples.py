"""The examples in README and docs run, and print what the page says they print."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from api.cli import invoke
from tests.architecture.examples import Example, adapted, examples_of, files_of, shape

ROOT = Path(__file__).parents[2]
SERVED = {"walkthrough.md"}
"""Pages whose commands need a server: tests/contract/test_walkthrough.py runs them."""

PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.name not in SERVED),
]
EXAMPLES = [example for page in PAGES for example in examples_of(page)]


@dataclass(frozen=True)
class Prepared:
    """A folder with a small demo in it, and what stands in for the page's cluster and pair."""

    folder: Path
    cluster: str
    pair: tuple[str, str]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    folder = tmp_path_factory.mktemp("examples")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("RINGFENCE_PEPPER_FILE", str(folder / "pepper"))
        patch.delenv("RINGFENCE_HOME", raising=False)
        assert invoke(["demo", "--organizations", "2000", "--home", ".demo"]) == 0
        for page in PAGES:
            for name, content in files_of(page).items():
                Path(name).parent.mkdir(parents=True, exist_ok=True)
                Path(name).write_text(content, encoding="utf-8")
        wanted = "export clusters --format json --min-risk 50 -o clusters.json --home .demo"
        assert invoke(wanted.split()) == 0
        clusters = json.loads(Path("clusters.json").read_text(encoding="utf-8"))
        largest = max(clusters, key=lambda each: (each["size"], each["cluster_id"]))["cluster_id"]
        yield Prepared(folder, largest, _pair(folder, largest))


def _pair(folder: Path, cluster: str) -> tuple[str, str]:
    """Two tied members of a cluster."""
    import pyarrow.parquet as pq

    run_id = (folder / ".demo" / "runs" / "current").read_text(encoding="utf-8").strip()
    ties = pq.read_table(
        folder / ".demo" / "runs" / run_id / "ties.parquet", filters=[("cluster_id", "=", cluster)]
    )
    first = ties.sort_by([("weight", "descending"), ("a", "ascending")]).slice(0, 1).to_pylist()[0]
    return first["a"], first["b"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: f"{each.page}: {' '.join(each.words)}"[:80])
def test_example(example: Example, prepared: Prepared, capsys: pytest.CaptureFixture[str]) -> None:
    code = invoke(adapted(example, prepared.cluster, prepared.pair))
    said = capsys.readouterr()
    assert code == example.code, said.err
    missing = [
        title for title in shape(example.shown) if title not in shape((said.out + said.err).splitlines())
    ]
    assert not missing


def test_the_readme_has_examples() -> None:
    assert len([example for example in EXAMPLES if example.page == "README.md"]) >= 6
