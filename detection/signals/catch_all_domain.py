"""Many mailboxes on a young domain that nobody else uses."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="catch_all_domain",
    title="Catch-all domain",
    meaning=(
        "Three or more members have mailboxes at a domain that nobody outside the group uses, and they appeared within "
        "a day of one another: whoever owns the domain can make mailboxes without end."
    ),
    fact=(
        "{affected} of {eligible} organizations with an own e-mail domain appeared within a day of two others on one "
        "that only this group uses"
    ),
    innocent="Companies and universities have domains too; people come to them over months, but for a course.",
    group="trial_farm",
    evidence_class="unilateral",
    reads=("member_links",),
    sql="""
        WITH domains AS (
            SELECT
                cluster,
                org,
                key,
                first_at,
                sharers,
                organizations,
                place,
                COUNT(*) OVER (
                    PARTITION BY cluster, key ORDER BY first_at
                    RANGE BETWEEN 86400000000 PRECEDING AND 86400000000 FOLLOWING
                ) AS beside
            FROM member_links
            WHERE kind = 'email_domain'
        )
        SELECT
            cluster,
            org,
            MAX(CASE WHEN beside >= 3 AND sharers = organizations AND NOT place THEN 1.0 ELSE 0.0 END) AS value,
            'email_domain' AS kind,
            MAX_BY(key, {'n': sharers, 'k': key}) AS key,
            MIN(first_at) AS happened_at,
            MAX(sharers) AS count
        FROM domains
        GROUP BY cluster, org
    """,
)
