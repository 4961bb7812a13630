"""A cluster made by hand, as admission finds it in the engine: who used what when, who proved what, who did what."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from detection import admission
from detection.correlate import tie_kinds
from detection.engines.duckdb import Engine
from detection.settings import (
    DAY,
    AdmissionSettings,
    DetectionSettings,
    EngineSettings,
    SourceSettings,
    default_sources,
)

MICROS = 1_000_000
DAYS = DAY * MICROS
START = 20_000 * DAYS
LINKS = "links.parquet"


@dataclass
class Case:
    """One cluster (number 1) of suspects; times are days after START. Everybody behaves like the ring, at risk 100.

    Organizations are `0..n-1`; those from `n` on that use something are strangers, in no cluster.
    """

    members: int
    uses: list[tuple[int, str, str, float]] = field(default_factory=list)
    proofs: list[tuple[int, str, str, str | None, float]] = field(default_factory=list)
    redeemed: list[tuple[int, int, str | None]] = field(default_factory=list)
    inference: dict[int, int] = field(default_factory=dict)
    created: dict[int, float] = field(default_factory=dict)
    shown: dict[int, float] = field(default_factory=dict)
    risk: dict[int, float] = field(default_factory=dict)
    protected: tuple[int, ...] = ()
    legitimate: tuple[int, ...] = ()
    cluster_risk: float = 100.0
    operator: bool = False
    q_value: float = 0.0

    def use(self, kind: str, key: str, *orgs: int, at: float = 0.0, step: float = 0.01) -> Case:
        """Have organizations use an identifier one after the other."""
        self.uses += [(org, kind, key, at + step * place) for place, org in enumerate(orgs)]
        return self

    def prove(
        self, proof: str, key: str | None, *orgs: int, at: float = 0.0, source: str = "default"
    ) -> Case:
        """Have organizations prove (or do) something, all at one time."""
        self.proofs += [(org, source, proof, key, at) for org in orgs]
        return self

    def reasons(
        self,
        tmp_path: Path,
        settings: AdmissionSettings | None = None,
        sources: dict[str, SourceSettings] | None = None,
    ) -> dict[int, str | None]:
        """Why each candidate is spared; None: it is actionable."""
        with Engine(EngineSettings(), tmp_path) as engine:
            self._load(engine, tmp_path)
            chosen = settings or AdmissionSettings()
            admission.trust(engine, sources or default_sources(), [tmp_path / LINKS])
            admission.prepare(engine, chosen)
            admission.admit(engine, chosen)
            found = engine.fetch("SELECT org, spared_reason FROM admitted ORDER BY org")
        return dict(zip(found["org"].to_pylist(), found["spared_reason"].to_pylist(), strict=True))

    def classes(self, tmp_path: Path) -> dict[tuple[int, str], str]:
        """The evidence class of each use that is not unilateral, by organization and key."""
        with Engine(EngineSettings(), tmp_path) as engine:
            self._load(engine, tmp_path)
            admission.trust(engine, default_sources(), [tmp_path / LINKS])
            admission.prepare(engine, AdmissionSettings())
            found = engine.fetch(
                "SELECT DISTINCT e.org, s.key, e.class FROM evidence AS e"
                " INNER JOIN shared_identifiers AS s ON e.identifier = s.identifier"
            ).to_pylist()
        return {(row["org"], row["key"]): row["class"] for row in found}

    def _load(self, engine: Engine, folder: Path) -> None:
        links = [_link(*use) for use in self.uses]
        users: dict[tuple[str, str], set[int]] = {}
        for org, kind, key, _ in self.uses:
            users.setdefault((kind, key), set()).add(org)
        shared = sorted(one for one, who in users.items() if len(who) > 1)
        entity = {one: number for number, one in enumerate(shared, 1)}
        orgs = range(max([self.members - 1, *(org for org, *_ in self.uses)]) + 1)
        members = range(self.members)
        tables: dict[str, Any] = {
            "shared_identifiers": _rows(
                [(kind, key, entity[kind, key], entity[kind, key]) for kind, key in shared],
                "kind key entity identifier",
            ),
            "uses": _rows(
                [
                    (kind, entity[kind, key], org, _at(at), _at(at), 10)
                    for org, kind, key, at in self.uses
                    if (kind, key) in entity
                ],
                "kind entity org first_at last_at uses",
            ),
            "degrees": _rows([(entity[one], len(users[one])) for one in shared], "entity organizations"),
            "reasons": _rows(
                [
                    (a, b, entity[one], entity[one])
                    for one in shared
                    for a in users[one]
                    for b in users[one]
                    if a < b
                ],
                "a b identifier entity",
            ),
            "tie_kinds": tie_kinds(DetectionSettings()),
            "organizations": _rows(
                [(org, f"o{org}", _at(self.created.get(org, 0.0))) for org in orgs],
                "org organization created_at",
            ),
            "proofs_parts": _rows(
                [
                    (f"o{org}", source, proof, key, _at(at), _at(at), 1)
                    for org, source, proof, key, at in self.proofs
                ],
                "organization source proof key first_at last_at events",
            ),
            "activity_parts": _rows(
                [(f"o{org}", "inference", count) for org, count in self.inference.items()],
                "organization event_type events",
            ),
            "referrals": _rows(self.redeemed, "org referrer code"),
            "scored_members": _rows(
                [(1, org, self.risk.get(org, 100.0)) for org in members], "cluster org risk"
            ),
            "scored_clusters": _rows([(1, self.cluster_risk)], "cluster risk"),
            "member_points": _rows(
                [(1, org, 100.0 * self.shown.get(org, 1.0), 100.0) for org in members],
                "cluster org shown expected",
            ),
            "operators": _rows([(1, self.operator)], "cluster legitimate_operator"),
            "confirmed": _rows([(1, self.q_value)], "cluster q_value"),
            "protected_organizations": _rows([(org,) for org in self.protected], "org"),
            "org_labels": _rows([(org, "legitimate") for org in self.legitimate], "org label"),
        }
        for name, table in tables.items():
            engine.register(name, table)
        pq.write_table(_rows(links, "organization kind key first_at last_at uses"), folder / LINKS)
        engine.read("links_parts", [folder / LINKS])


def ring(count: int = 6) -> Case:
    """Suspects who share a device and a verified phone, one after the other: all but the first are actionable."""
    everyone = range(count)
    return (
        Case(count)
        .use("device", "ring-device", *everyone)
        .use("phone", "ring-phone", *everyone)
        .prove("phone", "ring-phone", *everyone)
    )


_TYPES = {
    "org": pa.int64(),
    "cluster": pa.int64(),
    "entity": pa.int64(),
    "identifier": pa.int64(),
    "a": pa.int64(),
    "b": pa.int64(),
    "referrer": pa.int64(),
    "organizations": pa.int64(),
    "uses": pa.int64(),
    "events": pa.int64(),
    "first_at": pa.int64(),
    "last_at": pa.int64(),
    "created_at": pa.int64(),
    "risk": pa.float64(),
    "shown": pa.float64(),
    "expected": pa.float64(),
    "q_value": pa.float64(),
    "legitimate_operator": pa.bool_(),
}


def _rows(rows: list[tuple[Any, ...]], names: str) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names.split())
    return pa.table(
        {
            name: pa.array(list(values), _TYPES.get(name, pa.string()))
            for name, values in zip(names.split(), columns, strict=True)
        }
    )


def _link(org: int, kind: str, key: str, at: float) -> tuple[str, str, str, int, int, int]:
    return f"o{org}", kind, key, _at(at), _at(at), 10


def _at(days: float) -> int:
    return START + round(days * DAYS)
