"""Learns what sharing an identifier says: `python -m bench.ties` writes detection/tie_weights.json.

Worlds of every difficulty are simulated and ingested. Of every kind, those pairs that a run would look at (ten
predecessors in a session) are of one ring, or not; a logistic regression over the time between the two and the number
of users gives their log-odds. Less the log-odds of a pair of which nothing is known, that is the log-likelihood ratio
of sharing against strangers of the same distance and degree. Honest organizations that one company or family runs are
left out, as the truth says who is honest and not who belongs together. The seeds are used here and nowhere else.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit

from detection.correlate import STAGES, register
from detection.engines.duckdb import Engine
from detection.links import aggregate
from detection.networks import know_addresses
from detection.settings import DetectionSettings, EngineSettings
from graph.facts import FactsReader
from graph.home import Home
from ingest.job import ingest
from ingest.settings import IngestSettings
from sim.campaigns import Campaign, simulate
from sim.ground_truth import GroundTruth, read_truth
from sim.rings import Difficulty

TARGET = Path(__file__).resolve().parent.parent / "detection" / "tie_weights.json"
VERSION = "2026-11"
ORGANIZATIONS = 20_000
DIFFICULTIES: tuple[Difficulty, ...] = ("plain", "mimic", "adaptive", "rotate", "serial")
WORLDS = [
    Campaign(organizations=ORGANIZATIONS, seed=seed, difficulty=DIFFICULTIES[seed % 5])
    for seed in range(8_000, 8_015)
]
WORLD_PAIRS = 30_000.0
"""What the pairs of rings of one world count together: rings that share much are not to outvote those that hide."""
APART = 0.05
"""What a pair of honest strangers counts beside a pair with a member of a ring. To tie two bystanders costs a look; to
tie one to a ring costs more. It is the usual share of abusive organizations, so that both sorts weigh alike."""
ONE_OPERATOR = ("agency", "office", "family")
FADE, CROWD, PULL = 0.5, 1.0, 10.0
"""What the two slopes are pulled to where the worlds say nothing: the square root of the time, and chance itself, for
which an identifier with d users makes each of them meet d - 1 others. `PULL` is the weight of so much belief."""
MOST = 12.0
"""Log-odds that no fresh pair exceeds: one wrong in 160,000."""
LIKE = {"device_attested": "device", "api_key": "device", "user": "payment_method"}
"""Kinds that no simulated ring shares, and the kind that they are most like."""
CROWDED = ("consumer", "ip")
"""Kinds whose crowds are known as places and taken out before anything is learned, so that no slope can be seen: theirs
is chance's own, `CROWD`. One address is one piece of evidence however many pairs it ties."""
HOUR = 3_600_000_000
_PAIRS = """
SELECT LEAST(l.org, e.org) AS a, GREATEST(l.org, e.org) AS b, l.kind, l.organizations AS users,
    (l.first_at - e.first_at) AS gap
FROM appearances AS l
INNER JOIN appearances AS e
    ON l.entity = e.entity AND l.session = e.session
    AND e.place BETWEEN l.place - {predecessors} AND l.place - 1
"""

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Pairs that share one identifier of a kind, one a row.

    `pair` numbers the two organizations, `kind` indexes the kinds by name, `gap` is in hours; `one` says that both are
    of one ring, `weight` what the pair counts.
    """

    pair: Numbers
    kind: Numbers
    gap: Floats
    users: Floats
    one: Floats
    weight: Floats

    def where(self, rows: npt.NDArray[np.bool_]) -> Pairs:
        """Some of the rows."""
        return Pairs(*(getattr(self, each.name)[rows] for each in fields(self)))


def observe(campaign: Campaign, folder: Path, recipe_of: DetectionSettings) -> Pairs:
    """Simulate and ingest a world, and read the pairs that share something."""
    simulate(campaign, folder, None)
    home = Home(folder / "home")
    ingest(
        home, [str(folder / "events.parquet")], settings=IngestSettings(workers=2), pepper=bytes(range(32))
    )
    with Engine(EngineSettings(), folder) as engine:
        found, organizations = _shared(engine, home, folder, recipe_of)
    return _judged(found, organizations, read_truth(folder / "truth.parquet"), sorted(recipe_of.tie_kinds))


def _shared(
    engine: Engine, home: Home, scratch: Path, settings: DetectionSettings
) -> tuple[pa.Table, pa.Table]:
    facts = FactsReader(home)
    as_of = facts.latest()
    assert as_of is not None
    parts = aggregate(engine, home, facts.event_files(), as_of, scratch, lambda *_: None)
    for name, files in parts.files.items():
        engine.read(f"{name}_parts", files)
    names = "key AS organization, ANY_VALUE(canonical) AS org_id"
    engine.read("organization_names", facts.value_files(), names, "kind = 'organization' GROUP BY key")
    engine.stage("organizations")
    organizations = engine.fetch("SELECT org_id FROM organizations ORDER BY org")
    register(engine, settings, len(organizations))
    know_addresses(engine, home, facts)
    for stage in STAGES[: STAGES.index("reasons")]:
        engine.stage(stage)
    return engine.fetch(_PAIRS.format(predecessors=settings.predecessors)), organizations


def _judged(found: pa.Table, organizations: pa.Table, truth: GroundTruth, kinds: list[str]) -> Pairs:
    place = {org: row for row, org in enumerate(np.asarray(truth.org_ids).tolist())}
    rows = np.array([place[org] for org in organizations["org_id"].to_pylist()])
    ring, sort = np.asarray(truth.rings)[rows], np.asarray(truth.kinds)[rows]
    a, b = (found[end].to_numpy().astype(np.int64) for end in ("a", "b"))
    honest = (ring[a] < 0) & (ring[b] < 0)
    unknown = honest & (sort[a] == sort[b]) & np.isin(sort[a], ONE_OPERATOR)
    index = {name: number for number, name in enumerate(kinds)}
    return Pairs(
        pair=a * len(organizations) + b,
        kind=np.array([index[name] for name in found["kind"].to_pylist()], dtype=np.int64),
        gap=found["gap"].to_numpy() / HOUR,
        users=found["users"].to_numpy().astype(np.float64),
        one=((ring[a] >= 0) & (ring[a] == ring[b])).astype(np.float64),
        weight=np.where(honest, APART, 1.0),
    ).where(~unknown)


def evened(world: Pairs) -> Pairs:
    """The pairs of a world, weighing as much together as those of any other."""
    return replace(world, weight=world.weight * (WORLD_PAIRS / float(world.one.sum())))


def fit(pairs: Pairs) -> Floats:
    """Log-odds of a fresh pair of two, fade and crowd: a logistic regression whose slopes are not negative."""
    x = np.column_stack([np.ones(len(pairs.one)), -np.log1p(pairs.gap), -np.log(pairs.users - 1)])
    usual = np.array([0.0, FADE, CROWD])
    pull = np.array([0.0, PULL, PULL])

    def loss(parameters: Floats) -> tuple[float, Floats]:
        score = x @ parameters
        value = np.sum(pairs.weight * (np.logaddexp(0, score) - pairs.one * score))
        away = parameters - usual
        slope = x.T @ (pairs.weight * (expit(score) - pairs.one)) + pull * away
        return float(value + np.sum(pull * away**2) / 2), slope

    bounds = [(None, MOST), (0, None), (0, None)]
    start = np.array([5.0, FADE, CROWD])
    return np.asarray(minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x)


def prior(worlds: list[Pairs], odds: dict[int, Floats], part: Numbers) -> float:
    """The log-odds of a pair of which nothing is known, from pairs that share things of several families.

    Such a pair's log-odds are the prior and, of each family, the strongest log-likelihood ratio: its own log-odds less
    the prior. The likeliest prior between -10 and -1 is taken.
    """
    samples = [_several(world, odds, part) for world in worlds]
    total, count, one, weight = (np.concatenate(each) for each in zip(*samples, strict=True))

    def loss(candidate: float) -> float:
        score = total - (count - 1) * candidate
        return float(np.sum(weight * (np.logaddexp(0, score) - one * score)))

    return float(minimize_scalar(loss, bounds=(-10, -1), method="bounded").x)


def _several(pairs: Pairs, odds: dict[int, Floats], part: Numbers) -> tuple[Floats, Floats, Floats, Floats]:
    """Of every pair that shares things of two families or more: sum of its families' log-odds, and how many."""
    known = pairs.where(np.isin(pairs.kind, list(odds)))
    table = np.zeros((len(part), 3))
    table[list(odds)] = list(odds.values())
    own = table[known.kind]
    score = own[:, 0] - own[:, 1] * np.log1p(known.gap) - own[:, 2] * np.log(known.users - 1)
    key = known.pair * (int(part.max()) + 1) + part[known.kind]
    order = np.lexsort((-score, key))
    order = order[np.diff(key[order], prepend=-1) != 0]
    _, first, inverse = np.unique(known.pair[order], return_index=True, return_inverse=True)
    total = np.bincount(inverse, score[order]).astype(np.float64)
    count = np.bincount(inverse).astype(np.float64)
    several = count > 1
    rows = order[first][several]
    return total[several], count[several], known.one[rows], known.weight[rows]


def weights(worlds: list[Pairs], settings: DetectionSettings) -> dict[str, object]:
    """The file that ships, from the pairs of all worlds."""
    kinds = sorted(settings.tie_kinds)
    families = [settings.tie_kinds[name].family for name in kinds]
    part = np.unique(families, return_inverse=True)[1].astype(np.int64)
    odds: dict[int, Floats] = {}
    seen: dict[str, int] = {}
    for number, name in enumerate(kinds):
        chosen = [world.where(world.kind == number) for world in worlds]
        every = Pairs(
            *(np.concatenate([getattr(one, each.name) for one in chosen]) for each in fields(Pairs))
        )
        seen[name] = int(every.one.sum())
        if name not in LIKE:
            odds[number] = fit(every)
    base = prior(worlds, odds, part)
    found: dict[str, dict[str, object]] = {}
    for name in kinds:
        fresh, fade, crowd = odds[kinds.index(LIKE.get(name, name))].tolist()
        found[name] = {
            "evidence": round(fresh - base, 2),
            "fade": round(fade, 3),
            "crowd": round(max(crowd, CROWD) if name in CROWDED else crowd, 3),
            "pairs": seen[name],
            "like": LIKE.get(name),
        }
    said = f"{len(WORLDS)} simulated worlds of {ORGANIZATIONS} organizations (bench/ties.py)"
    return {"version": VERSION, "learned_from": said, "prior": round(base, 2), "kinds": found}


def main() -> int:
    """Learn from all worlds and write the weights."""
    settings = DetectionSettings()
    worlds = []
    for campaign in WORLDS:
        with tempfile.TemporaryDirectory() as folder:
            one = observe(campaign, Path(folder), settings)
        worlds.append(evened(one))
        print(
            f"{campaign.difficulty:9} seed {campaign.seed}: {len(one.one)} pairs, {one.one.sum():.0f} of rings"
        )
    found = weights(worlds, settings)
    TARGET.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
    print(f"wrote {TARGET.name}: prior {found['prior']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
