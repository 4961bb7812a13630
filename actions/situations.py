"""Gathering what the guardrails look at."""

from __future__ import annotations

from datetime import timedelta

from actions.guardrails import Situation
from actions.ledger import Reading, plans, verdicts
from actions.population import Population
from actions.refusals import Refusal

DAY = timedelta(days=1)
EVERYTHING = "all"


def situation(reading: Reading, population: Population) -> Situation:
    """Counts of the last day and month, the run, the incident."""
    now = reading.now
    month = plans.hits_by_day(reading, now - 31 * DAY, now - DAY, plans.LASTING)
    return Situation(
        active_organizations=population.active_organizations,
        unfit=tuple(population.unfit),
        hits_24h=plans.hits_between(reading, now - DAY, now + DAY, plans.LASTING),
        busiest_day=max(month, default=0),
        incident=verdicts.active_incident(reading) is not None,
        automatic_24h=plans.automatic_hits(reading, now - DAY),
    )


def killed(reading: Reading, creator: str) -> str | None:
    """The kill switch that stops plans of this creator, with its reason; None: none does."""
    engaged = verdicts.switches_engaged(reading)
    for name in (EVERYTHING, creator):
        if name in engaged:
            return f"{name}: {engaged[name]}"
    return None


def refuse_if_killed(reading: Reading, creator: str) -> None:
    """Raise Refusal while a kill switch is on."""
    why = killed(reading, creator)
    if why is not None:
        raise Refusal(
            "kill_switch", f"the kill switch is on ({why})", "An operator turns it off when it is safe."
        )
