"""Referral trees that grow deep and narrow, on the inviter's own infrastructure, or in loops."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="referral_tree",
    title="Referral tree",
    meaning=(
        "Members invite one another on the inviter's own infrastructure (address, device, phone, mailbox, payment "
        "method), in loops, or in chains of three generations and more of which nobody invited many. Half a value "
        "each for own infrastructure and a deep, narrow chain; a loop is both."
    ),
    fact=(
        "{affected} of {eligible} organizations in a referral programme invite their own: on one infrastructure, in "
        "a deep and narrow chain, or in a loop"
    ),
    innocent="Families and colleagues invite each other once; a public figure's followers form a broad, flat tree.",
    group="referral_ring",
    evidence_class="unilateral",
    reads=("member_links", "members", "referrals"),
    sql="""
        WITH programme AS (
            SELECT m.cluster, m.org, MIN(r.first_at) AS happened_at
            FROM members AS m
            INNER JOIN (
                SELECT org, first_at FROM referrals UNION ALL SELECT referrer, first_at FROM referrals
            ) AS r ON m.org = r.org
            GROUP BY m.cluster, m.org
        ),
        edges AS (
            SELECT m.cluster, r.org, r.referrer
            FROM referrals AS r
            INNER JOIN members AS m ON r.org = m.org
            INNER JOIN members AS n ON r.referrer = n.org AND m.cluster = n.cluster
        ),
        narrow AS (
            SELECT referrer FROM referrals GROUP BY referrer HAVING COUNT(*) <= 30
        ),
        own AS (
            SELECT DISTINCT e.cluster, e.org, e.referrer, a.kind, a.key
            FROM edges AS e
            INNER JOIN member_links AS a ON e.cluster = a.cluster AND e.org = a.org
            INNER JOIN member_links AS b
                ON e.cluster = b.cluster AND e.referrer = b.org AND a.kind = b.kind AND a.key = b.key
            WHERE a.kind IN ('ip', 'device', 'phone', 'mailbox', 'payment_method') AND NOT a.place
        ),
        loops AS (
            SELECT a.cluster, a.org
            FROM edges AS a
            INNER JOIN edges AS b ON a.cluster = b.cluster AND a.referrer = b.org
            LEFT JOIN edges AS c ON b.cluster = c.cluster AND b.referrer = c.org
            WHERE b.referrer = a.org OR c.referrer = a.org
        ),
        chains AS (
            SELECT a.cluster, a.org AS leaf, a.referrer AS middle, b.referrer AS root
            FROM edges AS a
            INNER JOIN edges AS b ON a.cluster = b.cluster AND a.referrer = b.org
            WHERE a.org <> b.referrer
                AND a.referrer IN (SELECT referrer FROM narrow) AND b.referrer IN (SELECT referrer FROM narrow)
        ),
        marks AS (
            SELECT cluster, org, 0.5 AS own, 0.0 AS deep, kind, key FROM own
            UNION ALL
            SELECT cluster, referrer, 0.5, 0.0, kind, key FROM own
            UNION ALL
            SELECT cluster, org, 0.5, 0.5, NULL, NULL FROM loops
            UNION ALL
            SELECT cluster, leaf, 0.0, 0.5, NULL, NULL FROM chains
            UNION ALL
            SELECT cluster, middle, 0.0, 0.5, NULL, NULL FROM chains
            UNION ALL
            SELECT cluster, root, 0.0, 0.5, NULL, NULL FROM chains
        )
        SELECT
            p.cluster,
            p.org,
            COALESCE(MAX(k.own), 0) + COALESCE(MAX(k.deep), 0) AS value,
            MIN(k.kind) AS kind,
            MIN_BY(k.key, {'n': k.kind, 'k': k.key}) AS key,
            MIN(p.happened_at) AS happened_at,
            COUNT(k.own) AS count
        FROM programme AS p
        LEFT JOIN marks AS k ON p.cluster = k.cluster AND p.org = k.org
        GROUP BY p.cluster, p.org
    """,
)
