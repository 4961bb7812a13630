"""What a plan may do, as pure rules: the same at plan time and at each wave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from actions.ledger.releases import Waiting
from actions.ledger.subjects import Known
from actions.model import Action, Kind, Member, Plan, PlanRequest, PrincipalKind
from actions.refusals import Refusal
from actions.settings import ActionSettings

DEFAULT_BAN = timedelta(days=90)
"""A ban is permanent only when said."""
DEFAULT_ENTITY = timedelta(days=7)
UNKNOWN = "not in the run"


@dataclass(frozen=True)
class Situation:
    """What the rules look at beside the plan itself."""

    active_organizations: int
    unfit: Sequence[str]
    hits_24h: int
    """Lasting effects of the last 24 hours."""
    busiest_day: int
    """The most lasting effects of one of the 30 days before."""
    incident: bool
    automatic_24h: int
    """Members that policies contained in the last 24 hours."""


def lasting_caps(settings: ActionSettings, situation: Situation) -> tuple[int, int]:
    """Members that may be acted on lastingly without elevated approval: (by one plan, in 24 hours)."""
    lasting = settings.lasting
    share = int(min(lasting.day_share * situation.active_organizations, lasting.day_ceiling))
    plan, day = lasting.plan_cap, max(lasting.day_floor, share)
    if situation.incident:
        return max(plan, lasting.incident_plan_cap), max(day, lasting.incident_day_cap)
    return plan, day


def breaker_limit(settings: ActionSettings, situation: Situation) -> int:
    """Lasting effects in 24 hours above which our own data is suspected."""
    lasting = settings.lasting
    return int(
        max(
            lasting.breaker_floor,
            lasting.breaker_factor * situation.busiest_day,
            lasting.breaker_share * situation.active_organizations,
        )
    )


def halting(settings: ActionSettings, situation: Situation, size: int) -> list[Refusal]:
    """What halts a lasting action of `size` more members: an unfit run, the breaker. Containment never comes here."""
    found = [
        Refusal(
            "unfit_run",
            f"the run is not fit for lasting actions: {why}",
            "Contain meanwhile; repair the source.",
        )
        for why in situation.unfit
    ]
    limit = breaker_limit(settings, situation)
    if situation.hits_24h + size > limit and not situation.incident:
        found.append(
            Refusal(
                "breaker",
                f"{situation.hits_24h + size:,} lasting actions in 24 h are far more than usual ({limit:,} at most)",
                "Check the sources first. If the attack is real, two people declare an incident.",
            )
        )
    return found


def needs(settings: ActionSettings, situation: Situation, action: Action, size: int) -> str:
    """`nothing`, `approval` or `elevated`."""
    if action.kind is not Kind.LASTING:
        return "nothing"
    plan_cap, day_cap = lasting_caps(settings, situation)
    over = size > plan_cap or situation.hits_24h + size > day_cap
    return "elevated" if over else "approval"


def entity_needs(settings: ActionSettings, hits: int) -> str:
    """What a measure at the door takes, by the legitimate organizations that it would have hit."""
    if hits <= settings.entities.free_hits:
        return "nothing"
    return "elevated" if hits > settings.entities.elevated_hits else "approval"


def containment(
    settings: ActionSettings, situation: Situation, size: int, principal_kind: PrincipalKind
) -> list[Refusal]:
    """What containment must not exceed."""
    rules = settings.containment
    found = []
    if size > rules.max_members:
        found.append(
            Refusal(
                "cap", f"{size:,} members are more than {rules.max_members:,} at once", "Make several plans."
            )
        )
    if principal_kind == "policy" and situation.automatic_24h + size > rules.automatic_per_day:
        found.append(
            Refusal(
                "budget",
                f"policies may contain {rules.automatic_per_day:,} members in 24 h, this would be "
                f"{situation.automatic_24h + size:,}",
                "An operator may contain the rest.",
            )
        )
    return found


def duration(settings: ActionSettings, request: PlanRequest) -> timedelta | None:
    """How long the effect lasts; None: until restored. Raises Refusal for what its kind may not have."""
    kind, wanted = request.action.kind, request.duration
    if wanted is not None and wanted <= timedelta(0):
        raise Refusal("bad_request", "the duration is not positive", "Give how long the effect is to last.")
    if kind is Kind.RESTORE:
        return None
    if kind is Kind.LASTING:
        if request.permanent and wanted is not None:
            raise Refusal(
                "bad_request", "permanent and a duration contradict each other", "Leave one of them out."
            )
        return None if request.permanent else wanted or DEFAULT_BAN
    longest = (settings.containment if kind is Kind.CONTAINMENT else settings.entities).max_duration
    if request.permanent or (wanted or timedelta(0)) > longest:
        raise Refusal("bad_request", f"{request.action} lasts {longest} at most", "Renew it by another plan.")
    return wanted or (longest if kind is Kind.CONTAINMENT else min(DEFAULT_ENTITY, longest))


def spared(member: Member, known: Known | None, request: PlanRequest) -> str | None:
    """Why a member is left out of a plan; None: it is acted on."""
    if member.spared_reason == UNKNOWN:
        return UNKNOWN
    busy = None if known is None else _busy(known, request)
    if busy is not None or _insists(request):
        return busy
    if known is not None and known.protected:
        return f"protected: {known.protected}"
    if member.protections:
        return f"protected: {', '.join(sorted(member.protections))}"
    return None if member.actionable else member.spared_reason or "not actionable"


def _busy(known: Known, request: PlanRequest) -> str | None:
    """What the ledger has against it, whoever insists."""
    if known.appealed:
        return "appeal open"
    if known.open_plan is not None:
        return f"in open plan {known.open_plan}"
    if known.claimed_by is not None and request.action.kind is Kind.LASTING:
        return f"already {request.action} by {known.claimed_by}"
    return None


def _insists(request: PlanRequest) -> bool:
    """Whether a person named the members of a lasting plan and gave a second reason for it."""
    named = request.action.kind is Kind.LASTING and request.selector.names_members
    return named and bool(request.second_reason.strip())


def spared_now(waiting: Waiting, plan: Plan) -> str | None:
    """Why a member is skipped when its turn comes; None: it is acted on."""
    if plan.kind is Kind.RESTORE:
        return None if waiting.held else "no longer held by what is undone"
    if waiting.appealed:
        return "appeal open"
    if waiting.generation != waiting.prior_generation:
        return "changed since it was planned"
    if waiting.protected and not plan.second_reason:
        return f"protected meanwhile: {waiting.protected}"
    return None
