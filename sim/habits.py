"""What members of a ring share, by difficulty and level of care: the numbers, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sim.rings import Difficulty


@dataclass(frozen=True)
class Habit:
    """How often one sort of identifier is shared: by level, the share of members, and members to a value."""

    share: tuple[float, float, float]
    members: tuple[float, float, float]
    mixing: float = 0.5
    """How far from its neighbours in time a member may take its value, as a share of the whole ring."""


Playbook = dict[str, Habit]
PLAIN: Final[Playbook] = {
    "device": Habit((1.0, 0.9, 0.35), (14, 7, 4), 1.0),
    "address": Habit((1.0, 1.0, 0.9), (25, 10, 5), 0.05),
    "payment": Habit((0.85, 0.75, 0.7), (9, 6, 4), 1.5),
    "mailbox": Habit((0.7, 0.3, 0.0), (25, 12, 1), 1.5),
    "domain": Habit((0.2, 0.4, 0.4), (60, 40, 25)),
    "phone": Habit((0.8, 0.7, 0.6), (8, 5, 4), 1.0),
    "referral": Habit((0.4, 0.3, 0.2), (12, 8, 6), 0.5),
    "name": Habit((0.8, 0.5, 0.2), (1e9, 1e9, 1e9)),
    "range": Habit((0.5, 0.5, 0.5), (1e9, 1e9, 1e9)),
    "bin": Habit((0.9, 0.8, 0.7), (1e9, 1e9, 1e9)),
}
MIMIC: Final[Playbook] = {
    **PLAIN,
    "device": Habit((0.95, 0.8, 0.6), (9, 6, 4), 1.0),
    "address": Habit((0.9, 0.8, 0.7), (10, 6, 4), 0.1),
    "payment": Habit((0.45, 0.4, 0.35), (7, 5, 4), 1.5),
    "mailbox": Habit((0.12, 0.06, 0.0), (12, 6, 1), 1.5),
    "domain": Habit((0.45, 0.45, 0.45), (40, 25, 15)),
    "phone": Habit((0.8, 0.7, 0.6), (8, 6, 4), 1.0),
    "referral": Habit((0.12, 0.1, 0.08), (8, 6, 4), 0.5),
    "name": Habit((0.3, 0.15, 0.05), (1e9, 1e9, 1e9)),
}
ROTATE: Final[Playbook] = {
    **PLAIN,
    "device": Habit((0.0, 0.0, 0.0), (1, 1, 1)),
    "address": Habit((0.0, 0.0, 0.0), (1, 1, 1)),
    "payment": Habit((0.0, 0.0, 0.0), (1, 1, 1)),
    "mailbox": Habit((0.15, 0.05, 0.0), (4, 3, 1)),
    "domain": Habit((0.5, 0.4, 0.3), (40, 20, 10)),
    "phone": Habit((0.1, 0.05, 0.0), (3, 2, 1)),
    "referral": Habit((0.5, 0.45, 0.4), (6, 5, 4), 0.1),
    "name": Habit((0.8, 0.6, 0.4), (1e9, 1e9, 1e9)),
    "range": Habit((0.8, 0.7, 0.6), (1e9, 1e9, 1e9)),
    "bin": Habit((0.95, 0.9, 0.8), (1e9, 1e9, 1e9)),
}
SERIAL: Final[Playbook] = {
    **PLAIN,
    "device": Habit((0.7, 0.4, 0.15), (6, 4, 2), 0.2),
    "address": Habit((0.2, 0.1, 0.0), (3, 2, 1), 0.1),
    "payment": Habit((0.8, 0.7, 0.6), (8, 6, 5), 0.4),
    "mailbox": Habit((0.5, 0.4, 0.3), (8, 6, 5), 0.4),
    "domain": Habit((0.4, 0.4, 0.4), (30, 30, 30)),
    "phone": Habit((0.7, 0.6, 0.5), (8, 6, 5), 0.4),
    "referral": Habit((0.1, 0.1, 0.1), (2, 2, 2), 0.1),
    "name": Habit((0.6, 0.4, 0.2), (1e9, 1e9, 1e9)),
}
PLAYBOOKS: Final[dict[Difficulty, Playbook]] = {
    "plain": PLAIN,
    "mimic": MIMIC,
    "rotate": ROTATE,
    "adaptive": PLAIN,
    "serial": SERIAL,
}
