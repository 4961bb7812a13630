"""Why a member may be acted on without a person looking, or is spared, with the ties that decided."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow.compute as pc

from api.answers.reading import Row, RunReader, key_bytes
from detection import admission

TYPES = {
    "client": "addresses and devices",
    "contact": "e-mail",
    "phone": "phone",
    "payment": "payment",
    "referral": "referrals",
    "key": "API keys",
    "name": "name",
    "person": "people",
    "timing": "timing",
}
"""Families of ties, for people."""

_MEANINGS = {
    admission.PROTECTED: "It is on the list of protected organizations.",
    admission.LEGITIMATE: "People labelled it legitimate.",
    admission.CLUSTER_RISK: "Its cluster's risk, {cluster_risk}, is below {least_cluster_risk}.",
    admission.MEMBER_RISK: "Its own risk, {member_risk}, is below {least_member_risk}.",
    admission.OPERATOR: "Its cluster looks like one legitimate operator with many organizations.",
    admission.CHANCE: "Its cluster is not confirmed by evidence that did not find it: it may be chance.",
    admission.NO_TIE: "Nothing of a kind that counts ties it to another suspect of its cluster.",
    admission.FORGEABLE: "It was the first to use what ties it to other suspects, or nobody else proved that this is "
    "theirs, or most who use it are not suspects: others could have made such ties without its doing.",
    admission.ONE_TYPE: "Ties of {min_types} independent types are needed; it has them of one.",
    admission.SINGLE: "Take one identifier away, and it hangs together with fewer than {min_attached} suspects, itself "
    "included.",
    admission.PAID: "It had settled an invoice, on a payment method that nobody else had used, at least {life} before "
    "its first tie that counts. A stolen card or a leaked key may tie such a customer to a ring.",
    admission.CLIENT: "It had used the genuine client for at least {client} before its first tie that counts.",
    admission.CONTACT: "It had verified a contact that nobody else uses at least {life} before its first tie that "
    "counts.",
    admission.COMPANY: "It is tied firmly only to members who do not behave as its cluster does: what speaks against "
    "the cluster is others' doing.",
    admission.BEHAVIOUR: "None of its ties is proven by both sides, and its own behaviour falls short of the ring's.",
    admission.WINDOW: "None of its ties is proven by both sides, and it did not sign up when the ring did.",
    admission.ONE_LOSS: "None of its ties is proven by both sides, and with one identifier fewer they are of too few "
    "types.",
}
_PROVEN = (
    "Its risk and its cluster's pass the thresholds; ties of {count} types ({types}) hold it, one of them proven "
    "by both sides, whichever identifier is taken away; nothing before its first tie speaks for a life of its own."
)
_DISPOSABLE = (
    "Its risk and its cluster's pass the thresholds; ties of {count} types ({types}) hold it whichever identifier "
    "is taken away; it signed up when the ring did and behaves like it; nothing before its first tie speaks for "
    "a life of its own."
)


@dataclass(frozen=True)
class WeighedTie:
    """An identifier that ties an organization to `suspects` suspects of its cluster, of `organizations` who used it.

    `evidence_class` is what it took from where this organization stands; `counts`: others cannot have forged it;
    `decides`: it counts, and holds the organization to a group of suspects.
    """

    kind: str
    key: str
    display: str
    type: str
    evidence_class: str
    since: object
    suspects: int
    organizations: int
    counts: bool
    decides: bool


@dataclass(frozen=True)
class Standing:
    """Whether a member is actionable, why not (a short phrase), the same in words, and the ties looked at."""

    actionable: bool
    spared_reason: str | None
    words: str
    ties: list[WeighedTie]


def standing(run: RunReader, org_id: str) -> Standing | None:
    """How admission decided about an organization; None where it is in no cluster."""
    member = run.one("members", "org_id", org_id)
    if member is None:
        return None
    ties = _ties(run, org_id)
    reason = member["spared_reason"] or None
    return Standing(member["actionable"], reason, _words(run, member, reason, ties), ties)


def _ties(run: RunReader, org_id: str) -> list[WeighedTie]:
    if not run.files.path("admission").exists():  # a run of a version before this one
        return []
    rows = run.rows("admission", pc.field("org_id") == org_id)
    rows.sort(key=lambda row: (not row["decides"], not row["counted"], row["kind"], -row["suspects"]))
    shown = run.displays(key_bytes(row["key"]) for row in rows)
    return [
        WeighedTie(
            kind=row["kind"],
            key=key_bytes(row["key"]).hex(),
            display=shown.get(key_bytes(row["key"]), key_bytes(row["key"]).hex()),
            type=TYPES.get(str(row["family"]), str(row["family"])),
            evidence_class=row["evidence_class"],
            since=row["first_at"],
            suspects=row["suspects"] - 1,
            organizations=row["orgs"],
            counts=row["counted"],
            decides=row["decides"],
        )
        for row in rows
    ]


def _words(run: RunReader, member: Row, reason: str | None, ties: list[WeighedTie]) -> str:
    if reason is None:
        proven = any(tie.decides and tie.evidence_class != "unilateral" for tie in ties)
        types = sorted({tie.type for tie in ties if tie.decides})
        return (_PROVEN if proven else _DISPOSABLE).format(count=len(types), types="; ".join(types))
    settings = run.files.manifest.settings.get("admission", {})
    return _MEANINGS.get(reason, f"{reason.capitalize()}.").format(
        cluster_risk=f"{member['cluster_risk']:.1f}",
        member_risk=f"{member['member_risk']:.1f}",
        least_cluster_risk=settings.get("cluster_risk"),
        least_member_risk=settings.get("member_risk"),
        min_types=settings.get("min_types"),
        min_attached=settings.get("min_attached"),
        life=_days(settings.get("life_before_s")),
        client=_days(settings.get("client_span_s")),
    )


def _days(seconds: int | None) -> str:
    if seconds is None:
        return "some time"
    days = seconds / 86_400
    return f"{days:g} day{'' if days == 1 else 's'}"
