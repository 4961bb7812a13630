"""One TLS signature over many organizations that claim to be different."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="uniform_client",
    title="Uniform client",
    meaning=(
        "Most members show one and the same TLS signature, and it is rare elsewhere: one program "
        "behind many organizations."
    ),
    fact=(
        "{affected} of {eligible} organizations show the one TLS signature of this group, which "
        "is rare elsewhere"
    ),
    innocent="A new version of a browser or library while few have it, and one company's managed machines.",
    group="common",
    evidence_class="unilateral",
    reads=(
        "member_links",
        "members",
    ),
    sql="""
        WITH sizes AS (
            SELECT cluster, COUNT(*) AS members FROM members GROUP BY cluster
        ),
        elsewhere AS (
            SELECT key, COUNT(*) AS organizations
            FROM member_links
            WHERE cluster < 0 AND kind = 'tls_fingerprint'
            GROUP BY key
        ),
        everybody AS (
            SELECT COUNT(*) AS organizations FROM members WHERE cluster < 0
        )
        SELECT
            l.cluster,
            l.org,
            MAX(CASE
                WHEN l.sharers >= 3
                    AND l.sharers >= 0.5 * s.members
                    AND COALESCE(e.organizations, 0) <= 0.05 * t.organizations
                THEN 1.0 ELSE 0.0
            END) AS value,
            'tls_fingerprint' AS kind,
            MAX_BY(l.key, {'n': l.sharers, 'k': l.key}) AS key,
            MIN(l.first_at) AS happened_at,
            MAX(l.sharers) AS count
        FROM member_links AS l
        INNER JOIN sizes AS s ON l.cluster = s.cluster
        LEFT JOIN elsewhere AS e ON l.key = e.key
        CROSS JOIN everybody AS t
        WHERE l.kind = 'tls_fingerprint'
        GROUP BY l.cluster, l.org
    """,
)
