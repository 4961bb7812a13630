"""What an evaluation found: plain frozen values, as a dictionary and as rows of a table."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sim.metrics import BCubed, RecallAt, RingsFound, Share

NOT_ADMITTED = "admission not evaluated"


class Row(NamedTuple):
    """One line for people: the section it stands in, what is measured, its value, and a remark."""

    section: str
    name: str
    value: str
    note: str


@dataclass(frozen=True)
class Flagged:
    """What acting on a set of organizations would hit.

    `precision` has Clopper-Pearson bounds, `precision_by_cluster` those of a bootstrap over clusters;
    `legitimate` is the share of legitimate organizations hit, `bystanders` and `framed` parts of it; `framed_by` is
    `framed` by how they were framed, and by what kind of organization they are, as far as the truth says.
    """

    name: str
    flagged: int
    precision: Share
    precision_by_cluster: Share
    recall: float
    recall_by_level: Mapping[str, float]
    rings: RingsFound
    rings_by_level: Mapping[str, RingsFound]
    legitimate: Share
    bystanders: Mapping[str, Share]
    framed: Share
    framed_by: Mapping[str, Share]


@dataclass(frozen=True)
class Spared:
    """How many organizations were not actionable for one reason."""

    reason: str
    abusive: int
    legitimate: int


@dataclass(frozen=True)
class Baseline:
    """A simpler method on the same input: a partition has `b_cubed` and `rings`, a score has `recall_at`."""

    name: str
    note: str
    b_cubed: BCubed | None = None
    rings: RingsFound | None = None
    recall_at: tuple[RecallAt, ...] = ()
    auc: float | None = None


@dataclass(frozen=True)
class EvaluationReport:
    """One run judged against the truth, by the definitions of the detection design, §7."""

    run_id: str
    organizations: int
    abusive: int
    listed: int
    clusters: int
    b_cubed: BCubed
    b_cubed_by_level: Mapping[str, BCubed]
    b_cubed_by_kind: Mapping[str, BCubed]
    rings_together: RingsFound
    rings_together_by_level: Mapping[str, RingsFound]
    recall_at: tuple[RecallAt, ...]
    auc: float
    auc_of_size: float
    actionable: Flagged | None
    spared: tuple[Spared, ...]
    would_be: tuple[Flagged, ...]
    framed_in_risky_clusters: tuple[tuple[float, Share], ...]
    baselines: tuple[Baseline, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; null where nothing could be measured."""
        plain: dict[str, Any] = to_plain(self)
        if self.actionable is None:
            plain["actionable"] = NOT_ADMITTED
        plain["framed_in_risky_clusters"] = [
            {"risk": risk, **to_plain(share)} for risk, share in self.framed_in_risky_clusters
        ]
        return plain

    @property
    def rows(self) -> list[Row]:
        """The same as lines of a table, in the order in which they are read."""
        return [*self._size_rows(), *self._membership_rows(), *self._ranking_rows(), *self._action_rows()] + [
            row for baseline in self.baselines for row in _baseline_rows(baseline)
        ]

    def _size_rows(self) -> Iterator[Row]:
        counts = f"{self.abusive:,} of {self.organizations:,} organizations"
        yield Row("truth", "abusive", counts, f"{self.listed:,} listed in {self.clusters:,} clusters")

    def _membership_rows(self) -> Iterator[Row]:
        yield _b_cubed_row("membership", "B³ F", self.b_cubed)
        for level, found in self.b_cubed_by_level.items():
            yield _b_cubed_row("membership", f"B³ F, level {level}", found)
        for kind, found in self.b_cubed_by_kind.items():
            yield _b_cubed_row("membership", f"B³ F, {kind}", found)
        yield _rings_row("membership", "rings of 8 or more together", self.rings_together)
        for level, rings in self.rings_together_by_level.items():
            yield _rings_row("membership", f"rings of 8 or more together, level {level}", rings)

    def _ranking_rows(self) -> Iterator[Row]:
        for answer in self.recall_at:
            yield _recall_row("ranking", answer)
        size = f"size of the cluster alone: {_number(self.auc_of_size, 4)}"
        yield Row("ranking", "AUC of member risk", _number(self.auc, 4), size)

    def _action_rows(self) -> Iterator[Row]:
        if self.actionable is None:
            yield Row("action", "actionable", "none", NOT_ADMITTED)
        else:
            yield from _flagged_rows(self.actionable)
        for one in self.spared:
            note = f"{one.legitimate:,} legitimate"
            yield Row("why abusive ones are not actionable", one.reason, f"{one.abusive:,}", note)
        for flagged in self.would_be:
            yield from _flagged_rows(flagged)
        for risk, share in self.framed_in_risky_clusters:
            name = f"framed victims in clusters at risk {risk:g} or more"
            yield Row("action", name, f"{share.hits:,} of {share.total:,}", "")


def to_plain(value: Any) -> Any:
    """Dictionaries, lists, numbers and strings only; NaN becomes None, and derived shares are included."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = {item.name: to_plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
        if isinstance(value, Share):
            plain["value"] = to_plain(value.value)
        if isinstance(value, RingsFound):
            plain["share"] = to_plain(value.share)
        return plain
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


def _flagged_rows(flagged: Flagged) -> Iterator[Row]:
    section = flagged.name
    exact, by_cluster = flagged.precision, flagged.precision_by_cluster
    bounds = f"Clopper–Pearson {_bounds(exact)}, over clusters {_bounds(by_cluster)}"
    yield Row(section, "precision", _percent(exact.value), f"{bounds}; {flagged.flagged:,} flagged")
    levels = ", ".join(f"{level}: {_percent(value)}" for level, value in flagged.recall_by_level.items())
    yield Row(section, "recall", _percent(flagged.recall), levels)
    yield _rings_row(section, "rings of 8 or more found", flagged.rings)
    for level, rings in flagged.rings_by_level.items():
        yield _rings_row(section, f"… level {level}", rings)
    hit = flagged.legitimate
    note = f"{hit.hits:,} of {hit.total:,}; bounds {hit.low * 1e4:.2f} to {hit.high * 1e4:.2f}"
    yield Row(section, "legitimate hit per 10,000", f"{hit.value * 1e4:.2f}", note)
    for kind, share in flagged.bystanders.items():
        if share.hits:
            note = f"{share.hits:,} of {share.total:,}"
            yield Row(section, f"… {kind}", f"{share.value * 1e4:.2f}", note)
    yield Row(section, "framed victims hit", f"{flagged.framed.hits:,} of {flagged.framed.total:,}", "")
    for how, share in flagged.framed_by.items():
        if share.hits:
            yield Row(section, f"… {how}", f"{share.hits:,} of {share.total:,}", "")


def _baseline_rows(baseline: Baseline) -> Iterator[Row]:
    section = f"baseline: {baseline.name}"
    yield Row(section, "what it is", "", baseline.note)
    if baseline.b_cubed:
        yield _b_cubed_row(section, "B³ F", baseline.b_cubed)
    if baseline.rings:
        yield _rings_row(section, "rings of 8 or more together", baseline.rings)
    for answer in baseline.recall_at:
        yield _recall_row(section, answer)
    if baseline.auc is not None:
        yield Row(section, "AUC", _number(baseline.auc, 4), "of the size alone" if baseline.b_cubed else "")


def _b_cubed_row(section: str, name: str, found: BCubed) -> Row:
    note = f"precision {_number(found.precision)}, recall {_number(found.recall)}; {found.organizations:,}"
    return Row(section, name, _number(found.f), f"{note} organizations")


def _rings_row(section: str, name: str, rings: RingsFound) -> Row:
    return Row(section, name, _percent(rings.share), f"{rings.found:,} of {rings.total:,}")


def _recall_row(section: str, answer: RecallAt) -> Row:
    if answer.threshold is None:
        note = "no threshold keeps it"
    else:
        note = f"at {answer.threshold:.4g} or more, {answer.flagged:,} flagged"
    return Row(section, f"recall at precision {answer.precision:g}", _percent(answer.recall), note)


def _number(value: float, digits: int = 3) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.1f}%"


def _bounds(share: Share) -> str:
    return f"{_percent(share.low)} to {_percent(share.high)}"
