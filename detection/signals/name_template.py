"""Name template."""

from __future__ import annotations

from detection.detector import Detector, sharing

DETECTOR = Detector(
    id="name_template",
    title="Name template",
    meaning=(
        "Names of at least three members are alike but for digits and look-alike characters, as "
        "from one pattern."
    ),
    fact=(
        "{affected} of {eligible} named organizations are named from a pattern that three or more "
        "members share"
    ),
    innocent="A default name that a sign-up form suggests, and common first names.",
    group="trial_farm",
    evidence_class="unilateral",
    reads=("member_links",),
    sql=sharing("name", at_least=3),
)
