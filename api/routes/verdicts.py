"""Verdicts at sign-up, trial, promotion, payment and first inference. The graph store is never asked."""

from __future__ import annotations

from api.auth.permissions import Permission
from api.door.door import Answer, Door
from api.http.guard import Routes
from api.routes.needs import ServicesOf
from api.schemas.verdicts import AtTheDoor, SeveralAtTheDoor, VerdictShown, VerdictsShown

routes = Routes("verdicts")


@routes.changes("/verdicts", Permission.READ)
def ask(services: ServicesOf, given: AtTheDoor) -> VerdictShown:
    """What to do with somebody at the door. It knows events at most a second old, and answers without a part, too."""
    return _shown(services.door.answer(given.at, given.fields))


@routes.changes("/verdicts/batch", Permission.READ)
def ask_several(services: ServicesOf, given: SeveralAtTheDoor) -> VerdictsShown:
    """The same for several, in order."""
    return VerdictsShown(verdicts=[_of(services.door, each) for each in given.asked])


def _of(door: Door, given: AtTheDoor) -> VerdictShown:
    return _shown(door.answer(given.at, given.fields))


def _shown(found: Answer) -> VerdictShown:
    return VerdictShown(
        verdict=found.decision.verdict,
        reasons=list(found.decision.reasons),
        ttl_s=found.decision.ttl_s,
        fail_open=bool(found.degraded),
        degraded=list(found.degraded),
        run_id=found.run_id,
    )
