"""One organization every few weeks, always on the same means."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="serial_signup",
    title="Serial sign-up",
    meaning=(
        "Members came one by one, a week or more apart, and three or more still share a payment method, mailbox or "
        "phone."
    ),
    fact=(
        "{affected} of {eligible} organizations signed up alone, a week or more from any other "
        "member, on shared means"
    ),
    innocent="An agency that opens an organization for each new client, a family on one card.",
    group="serial",
    evidence_class="verified",
    reads=(
        "member_activity",
        "member_links",
    ),
    sql="""
        WITH signups AS (
            SELECT
                cluster,
                org,
                first_at AS happened_at,
                LAG(first_at) OVER (PARTITION BY cluster ORDER BY first_at, org) AS before,
                LEAD(first_at) OVER (PARTITION BY cluster ORDER BY first_at, org) AS after
            FROM member_activity
            WHERE event_type = 'organization_created'
        ),
        means AS (
            SELECT cluster, org, MAX(sharers) AS sharers
            FROM member_links
            WHERE kind IN ('payment_method', 'mailbox', 'phone') AND NOT place
            GROUP BY cluster, org
        )
        SELECT
            s.cluster,
            s.org,
            CASE
                WHEN m.sharers >= 3
                    AND COALESCE(s.happened_at - s.before, s.after - s.happened_at) >= 604800000000
                    AND COALESCE(s.after - s.happened_at, s.happened_at - s.before) >= 604800000000
                THEN 1.0 ELSE 0.0
            END AS value,
            NULL AS kind,
            NULL AS key,
            s.happened_at,
            1 AS count
        FROM signups AS s
        INNER JOIN means AS m ON s.cluster = m.cluster AND s.org = m.org
    """,
)
