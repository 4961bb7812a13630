"""A result: figures with targets, kept as JSON, and shown beside the last ones."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.commands import ROOT, WORK
from bench.machine import machine, versions

RECORDED = ROOT / "bench" / "results"
SCRATCH = WORK / "results"
"""Quick runs land here: their figures say only that the benchmark works."""


@dataclass(frozen=True)
class Target:
    """What the issue asks of a figure; `lower` says which way is better."""

    figure: str
    must: float
    stretch: float | None = None
    lower: bool = True

    def verdict(self, value: float) -> str:
        """`stretch`, `must` or `missed`."""
        if self.stretch is not None and self._reaches(value, self.stretch):
            return "stretch"
        return "must" if self._reaches(value, self.must) else "missed"

    def _reaches(self, value: float, mark: float) -> bool:
        return value <= mark if self.lower else value >= mark

    def text(self) -> str:
        """The marks, as they stand in the issue's table."""
        sign = "≤" if self.lower else "≥"
        stretch = "" if self.stretch is None else f" ({show(self.stretch)})"
        return f"{sign} {show(self.must)}{stretch}"


@dataclass(frozen=True)
class Result:
    """What one benchmark measured."""

    name: str
    title: str
    figures: Mapping[str, float]
    targets: Sequence[Target] = ()
    seeds: Sequence[int] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


def last(name: str, *, quick: bool) -> dict[str, Any] | None:
    """The figures recorded before, or None."""
    path = _path(name, quick)
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return found


def record(result: Result, *, quick: bool) -> Path:
    """Keep a result with the machine, the versions and the date."""
    path = _path(result.name, quick)
    path.parent.mkdir(parents=True, exist_ok=True)
    verdicts = {
        target.figure: target.verdict(result.figures[target.figure])
        for target in result.targets
        if target.figure in result.figures
    }
    kept = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "machine": machine(),
        "versions": versions(),
        **asdict(result),
        "verdicts": verdicts,
    }
    path.write_text(json.dumps(_plain(kept), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return path


def table(result: Result, before: Mapping[str, Any] | None) -> str:
    """Figures beside the last ones and the targets, as text of aligned columns."""
    earlier: Mapping[str, float] = before["figures"] if before else {}
    targets = {target.figure: target for target in result.targets}
    lines = [("figure", "now", "last", "change", "must (stretch)", "")]
    for name, value in result.figures.items():
        old = earlier.get(name)
        target = targets.get(name)
        lines.append(
            (
                name,
                show(value),
                "" if old is None else show(old),
                "" if not old else f"{100 * (value / old - 1):+.0f}%",
                "" if target is None else target.text(),
                "" if target is None else target.verdict(value),
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    body = "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
    since = f"; last: {before['date']}" if before else ""
    notes = "".join(f"\n  · {note}" for note in result.notes)
    return f"{result.title}{since}\n{body}{notes}"


def show(value: float) -> str:
    """Three significant digits, with thousands separators above a thousand."""
    if math.isnan(value):
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if 0 < abs(value) < 1 else f"{value:.4g}"


def _plain(value: Any) -> Any:
    """The same for JSON: figures rounded to six digits, null for what is not a number."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _path(name: str, quick: bool) -> Path:
    return (SCRATCH if quick else RECORDED) / f"{name}.json"
