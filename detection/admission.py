"""Admission: who may be acted on without a person looking, and why everybody else is spared.

What is said of many at once is SQL (`queries/sql/admission_*.sql`); what is decided about one member after the other is
here, for members above the risk thresholds only. The rules are those of docs/adr/0010-admission.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detection.attachment import holding
from detection.engines.duckdb import Engine
from detection.settings import AdmissionSettings, SourceSettings

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SECOND = 1_000_000
PROOFS = {
    "email": ("mailbox", "email_domain"),
    "phone": ("phone",),
    "payment_method": ("payment_method",),
    "device": ("device",),
}
"""By what a source verifies: the proofs in `day_proofs.sql` for which its word counts."""

PROTECTED = "protected"
LEGITIMATE = "labelled legitimate"
CLUSTER_RISK = "risk of the cluster below threshold"
MEMBER_RISK = "risk below threshold"
OPERATOR = "one legitimate operator"
CHANCE = "cluster not confirmed against chance"
NO_TIE = "no tie that counts to another suspect"
FORGEABLE = "ties that others can forge"
ONE_TYPE = "only one type of tie"
SINGLE = "held by a single identifier"
PAID = "independent life: paid before the first tie"
CLIENT = "independent life: used the genuine client before the first tie"
CONTACT = "independent life: verified a contact before the first tie"
COMPANY = "held to others who behave unlike the ring"
BEHAVIOUR = "nothing proven and behaves unlike the ring"
WINDOW = "nothing proven and signed up outside the ring's window"
ONE_LOSS = "nothing proven and two types of tie only until one identifier is lost"
LIVES = {"paid": PAID, "client": CLIENT, "contact": CONTACT}
REASONS = (
    *(
        PROTECTED,
        LEGITIMATE,
        CLUSTER_RISK,
        MEMBER_RISK,
        OPERATOR,
        CHANCE,
        NO_TIE,
        FORGEABLE,
        ONE_TYPE,
        SINGLE,
    ),
    *(COMPANY, PAID, CLIENT, CONTACT, BEHAVIOUR, WINDOW, ONE_LOSS),
)
"""Every reason for which a member is spared, in the order in which they are looked at."""


def trust(engine: Engine, sources: Mapping[str, SourceSettings], links: Sequence[Path]) -> None:
    """Leave `trusted_sources`, and take from the view `links_parts` what only untrusted sources call proven.

    `links` are the files of that view. Aggregates outlive settings, so they cannot know whose word counts.
    """
    engine.register("trusted_sources", _trusted(sources))
    engine.stage("admission_unbacked")
    if len(engine.fetch("SELECT 1 FROM unbacked LIMIT 1")):
        claims = "SELECT kind, organization, key FROM unbacked"
        engine.read("links_parts", links, where=f"(kind, organization, key) NOT IN ({claims})")


def prepare(engine: Engine, settings: AdmissionSettings) -> None:
    """What does not depend on communities: who controls what, and the class of each link's evidence.

    Reads `proofs_parts`, `trusted_sources` and the tables of `correlate`; leaves `settlements`, `control`, `reliance`
    and `evidence`.
    """
    engine.register("admission_recipe", _recipe(settings))
    for stage in ("settlements", "control", "reliance", "evidence"):
        engine.stage(f"admission_{stage}")


def admit(engine: Engine, settings: AdmissionSettings) -> None:
    """Decide about every candidate, after the scores; leaves `counted_ties`, `decisive_ties` and `admitted`.

    `admitted` has a row for each candidate: `org`, and `spared_reason`, null for whoever may be acted on.
    """
    engine.stage("admission_candidates")
    engine.stage("admission_counted_ties")
    found = engine.fetch(
        "SELECT cluster, org, created_at, agreement, operator, q_value FROM candidates ORDER BY cluster, org"
    )
    ties = engine.fetch(
        "SELECT cluster, org, identifier, family, class, first_at, counted FROM counted_ties"
        " ORDER BY cluster, identifier, first_at, org"
    )
    suspects = Suspects.of(found)
    standing = stand(suspects, Ties.of(ties, suspects), settings)
    decisive = ties.filter(pa.array(standing.decides)).select(["org", "identifier"])
    engine.register("decisive_ties", decisive)
    engine.register("first_ties", pa.table({"org": suspects.org, "tied_at": standing.tied_at}))
    engine.stage("admission_lives")
    lives = engine.fetch("SELECT org, life FROM lives")
    known = dict(zip(lives["org"].to_pylist(), lives["life"].to_pylist(), strict=True))
    reasons = pa.array(list(_spared(suspects, standing, known, settings)), pa.string())
    engine.register("admitted", pa.table({"org": suspects.org, "spared_reason": reasons}))


@dataclass(frozen=True)
class Suspects:
    """Candidates by cluster and organization: sign-up in µs (-1: unknown), the share that they show of the
    behaviour for which their cluster has its points, and of the cluster whether it is a legitimate operator's, and at
    which false discovery rate it is more than chance."""

    cluster: Ints
    org: Ints
    created: Ints
    agreement: Floats
    operated: Bools
    q_value: Floats

    @classmethod
    def of(cls, found: pa.Table) -> Suspects:
        """From rows `cluster org created_at agreement operator q_value` in that order."""
        return cls(
            cluster=_numbers(found, "cluster"),
            org=_numbers(found, "org"),
            created=np.asarray(found["created_at"].combine_chunks().fill_null(-1).to_numpy(), dtype=np.int64),
            agreement=np.asarray(found["agreement"].to_numpy(), dtype=np.float64),
            operated=np.asarray(found["operator"].to_numpy(), dtype=np.bool_),
            q_value=np.asarray(found["q_value"].to_numpy(), dtype=np.float64),
        )

    def rows(self, org: Ints) -> Ints:
        """The row of each organization; all have one."""
        order = np.argsort(self.org)
        return np.asarray(order[np.searchsorted(self.org, org, sorter=order)], dtype=np.int64)


@dataclass(frozen=True)
class Ties:
    """Uses of identifiers that tie suspects of one cluster, sorted by cluster, identifier and first use.

    `suspect` is a row of `Suspects`; `identifier` is dense, one number in each cluster; `tied_at` is when the use
    became a tie: its own first, but of the identifier's first user, the second one's. Times in µs.
    """

    suspect: Ints
    identifier: Ints
    family: Ints
    proven: Bools
    counted: Bools
    tied_at: Ints

    @classmethod
    def of(cls, found: pa.Table, suspects: Suspects) -> Ties:
        """From rows `cluster org identifier family class first_at counted` in that order."""
        cluster, identifier = _numbers(found, "cluster"), _numbers(found, "identifier")
        opens = np.ones(len(cluster), dtype=np.bool_)
        opens[1:] = (cluster[1:] != cluster[:-1]) | (identifier[1:] != identifier[:-1])
        at = _numbers(found, "first_at")
        second = np.append(at[1:], at[-1:])
        family = found["family"].combine_chunks().dictionary_encode().indices
        return cls(
            suspect=suspects.rows(_numbers(found, "org")),
            identifier=np.cumsum(opens) - 1,
            family=family.to_numpy(zero_copy_only=False).astype(np.int64),
            proven=np.asarray(found["class"].to_numpy() != "unilateral", dtype=np.bool_),
            counted=found["counted"].to_numpy().astype(np.bool_),
            tied_at=np.where(opens, second, at),
        )


@dataclass(frozen=True)
class Standing:
    """How each suspect is tied to the others.

    `tied` at all, `counts`: by ties that count; `tied_at`: since when those do (µs; 0: never); `reach`: of how many
    types those are; `holds` in a group that no single identifier keeps together; `types` of counted ties into it,
    `proven` when one of them is mutual or verified; `spare`: whether enough types are left whichever identifier is
    lost; `company`: the share of the ring's behaviour that the middle one of that group shows. `decides` has a flag for
    each row of the ties: it is one of those into the group.
    """

    tied: Bools
    counts: Bools
    tied_at: Ints
    reach: Ints
    holds: Bools
    types: Ints
    proven: Bools
    spare: Bools
    company: Floats
    decides: Bools


def stand(suspects: Suspects, ties: Ties, settings: AdmissionSettings) -> Standing:
    """Find out how everybody is tied."""
    count = len(suspects.org)
    group, carrying = holding(count, ties.suspect, ties.identifier, ties.counted, settings.min_attached)
    inside = group[ties.suspect]
    # with how many of its group each use shares its identifier; what carries nobody is alone
    keys = inside * (int(ties.identifier.max(initial=0)) + 1) + ties.identifier
    shared = np.where(carrying & (inside >= 0), keys, -1 - np.arange(len(keys)))
    _, of, company = np.unique(shared, return_inverse=True, return_counts=True)
    decides = ties.counted & (inside >= 0) & (company[of] > 1)
    families = int(ties.family.max(initial=0)) + 1
    each = np.bincount(ties.suspect[decides] * families + ties.family[decides], minlength=count * families)
    each = each.reshape(count, families)
    types = (each > 0).sum(axis=1)
    tied_at = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(tied_at, ties.suspect[ties.counted], ties.tied_at[ties.counted])
    counts = _marked(count, ties.suspect[ties.counted])
    reach = np.bincount(
        np.unique(ties.suspect[ties.counted] * families + ties.family[ties.counted]) // families,
        minlength=count,
    )
    return Standing(
        tied=_marked(count, ties.suspect),
        counts=counts,
        tied_at=np.where(counts, tied_at, 0),
        reach=reach,
        holds=group >= 0,
        types=types,
        proven=_marked(count, ties.suspect[decides & ties.proven]),
        spare=types - (each == 1).any(axis=1) >= settings.types_left,
        company=_middles(suspects.agreement, group),
        decides=decides,
    )


def _spared(
    suspects: Suspects, standing: Standing, lives: Mapping[int, str], settings: AdmissionSettings
) -> Iterator[str | None]:
    """Why each suspect is spared; None for whoever is not."""
    like = suspects.agreement >= settings.least_agreement
    window = _in_window(suspects, settings)
    checks = (
        (suspects.operated, OPERATOR),
        (suspects.q_value > settings.false_discoveries, CHANCE),
        (~standing.tied, NO_TIE),
        (~standing.counts, FORGEABLE),
        (standing.reach < settings.min_types, ONE_TYPE),
        (~standing.holds, SINGLE),
        (standing.types < settings.min_types, ONE_TYPE),
        (standing.company < settings.least_agreement, COMPANY),
    )
    unproven = (~like, BEHAVIOUR), (~window, WINDOW), (~standing.spare, ONE_LOSS)
    for row, org in enumerate(suspects.org.tolist()):
        reason = next((reason for flags, reason in checks if flags[row]), None)
        if reason is None and org in lives:
            reason = LIVES[lives[org]]
        if reason is None and not standing.proven[row]:
            reason = next((reason for flags, reason in unproven if flags[row]), None)
        yield reason


def _in_window(suspects: Suspects, settings: AdmissionSettings) -> Bools:
    """Who signed up when its cluster's suspects did: between two quantiles, with a margin of their distance."""
    known = suspects.created >= 0
    inside = np.zeros(len(known), dtype=np.bool_)
    order = np.lexsort((suspects.created, suspects.cluster))
    order = order[known[order]]
    cluster, created = suspects.cluster[order], suspects.created[order]
    _, starts, counts = np.unique(cluster, return_index=True, return_counts=True)
    for start, size in zip(starts.tolist(), counts.tolist(), strict=True):
        here = created[start : start + size]
        cut = int(settings.window_tail * size)
        low, high = int(here[cut]), int(here[size - 1 - cut])
        margin = max(settings.window_margin * (high - low), settings.window_least_s * SECOND)
        inside[order[start : start + size]] = (here >= low - margin) & (here <= high + margin)
    return inside


def _middles(values: Floats, group: Ints) -> Floats:
    """The median value of each one's group (of two in the middle the lesser)."""
    order = np.lexsort((values, group))
    _, starts, counts = np.unique(group[order], return_index=True, return_counts=True)
    middles = np.empty(len(values))
    middles[order] = np.repeat(values[order][starts + (counts - 1) // 2], counts)
    return middles


def _marked(count: int, rows: Ints) -> Bools:
    marks = np.zeros(count, dtype=np.bool_)
    marks[rows] = True
    return marks


def _numbers(table: pa.Table, name: str) -> Ints:
    return np.asarray(table[name].to_numpy(), dtype=np.int64)


def _recipe(settings: AdmissionSettings) -> pa.Table:
    """The one row of constants that the SQL reads; times in µs."""
    return pa.table(
        {
            "cluster_risk": [settings.cluster_risk],
            "member_risk": [settings.member_risk],
            "reliance": [settings.reliance],
            "dedication": [settings.dedication],
            "least_share": [settings.least_share],
            "before": pa.array([settings.life_before_s * SECOND], pa.int64()),
            "client_span": pa.array([settings.client_span_s * SECOND], pa.int64()),
        }
    )


def _trusted(sources: Mapping[str, SourceSettings]) -> pa.Table:
    """Which source's word proves what, as rows."""
    rows = [
        (name, proof)
        for name, source in sorted(sources.items())
        for what in source.verifies
        for proof in PROOFS[what]
    ]
    return pa.table(
        {
            "source": pa.array([name for name, _ in rows], pa.string()),
            "proof": pa.array([proof for _, proof in rows], pa.string()),
        }
    )
