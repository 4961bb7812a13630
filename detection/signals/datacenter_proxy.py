"""People who act from data centres and proxies."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="datacenter_proxy",
    title="Data centre or proxy",
    meaning=(
        "People sign up and sign in from data centres, VPN exits or proxies. Calls of models are left out: servers "
        "are in data centres."
    ),
    fact=(
        "{affected} of {eligible} organizations were mostly signed in from data centres, VPN exits or proxies"
    ),
    innocent="People who value their privacy use a VPN, and whole companies leave through one.",
    group="common",
    evidence_class="unilateral",
    reads=("member_addresses",),
    sql="""
        SELECT
            cluster,
            org,
            SUM(CASE WHEN type IN ('data_centre', 'vpn') THEN acts ELSE 0 END) / SUM(acts) AS value,
            'ip' AS kind,
            MAX_BY(key, {'n': CASE WHEN type IN ('data_centre', 'vpn') THEN acts ELSE 0 END, 'k': key}) AS key,
            MIN(CASE WHEN type IN ('data_centre', 'vpn') THEN first_at END) AS happened_at,
            SUM(CASE WHEN type IN ('data_centre', 'vpn') THEN acts ELSE 0 END) AS count
        FROM member_addresses
        WHERE acts > 0 AND kind = 'ip'
        GROUP BY cluster, org
    """,
)
