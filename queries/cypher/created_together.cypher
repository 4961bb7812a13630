// title: Organizations created together on one address
// purpose: Addresses on which several organizations were created within a minute (or `seconds`), with the largest
//    such group of each: a script that signs up. Only organizations that used the address when they were created
//    count.
// parameter: seconds integer 1..86400 = 60 | Longest time from the first to the last creation.
// parameter: min_organizations integer 2..1000000 = 3 | Organizations of the group.
// parameter: max_degree integer 2..10000 = 200 | Addresses that more organizations used are left out.
// parameter: limit integer 1..100000 = 50 | Rows.
// example: seconds=60 min_organizations=2
// column: key text | The address's key.
// column: address text | The address.
// column: created integer | Organizations of the group.
// column: organizations integer | All organizations that used the address.
// column: first_created_at timestamp | The first creation of the group.
// column: last_created_at timestamp | Its last creation.
// column: org_ids text | Up to five of the group, the first first, joined by `;`.
MATCH (i:Ip {run: $run})
WHERE i.degree >= 2 AND i.degree <= $max_degree
WITH i
MATCH (o:Organization)-[u:USED_IP]->(i)
WHERE o.created_at IS NOT NULL AND u.first_at <= o.created_at + duration({seconds: $seconds})
WITH i, o
ORDER BY o.created_at, o.key
WITH i, collect(o) AS group
WHERE size(group) >= $min_organizations
UNWIND range(0, size(group) - 1) AS place
WITH
  i,
  place,
  [o IN group[place..] WHERE o.created_at <= group[place].created_at + duration({seconds: $seconds})] AS together
WHERE size(together) >= $min_organizations
WITH i, place, together
ORDER BY size(together) DESC, place
WITH i, head(collect(together)) AS together
RETURN
  i.key AS key,
  i.display AS address,
  size(together) AS created,
  i.degree AS organizations,
  head(together).created_at AS first_created_at,
  last(together).created_at AS last_created_at,
  reduce(text = head(together).org_id, o IN together[1..5] | text + ';' + o.org_id) AS org_ids
ORDER BY created DESC, organizations, key
LIMIT $limit
