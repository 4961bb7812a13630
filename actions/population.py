"""Who there is: what plans ask of the run that serves, and of the facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from actions.model import Member


@dataclass(frozen=True)
class Hits:
    """Legitimate organizations that a measure at the door would have hit in the last 30 days."""

    organizations: int
    sample: tuple[str, ...] = ()


class UnknownPopulation:
    """Nobody: what there is when no run can be read. Restores and containment go on; nothing lasting may."""

    run_id = ""
    as_of = datetime.min.replace(tzinfo=UTC)
    active_organizations = 0
    unfit = ("no run can be read",)

    def cluster(self, cluster_id: str) -> Iterator[Sequence[Member]]:  # noqa: ARG002
        """Nobody."""
        return iter(())

    def organizations(self, org_ids: Sequence[str]) -> Iterator[Sequence[Member]]:  # noqa: ARG002
        """Nobody."""
        return iter(())

    def consumption(self, org_ids: Sequence[str], since: datetime) -> Mapping[str, float]:  # noqa: ARG002
        """Nothing."""
        return {}

    def legitimate_hits(self, entity_type: str, keys: Sequence[str]) -> Mapping[str, Hits]:  # noqa: ARG002
        """Nothing."""
        return {}


class Population(Protocol):
    """One run, as far as decisions need it. Members come in batches, sorted by `org_id`, so that memory stays flat."""

    @property
    def run_id(self) -> str:
        """The run that serves."""

    @property
    def as_of(self) -> datetime:
        """What the run knew up to."""

    @property
    def active_organizations(self) -> int:
        """How many there are: the base of the caps."""

    @property
    def unfit(self) -> Sequence[str]:
        """Why the run must not lead to lasting actions (a late or incomplete source); empty: it may."""

    def cluster(self, cluster_id: str) -> Iterator[Sequence[Member]]:
        """The members of a cluster (of its successors, where it split); nothing if there is none."""

    def organizations(self, org_ids: Sequence[str]) -> Iterator[Sequence[Member]]:
        """Those of these organizations that the run knows."""

    def consumption(self, org_ids: Sequence[str], since: datetime) -> Mapping[str, float]:
        """What these organizations consumed since then, in the home's currency."""

    def legitimate_hits(self, entity_type: str, keys: Sequence[str]) -> Mapping[str, Hits]:
        """For each entity, the legitimate organizations that used it in the last 30 days."""
