"""What sharing each kind of identifier says, as learned numbers: tie_weights.json, which bench/ties.py writes."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, Field


class KindWeight(BaseModel):
    """The log-likelihood ratio of sharing one identifier of a kind, of one operator against strangers.

    It is `evidence - fade * ln(1 + gap in hours) - crowd * ln(users - 1)`, in natural logarithms: what two fresh users
    of an identifier that nobody else has say; how that fades with the time between the two; and how much of it chance
    explains where more organizations use it. `like` names the kind whose numbers these are where no simulated ring
    shares this one; `pairs` says how many pairs of one ring the numbers rest on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    evidence: float
    fade: float = Field(ge=0)
    crowd: float = Field(ge=0)
    pairs: int = Field(default=0, ge=0)
    like: str | None = None


class TieWeights(BaseModel):
    """The weights of all kinds. `prior` is the log-odds that two organizations of which nothing is known are one's."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    version: str
    learned_from: str
    prior: float = Field(lt=0)
    kinds: dict[str, KindWeight]


@cache
def shipped() -> TieWeights:
    """The weights that ship, learned from simulated campaigns."""
    return TieWeights.model_validate_json((files("detection") / "tie_weights.json").read_bytes())
