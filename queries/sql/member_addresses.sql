-- title: Addresses and consumers of members
-- purpose: From where each member of a group acted and was used. `key` is the consumer for calls of models (one that the
--    platform names, else a program told by address and signature), else the address: calls, how many of them tiny, when
--    the first, acts of people (anything but calls), and `people`, acts of the member's people at the same address; what
--    kind of network it is, where that is known, and whether it is a place; how many members called so, how many with
--    tiny calls.
-- reads: addresses_parts, organizations, members, address_types, places
-- writes: member_addresses
WITH wanted AS (
    SELECT DISTINCT o.org, o.organization
    FROM organizations AS o
    INNER JOIN members AS m ON o.org = m.org
),
seen AS (
    SELECT
        w.org,
        a.ip,
        a.consumer,
        SUM(a.calls) AS calls,
        SUM(a.probes) AS probes,
        SUM(a.acts) AS acts,
        MIN(a.first_call_at) AS first_call_at,
        MIN(a.first_at) AS first_at,
        MAX(a.last_at) AS last_at
    FROM addresses_parts AS a
    INNER JOIN wanted AS w ON a.organization = w.organization
    GROUP BY w.org, a.ip, a.consumer
),
peopled AS (
    SELECT s.*, CASE WHEN s.ip IS NOT NULL THEN SUM(s.acts) OVER (PARTITION BY s.org, s.ip) ELSE 0 END AS people
    FROM seen AS s
),
own AS (
    SELECT
        org,
        CASE WHEN consumer IS NULL THEN 'ip' ELSE 'consumer' END AS kind,
        COALESCE(consumer, ip) AS key,
        MIN(ip) AS ip,
        CAST(SUM(calls) AS BIGINT) AS calls,
        CAST(SUM(probes) AS BIGINT) AS probes,
        CAST(SUM(acts) AS BIGINT) AS acts,
        CAST(SUM(people) AS BIGINT) AS people,
        MIN(first_call_at) AS first_call_at,
        MIN(first_at) AS first_at,
        MAX(last_at) AS last_at
    FROM peopled
    GROUP BY org, CASE WHEN consumer IS NULL THEN 'ip' ELSE 'consumer' END, COALESCE(consumer, ip)
),
typed AS (
    SELECT n.*, t.type, COALESCE(t.place, FALSE) OR p.entity IS NOT NULL AS place
    FROM own AS n
    LEFT JOIN address_types AS t ON n.ip = t.key
    LEFT JOIN places AS p ON p.kind = 'consumer' AND n.kind = 'consumer' AND n.key = p.key
),
called AS (
    SELECT
        m.cluster,
        t.key,
        COUNT(*) AS callers,
        SUM(CASE WHEN t.probes > 0 THEN 1 ELSE 0 END) AS probed
    FROM typed AS t
    INNER JOIN members AS m ON t.org = m.org
    WHERE t.calls > 0
    GROUP BY m.cluster, t.key
    HAVING COUNT(*) > 1
)
SELECT
    m.cluster,
    t.org,
    t.kind,
    t.key,
    t.calls,
    t.probes,
    t.acts,
    t.people,
    t.first_call_at,
    t.first_at,
    t.last_at,
    t.type,
    t.place,
    CAST(COALESCE(c.callers, CASE WHEN t.calls > 0 THEN 1 ELSE 0 END) AS BIGINT) AS callers,
    CAST(COALESCE(c.probed, CASE WHEN t.probes > 0 THEN 1 ELSE 0 END) AS BIGINT) AS probed
FROM typed AS t
INNER JOIN members AS m ON t.org = m.org
LEFT JOIN called AS c ON m.cluster = c.cluster AND t.key = c.key
