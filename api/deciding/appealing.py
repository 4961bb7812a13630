"""An appeal opened, with what the run that serves knows about the organization."""

from __future__ import annotations

from actions import appeals
from actions.appeals import Appeal
from api.deciding.desk import Desk


def opened(desk: Desk, organization: str, statement: str) -> Appeal:
    """Open an appeal; one of an organization that has a life of its own may stop a plan. Raises Refusal."""
    found = [one for batch in desk.population().organizations([organization]) for one in batch]
    life = any(one.independent_life for one in found)
    with desk.ledger.transaction() as tx:
        return appeals.open_appeal(
            tx, organization, desk.principal, statement=statement, independent_life=life
        )
