"""Ties to what people or a feed labelled abusive."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="known_bad_tie",
    title="Known-bad tie",
    meaning=(
        "A member used an identifier that people or a feed labelled abusive, or shares one with another organization "
        "that was. Its own label says nothing here, and neither do places where everybody has been."
    ),
    fact="{affected} of {eligible} organizations share an identifier with what is labelled abusive",
    innocent="A stolen card or a leaked key ties its victim to the thief, and labels can be wrong or poisoned.",
    group="common",
    evidence_class="unilateral",
    reads=("member_links", "known_bad"),
    sql="""
        WITH labels AS (
            SELECT COUNT(*) AS known FROM known_bad
        )
        SELECT
            l.cluster,
            l.org,
            MAX(CASE WHEN b.key IS NOT NULL THEN 1.0 ELSE 0.0 END) AS value,
            MAX_BY(l.kind, {'n': CASE WHEN b.key IS NOT NULL THEN 1 ELSE 0 END, 'k': l.key}) AS kind,
            MAX_BY(l.key, {'n': CASE WHEN b.key IS NOT NULL THEN 1 ELSE 0 END, 'k': l.key}) AS key,
            MIN(CASE WHEN b.key IS NOT NULL THEN l.first_at END) AS happened_at,
            SUM(CASE WHEN b.key IS NOT NULL THEN 1 ELSE 0 END) AS count
        FROM member_links AS l
        LEFT JOIN known_bad AS b
            ON l.kind = b.kind AND l.key = b.key
            AND (b.first_org IS NULL OR b.first_org <> l.org OR b.last_org <> l.org)
        CROSS JOIN labels AS k
        WHERE k.known > 0
        GROUP BY l.cluster, l.org
    """,
)
