"""One run: facts in, scored clusters with their evidence out, published by one atomic switch."""

from __future__ import annotations

import hashlib
import platform
import resource
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from detection import admission, results
from detection.clusters import group, identify
from detection.communities import Ints, Ties, communities
from detection.constraints import separate
from detection.correlate import correlate
from detection.decisions import Decisions, decide
from detection.detector import detectors
from detection.engines.duckdb import Engine
from detection.evidence import detect, groups
from detection.grades import grade
from detection.lifecycle.running import HomeDetectors
from detection.links import Parts, Progress, aggregate
from detection.networks import know_addresses
from detection.runs import TABLES, UNFINISHED, Manifest, RunFiles, Runs
from detection.samples import rules_of
from detection.scorecards import Scorecards, admission_with
from detection.settings import DetectionSettings, SourceSettings, default_sources
from detection.significance import confirm
from detection.sources import Findings, examine
from graph.errors import RingfenceError
from graph.facts import EventFile, FactsReader
from graph.home import Home

LOCK_TIMEOUT_S = 3_600
LIBRARIES = ("ringfence", "duckdb", "igraph", "numpy", "pyarrow", "scipy")


class Publisher(Protocol):
    """Takes a finished run to where people look at it: the graph store."""

    def publish(self, run: RunFiles, progress: Progress) -> None:
        """Make the run's view complete before returning; the view before serves until then."""


def quiet(stage: str, done: int, total: int | None) -> None:
    """Show no progress."""


@dataclass
class Clock:
    """Seconds spent in each named part of a run."""

    timings: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time what happens inside."""
        started = time.perf_counter()
        yield
        self.timings[name] = round(time.perf_counter() - started, 3)


def run(
    home: Home,
    settings: DetectionSettings | None = None,
    *,
    sources: Mapping[str, SourceSettings] | None = None,
    as_of: datetime | None = None,
    publisher: Publisher | None = None,
    progress: Progress = quiet,
) -> RunFiles:
    """Detect on all facts known at `as_of` (default: the latest event) and let the result serve.

    `sources` says what each source's rows may be trusted with (default: the platform's own verifies everything).

    Raises RingfenceError when there are no facts, or another run holds the home for an hour.
    """
    settings = settings or DetectionSettings()
    facts = FactsReader(home)
    latest = facts.latest()
    if latest is None:
        raise RingfenceError("there are no events yet", "Bring some in: ringfence ingest PATH", exit_code=3)
    with alone(home):
        trusted = dict(sources or default_sources())
        return _Run(home, settings, trusted, facts, as_of or latest, progress).execute(publisher)


def bring_back(
    engine: Engine,
    home: Home,
    settings: DetectionSettings,
    sources: Mapping[str, SourceSettings],
    as_of: datetime,
    scratch: Path,
) -> tuple[pa.Table, Decisions]:
    """Leave in the engine what a run as of `as_of` knows before it looks for communities.

    Returns the organizations (org, org_id, …) and what was decided about them. Whoever calls must hold the home.
    """
    facts = FactsReader(home)
    files = [file for file in facts.event_files() if file.first <= as_of]
    again = _Run(home, settings, dict(sources), facts, as_of, quiet)
    organizations = again.organizations(engine, aggregate(engine, home, files, as_of, scratch, quiet))
    again.know(engine, len(organizations))
    return organizations, again.decisions


@contextmanager
def alone(home: Home) -> Iterator[None]:
    """The right to write to the home's runs and aggregates; one process at a time has it.

    Raises RingfenceError when another one holds it for an hour, or the folder cannot be written.
    """
    try:
        home.runs.mkdir(parents=True, exist_ok=True)
        with FileLock(home.runs / ".lock", timeout=LOCK_TIMEOUT_S):
            yield
    except Timeout as error:
        raise RingfenceError(
            "another run has held this home for an hour", "Wait for it, or end it, then run again."
        ) from error
    except OSError as error:
        raise RingfenceError(
            f"cannot write to {home.runs}: {error.strerror or error}",
            "Free some space or correct that, then run again; the run before still serves.",
        ) from error


class _Run:
    """The steps of one run, in order; each leaves its tables in the engine for the next."""

    def __init__(
        self,
        home: Home,
        settings: DetectionSettings,
        sources: dict[str, SourceSettings],
        facts: FactsReader,
        as_of: datetime,
        progress: Progress,
    ) -> None:
        self.home, self.settings, self.facts, self.as_of = home, settings, facts, as_of.astimezone(UTC)
        self.sources = sources
        self.progress = progress
        self.runs = Runs(home)
        self.home_detectors = HomeDetectors.of(home, settings)
        self.scorecard = self.home_detectors.weighed(Scorecards(home).active())
        self.clock = Clock()
        self.warnings: list[str] = []
        self.decisions: Decisions
        self.findings: Findings
        self.started = datetime.now(UTC)

    def execute(self, publisher: Publisher | None) -> RunFiles:
        """All of it: detect, write, publish, switch."""
        files = [file for file in self.facts.event_files() if file.first <= self.as_of]
        if not files:
            raise RingfenceError(
                f"there are no events up to {self.as_of.isoformat()}", "Choose a later --as-of.", exit_code=3
            )
        previous = self.runs.current()
        if previous is not None:
            self.runs.open()  # a damaged one is said before anything is computed
        run_id = self._name(previous)
        folder = self.runs.prepare(run_id)
        with (
            tempfile.TemporaryDirectory(prefix=f"{UNFINISHED}scratch-", dir=self.home.runs) as scratch,
            Engine(self.settings.engine, Path(scratch)) as engine,
        ):
            with self.clock.part("links"):
                parts = aggregate(engine, self.home, files, self.as_of, Path(scratch), self.progress)
            organizations = self.organizations(engine, parts)
            membership, ties = self._communities(engine, organizations, folder)
            self._clusters(engine, organizations, membership, ties)
            with self.clock.part("write"):
                others = self.home_detectors.counting
                results.write(engine, folder, self._recent(files), self.as_of, self.progress, others)
                self.home_detectors.write(engine, folder)
            counts = {table: pq.read_metadata(folder / f"{table}.parquet").num_rows for table in TABLES}
            counts["events"] = sum(_rows(file, self.as_of) for file in files)
            counts["files_aggregated"] = parts.made
        finished = self.runs.finish(folder, self._manifest(run_id, previous, folder, counts))
        if publisher is not None:
            with self.clock.part("publish"):
                publisher.publish(finished, self.progress)
        self.runs.switch(run_id)
        return finished

    def _name(self, previous: str | None) -> str:
        commits = [f"{commit.sequence}-{commit.ingest}" for commit in self.facts.commits()]
        what = "\n".join(
            [self.settings.model_dump_json(), previous or "", self.started.isoformat(), *commits]
        )
        return f"run_{self.as_of:%Y%m%dT%H%M%SZ}_{hashlib.sha256(what.encode()).hexdigest()[:8]}"

    def organizations(self, engine: Engine, parts: Parts) -> pa.Table:
        """Read the aggregates; the organizations in the order of their numbers."""
        with self.clock.part("organizations"):
            for name, files in parts.files.items():
                engine.read(f"{name}_parts", files)
            engine.read(
                "organization_names",
                self.facts.value_files(),
                "key AS organization, ANY_VALUE(canonical) AS org_id",
                "kind = 'organization' GROUP BY key",
            )
            admission.trust(engine, self.sources, parts.files["links"])
            engine.stage("organizations")
            engine.stage("referrals")
            self.decisions = decide(engine)
            self.findings = examine(engine, self.sources, self.as_of)
            self.warnings += [*self.decisions.warnings, *self.findings.unfit, *self.findings.doubts]
            return engine.fetch("SELECT org, org_id, first_at, created_at FROM organizations ORDER BY org")

    def know(self, engine: Engine, population: int) -> None:
        """All that is known of organizations and what they share, before communities are looked for."""
        know_addresses(engine, self.home, self.facts)
        correlate(engine, self.settings, population, self.progress)
        admission.prepare(engine, self.settings.admission)

    def _communities(self, engine: Engine, organizations: pa.Table, folder: Path) -> tuple[Ints, Ties]:
        with self.clock.part("ties"):
            self.know(engine, len(organizations))
            found = engine.fetch("SELECT a, b, weight FROM ties ORDER BY a, b")
        ties = Ties(
            len(organizations), *(found[name].to_numpy().astype(np.int64) for name in ("a", "b", "weight"))
        )
        with self.clock.part("communities"), ThreadPoolExecutor(max_workers=1) as beside:
            self.progress("communities", 0, None)
            # igraph leaves one core idle, and does not touch the engine
            written = beside.submit(results.write_links, engine, folder)
            membership = separate(communities(ties, self.settings), ties, self.decisions.not_linked)
            written.result()
        return membership, ties

    def _clusters(self, engine: Engine, organizations: pa.Table, membership: Ints, ties: Ties) -> None:
        scorecard = self.scorecard
        small = len(organizations) < self.settings.small_population
        if small:
            self.warnings.append(
                f"{len(organizations)} organizations are too few to measure baselines on:"
                " those that ship with the scorecard are used"
            )
        with self.clock.part("identity"):
            first = (
                organizations["created_at"]
                .combine_chunks()
                .fill_null(organizations["first_at"].combine_chunks())
            )
            identified = identify(
                group(membership),
                organizations["org_id"].to_pylist(),
                first.to_numpy(),
                self.as_of,
                results.previous(self.runs),
                self.settings.min_jaccard,
            )
        with self.clock.part("signals"):
            engine.register("members", groups(membership, self.settings))
            detect(engine, detectors(), scorecard, small, self.progress, self.home_detectors)
        with self.clock.part("scores"):
            others = self.home_detectors.counting
            results.score(engine, scorecard, identified, membership, ties, others)
        with self.clock.part("significance"):
            confirm(engine, membership)
        with self.clock.part("admission"):
            admission.admit(engine, admission_with(self.settings.admission, self.scorecard))

    def _recent(self, files: list[EventFile]) -> list[Path]:
        return [file.path for file in files if (self.as_of - file.last).days < 1]

    def _manifest(self, run_id: str, previous: str | None, folder: Path, counts: dict[str, int]) -> Manifest:
        commits = self.facts.commits()
        settings = self.settings.model_dump(mode="json")
        rules = rules_of(settings, self.scorecard.version, version("ringfence"))
        reviews = grade(self.home, rules)
        return Manifest(
            run_id=run_id,
            as_of=self.as_of,
            created_at=self.started,
            previous=previous,
            inputs={
                "commits": len(commits),
                "last_sequence": max((commit.sequence for commit in commits), default=0),
                "events": counts["events"],
            },
            settings=settings,
            scorecard=self.scorecard.version,
            grade=reviews.level,
            reviews=reviews.as_plain(),
            unfit_for_lasting_actions=list(self.findings.unfit),
            sources={name: source.model_dump(mode="json") for name, source in self.sources.items()},
            versions={"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
            counts=counts,
            timings=self.clock.timings,
            peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            checksums={path.name: _digest(path) for path in sorted(folder.iterdir())},
            detectors=self.home_detectors.ran,
            warnings=[*self.warnings, *self.home_detectors.warnings],
        )


def _rows(file: EventFile, as_of: datetime) -> int:
    """How many events of a file a run as of `as_of` knows."""
    if file.last <= as_of:
        return file.rows
    known = pq.read_table(file.path, columns=["occurred_at"], filters=[("occurred_at", "<=", as_of)])
    return int(known.num_rows)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
