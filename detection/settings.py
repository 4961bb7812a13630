"""Every constant of detection, typed, in one frozen object.

The figures are those of the measured recipe (docs/detection.md); each can be set in `ringfence.toml`.
"""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from detection.tie_weights import shipped

HOUR = 3_600
DAY = 24 * HOUR
MEMORY = 396 * DAY
"""Thirteen months: what was used further apart than that is somebody else's by now."""
WEIGHT_UNIT = 1_000_000
"""Fixed point: this many units of an int64 weight are a weight of 1."""
LOG_ODDS = 20
"""So many natural log-odds are a weight of 1: as good as certain, at the scale of the resolution."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


Family = Literal["client", "contact", "phone", "payment", "referral", "key", "name", "person", "timing"]
"""Kinds of tie that speak of the same thing are of one family: together they are one sort of evidence."""


class TieKind(_Frozen):
    """What sharing one kind of identifier is worth.

    `evidence`, `fade` and `crowd` are its log-likelihood ratio (`detection.tie_weights.KindWeight`), learned by
    `python -m bench.ties`; `gap_s` the silence in seconds that ends a session (weak kinds only); `cap` the number of
    organizations above which the identifier is a place and ties nobody; `strong` kinds are never cut into sessions;
    `base` is the kind of identifier when it is proven more strongly than usual (`phone_verified` is a `phone`);
    `family` is the sort of evidence that it is: of one family only the strongest counts; `counts` says whether it may
    speak for acting on somebody, or tie two without evidence of another family (what only looks alike may not).
    """

    evidence: float
    fade: float = Field(ge=0)
    crowd: float = Field(ge=0)
    gap_s: int = Field(gt=0)
    cap: int = Field(ge=2)
    strong: bool = False
    base: str | None = None
    family: Family
    counts: bool = True


def _tie_kind(
    name: str,
    family: Family,
    cap: int,
    gap_s: int = MEMORY,
    *,
    strong: bool = False,
    base: str | None = None,
    counts: bool = True,
) -> TieKind:
    learned = shipped().kinds[name]
    return TieKind(
        evidence=learned.evidence,
        fade=learned.fade,
        crowd=learned.crowd,
        gap_s=gap_s,
        cap=cap,
        strong=strong,
        base=base,
        family=family,
        counts=counts,
    )


def _tie_kinds() -> dict[str, TieKind]:
    return {
        "ip": _tie_kind("ip", "client", 200, 12 * HOUR),
        "device": _tie_kind("device", "client", 500),
        "device_attested": _tie_kind("device_attested", "client", 500, strong=True, base="device"),
        "mailbox": _tie_kind("mailbox", "contact", 500, strong=True),
        "email_domain": _tie_kind("email_domain", "contact", 500),
        "phone": _tie_kind("phone", "phone", 200),
        "phone_verified": _tie_kind("phone_verified", "phone", 200, strong=True, base="phone"),
        "payment_method": _tie_kind("payment_method", "payment", 200, strong=True),
        "payment_bin": _tie_kind("payment_bin", "payment", 300, DAY, counts=False),
        "referral_code": _tie_kind("referral_code", "referral", 200, 30 * DAY),
        "api_key": _tie_kind("api_key", "key", 500),
        "consumer": _tie_kind("consumer", "client", 200, 7 * DAY),
        "user": _tie_kind("user", "person", 200, strong=True),
        "name": _tie_kind("name", "name", 300, DAY),
    }


Verifiable = Literal["email", "phone", "payment_method", "device"]


class SourceSettings(_Frozen):
    """What the rows of one source (`ingest --source NAME`) may be trusted with.

    `verifies` names what its events prove: `email_verified` a mailbox, `phone_verified` a phone, `invoice_paid` a
    payment method, `attested` a device. `expected_every` is the longest silence in seconds that is normal for it; null:
    unknown, so it is never called late.
    """

    verifies: tuple[Verifiable, ...] = ()
    expected_every: int | None = Field(default=None, gt=0)


def default_sources() -> dict[str, SourceSettings]:
    """The platform's own source, `default`, verifies everything; any other nothing until told."""
    return {"default": SourceSettings(verifies=get_args(Verifiable))}


class EngineSettings(_Frozen):
    """How much of the machine a run may use."""

    threads: int = Field(default=2, ge=1)
    """Cores that queries use."""
    memory_limit: str = Field(default="2500MB", pattern=r"^\d+(MB|GB)$")
    """What queries may take before they spill to disk."""


class BystanderSettings(_Frozen):
    """When sharing an identifier is innocent: it is a place, not a tie."""

    least_crowd: int = Field(default=20, ge=2)
    """Organizations from which strangers on one identifier are a crowd: rings that share one thing are smaller."""
    crowd_share: float = Field(default=0.02, ge=0, le=1)
    """In a small population a crowd is this share of it."""
    least_crowd_of_few: int = Field(default=8, ge=2)
    """No crowd is smaller, however small the population."""
    least_servers: int = Field(default=5, ge=2)
    """Organizations from which a machine that calls models for strangers of all ages is a gateway or build system."""
    least_office: int = Field(default=4, ge=2)
    """Organizations from which an address with one e-mail domain may be an office."""
    accompanied: float = Field(default=0.05, ge=0, le=1)
    """They are strangers while no larger share of them has anything else in common with one another."""
    domain_share: float = Field(default=0.5, gt=0, le=1)
    """The share with mailboxes on one domain from which an address is an office or campus."""
    ages_s: int = Field(default=2 * DAY, gt=0)
    """Organizations are of all ages when their middle half was created over at least this time; waves are not."""
    far_beyond: float = Field(default=3, ge=1)
    """A value is junk from so many times its kind's usual degree (the 95th percentile) on."""
    one_card: float = Field(default=0.5, gt=0, le=1)
    """An operator is legitimate only where one payment method settles for this share of its organizations: rings spread
    theirs over several."""
    worth: float = Field(default=3, ge=0)
    """And where they paid so many times the credit that they used: who came for the credit would lose by it."""


class AdmissionSettings(_Frozen):
    """Who may be acted on without a person looking; reasons in docs/adr/0010-admission.md."""

    cluster_risk: float = Field(default=60, ge=0, le=100)
    """Least risk of a cluster whose members may be actionable."""
    member_risk: float = Field(default=60, ge=0, le=100)
    """Least risk of an actionable member, and of the members that count as its company."""
    false_discoveries: float = Field(default=0.05, gt=0, le=1)
    """The false discovery rate at which a cluster must be more than chance; those of risk 50 or more are tested."""
    min_attached: int = Field(default=3, ge=2)
    """How many organizations, itself included, must hold together whichever identifier is lost: two may be friends."""
    min_types: int = Field(default=2, ge=1)
    """Types of tie (families of kinds) to other suspects: one may be an accident, or one person's doing."""
    types_left: int = Field(default=1, ge=1)
    """Types of tie that a member of whom nothing is proven must have left whichever identifier is lost."""
    life_before_s: int = Field(default=3 * DAY, ge=0)
    """How long before its first tie an organization must have paid or verified a contact for that to speak for it."""
    client_span_s: int = Field(default=7 * DAY, ge=0)
    """How long it must have used the genuine client before its first tie."""
    reliance: float = Field(default=0.8, gt=0.5, le=1)
    """The share of an organization's inference that one consumer sends when it is the one who uses it."""
    dedication: float = Field(default=0.5, ge=0, le=1)
    """The share of a consumer's organizations that must rely on it: tools of many tenants serve many a little."""
    least_share: float = Field(default=0.5, ge=0, le=1)
    """The share of suspects among all organizations that used an identifier: below it, it is rather a place or a tool
    that others have in common with them."""
    least_agreement: float = Field(default=0.5, ge=0, le=1)
    """The share of the behaviour for which a cluster has its points that a member must show by itself, in points, to be
    like its ring: more often so than not."""
    window_tail: float = Field(default=0.1, ge=0, lt=0.5)
    """The share of earliest and of latest sign-ups that does not stretch a ring's window."""
    window_margin: float = Field(default=0.5, ge=0)
    """How far the window reaches beyond the rest, as a share of their span."""
    window_least_s: int = Field(default=DAY, ge=0)
    """And at least so long: waves of sign-ups come within a day."""


class HomeDetectorSettings(_Frozen):
    """How much a detector of the home may use, and count for."""

    seconds: int = Field(default=30, ge=1, le=600)
    """Longest time that one may run; what ships takes less than two on a million organizations."""
    all_seconds: int = Field(default=120, ge=1)
    """Longest time that all of them together may add to a run; those that are left then do not run."""
    memory_mb: int = Field(default=1_024, ge=64)
    """Most memory that one may take besides the views."""
    most_points: float = Field(default=60, ge=0)
    """Most points that one may add: three doublings of the odds, which is what a good signal that ships is worth."""


class DetectionSettings(_Frozen):
    """The recipe from links to scored clusters."""

    tie_kinds: dict[str, TieKind] = Field(default_factory=_tie_kinds)
    tie_prior: float = Field(default_factory=lambda: shipped().prior, lt=0)
    """Log-odds that two organizations of which nothing is known are one operator's: what evidence has to outweigh."""
    memory_s: int = Field(default=MEMORY, gt=0)
    """Thirteen months: an identifier ties nobody who used it further apart than that."""
    predecessors: int = Field(default=10, ge=1, le=50)
    """How many organizations before it each is tied to in a session: ties grow linearly with use."""
    min_weight: float = Field(default=0.15, gt=0)
    """The least weight of a tie: log-odds of three, twenty to one that both are one operator's."""
    resolution: float = Field(default=0.002, gt=0)
    """Constant Potts resolution at this scale of weights."""
    levels: int = Field(default=6, ge=0)
    """How many times the resolution is halved to join what a ring of thousands leaves in parts."""
    join_share: float = Field(default=0.1, ge=0, le=1)
    """The least share of its weight, or of its members, that every part of a join must have with the other parts."""
    join_members: int = Field(default=10, ge=2)
    """No fewer members than that are a share: one identifier (a rented number) may tie some of any two rings."""
    iterations: int = Field(default=4, ge=1)
    """Rounds of Leiden; more change little."""
    seed: int = 1
    """Of Leiden and of the random reference groups: the same facts and seed give the same result."""
    min_jaccard: float = Field(default=0.3, gt=0, le=1)
    """Least overlap with which a cluster keeps its id from the previous run."""
    reference_organizations: int = Field(default=20_000, ge=100)
    """How many organizations the random reference groups hold, which give every signal its baseline."""
    reference_group: int = Field(default=10, ge=2)
    """How many of them make one group."""
    small_population: int = Field(default=1_000, ge=0)
    """Below this many organizations the baselines that ship are used."""
    bystanders: BystanderSettings = Field(default_factory=BystanderSettings)
    engine: EngineSettings = Field(default_factory=EngineSettings)
    admission: AdmissionSettings = Field(default_factory=AdmissionSettings)
    home_detectors: HomeDetectorSettings = Field(default_factory=HomeDetectorSettings)
