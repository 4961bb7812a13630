"""Calls with the genuine client that lack the reports which that client sends of itself."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="missing_client",
    title="Missing client",
    meaning=(
        "Calls say that they come from the genuine client, which reports of itself beside its work; no report ever "
        "came. Which clients report is learnt from everybody: those of which four in five organizations hear. The "
        "value is the share of such calls. Users of the bare API and of programming libraries are not judged."
    ),
    fact="{affected} of {eligible} organizations mostly called with a client that reports of itself, and it never did",
    innocent="Firewalls and privacy settings that block reports, and a gateway that passes a client's name on.",
    group="trial_farm",
    evidence_class="unilateral",
    reads=("member_clients",),
    sql="""
        WITH heard AS (
            SELECT cluster, org, SUM(reports) AS reports, SUM(calls) AS calls
            FROM member_clients
            GROUP BY cluster, org
        )
        SELECT
            c.cluster,
            c.org,
            CASE WHEN MAX(h.reports) = 0 THEN SUM(c.calls) / MAX(h.calls) ELSE 0.0 END AS value,
            CASE WHEN MAX(c.key) IS NOT NULL THEN 'user_agent' END AS kind,
            MAX_BY(c.key, {'n': c.calls, 'k': c.key}) AS key,
            MIN(c.first_at) AS happened_at,
            SUM(c.calls) AS count
        FROM member_clients AS c
        INNER JOIN heard AS h ON c.cluster = h.cluster AND c.org = h.org
        WHERE c.calls > 0 AND c.organizations >= 20 AND c.reporting >= 0.8 * c.organizations
        GROUP BY c.cluster, c.org
    """,
)
