"""Many mailboxes on a domain that nobody else uses."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="catch_all_domain",
    title="Catch-all domain",
    meaning=(
        "Three or more members have mailboxes at a domain that nobody outside the group uses: "
        "whoever owns the domain can make mailboxes without end."
    ),
    fact=(
        "{affected} of {eligible} organizations with an own e-mail domain are on one that only "
        "this group uses"
    ),
    group="trial_farm",
    evidence_class="unilateral",
    reads=("member_links",),
    sql="""
        SELECT
            cluster,
            org,
            MAX(CASE WHEN sharers >= 3 AND sharers = organizations THEN 1.0 ELSE 0.0 END) AS value,
            'email_domain' AS kind,
            MAX_BY(key, {'n': sharers, 'k': key}) AS key,
            MIN(first_at) AS happened_at,
            MAX(sharers) AS count
        FROM member_links
        WHERE kind = 'email_domain'
        GROUP BY cluster, org
    """,
)
