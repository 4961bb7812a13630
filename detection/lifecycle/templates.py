"""What `ringfence detectors new` writes: a small detector that works, with what to change said in comments."""

from __future__ import annotations

from detection.lifecycle.definition import Language

_HEADER = """\
{c} id: {id}
{c} title: Relay
{c} meaning: One program works through a stock of organizations: the next starts where the one before stopped.
{c} fact: {{affected}} of {{eligible}} organizations called their first model within an hour of another's last call
{c} group: trial_farm
{c} evidence_class: unilateral
{c} reads: member_activity
{c}
{c} Ringfence reads the lines above; docs/recipes/detectors.md explains each of them, the views and their columns.
"""

_SQL = """\
-- Below: one SELECT, a row for each member that can be judged.
WITH used AS (
    SELECT cluster, org, first_at, last_at
    FROM member_activity
    WHERE event_type = 'inference' AND last_at > first_at
),
moments AS (
    SELECT cluster, org, first_at AS happened_at, 0 AS stops FROM used
    UNION ALL
    SELECT cluster, org, last_at AS happened_at, 1 AS stops FROM used
),
counted AS (
    SELECT
        cluster,
        org,
        happened_at,
        stops,
        SUM(stops) OVER (
            PARTITION BY cluster ORDER BY happened_at RANGE BETWEEN 3600000000 PRECEDING AND CURRENT ROW
        ) AS stopped_before
    FROM moments
)
SELECT
    cluster,
    org,
    CASE WHEN stopped_before > 0 THEN 1.0 ELSE 0.0 END AS value,
    NULL AS kind,
    NULL AS key,
    happened_at,
    stopped_before AS count
FROM counted
WHERE stops = 0
"""

_PYTHON = '''\
# Below: detect(tables) gets the views it reads as pyarrow tables, by name, and returns one: a row for each member
# that can be judged. It may import numpy, pyarrow, pyarrow.compute and small modules of the standard library.

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

HOUR = 3_600_000_000


def stopped_before(cluster, first, last):
    """How many members of its group stopped within the hour before each one started."""
    count = np.zeros(len(cluster), dtype=np.int64)
    order = np.argsort(cluster, kind="stable")
    for here in np.split(order, np.flatnonzero(np.diff(cluster[order])) + 1):
        ends = np.sort(last[here])
        until = np.searchsorted(ends, first[here], side="right")
        count[here] = until - np.searchsorted(ends, first[here] - HOUR, side="left")
    return count


def detect(tables):
    activity = tables["member_activity"]
    lasting = pc.greater(activity["last_at"], activity["first_at"])
    used = activity.filter(pc.and_(pc.equal(activity["event_type"], "inference"), lasting))
    first = used["first_at"].to_numpy()
    count = stopped_before(used["cluster"].to_numpy(), first, used["last_at"].to_numpy())
    return pa.table(
        {
            "cluster": used["cluster"],
            "org": used["org"],
            "value": (count > 0).astype(float),
            "kind": pa.nulls(len(used)),
            "key": pa.nulls(len(used)),
            "happened_at": first,
            "count": count,
        }
    )
'''


def template(name: str, language: Language) -> str:
    """A detector called `name` that passes a check as it is."""
    comment, body = ("#", _PYTHON) if language == "python" else ("--", _SQL)
    return _HEADER.format(c=comment, id=name) + body
