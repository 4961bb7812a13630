"""What was decided, for scripts that enforce: a feed with a cursor, acknowledgements, the whole state to start from.

It says who is a honeypot, as whoever enforces has to know; so it is for operators, not for everybody who reads.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from actions.sinks import feed
from api.auth.permissions import Permission
from api.http.guard import Routes
from api.routes.needs import DeskOf
from api.schemas.effects import Acknowledged, Acknowledging, EffectShown, EffectsShown, StateShown

routes = Routes("effects")
Sink = Annotated[str, Query(pattern=r"^[a-z0-9_:.-]{1,80}$", description="The sink whose effects are meant.")]
Cursor = Annotated[int, Query(ge=0, le=2**62, description="Only what comes after it.")]
Most = Annotated[int, Query(ge=1, le=feed.PAGE, description="How many at most.")]


@routes.reads("/effects", Permission.OPERATE)
def list_effects(
    desk: DeskOf, after: Cursor = 0, limit: Most = 1_000, sink: Sink = feed.NAME
) -> EffectsShown:
    """Effects after a cursor, in the order in which they were decided. Apply each only above the last generation."""
    with desk.ledger.reading() as reading:
        found = feed.pull(reading, after=after, limit=limit, sink=sink)
    return EffectsShown(
        effects=[EffectShown(**each.as_dict()) for each in found],
        cursor=found[-1].seq if found else after,
        more=len(found) == limit,
    )


@routes.changes("/effects/acknowledge", Permission.OPERATE)
def acknowledge_effects(desk: DeskOf, given: Acknowledging, sink: Sink = feed.NAME) -> Acknowledged:
    """Say which effects hold now. Saying it twice changes nothing."""
    with desk.ledger.transaction() as tx:
        if given.effect_ids is not None:
            count = feed.acknowledge(tx, given.effect_ids, desk.principal, sink=sink)
        else:
            count = feed.acknowledge_through(tx, given.through or 0, desk.principal, sink=sink)
    return Acknowledged(acknowledged=count)


@routes.reads("/state", Permission.OPERATE)
def state(desk: DeskOf, after: Cursor = 0, limit: Most = 1_000) -> StateShown:
    """Everybody who is restricted now: where a bouncer starts, before it follows the feed."""
    with desk.ledger.reading() as reading:
        return StateShown(**feed.state(reading, after=after, limit=limit))
