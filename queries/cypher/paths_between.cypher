// title: Paths between two organizations
// purpose: The shortest connections of two organizations: identifiers that both use or, where there are none, an
//    organization that shares one with each of them; the rarest evidence first. Identifiers that many use connect
//    everybody, so they are left out. `ringfence why A B` follows ties farther.
// parameter: a text | An organization's id.
// parameter: b text | Another one's.
// parameter: max_degree integer 2..1000 = 50 | Identifiers that more organizations use are left out.
// parameter: limit integer 1..100000 = 10 | Rows.
// example: a=ann b=dan
// column: identifiers integer | Identifiers on the path, 1 or 2.
// column: commonest integer | Organizations that use the commonest of them.
// column: path text | The path: organizations and, between them, how both use what.
// column: keys text | The keys of everything between the two, joined by `;`.
MATCH (a:Organization {run: $run, org_id_head: left($a, 256), org_id: $a})
MATCH (b:Organization {run: $run, org_id_head: left($b, 256), org_id: $b})
WHERE a <> b
WITH a, b
MATCH path = allShortestPaths((a)-[
  :HAS_NAME|HAS_USER|SERVED_CONSUMER|USED_API_KEY|USED_DEVICE|USED_EMAIL
  |USED_EMAIL_DOMAIN|USED_IP|USED_IP_NETWORK|USED_PAYMENT_METHOD|USED_PAYOUT
  |USED_PHONE|USED_PROMO_CODE|USED_REFERRAL_CODE|USED_TLS_FINGERPRINT|USED_USER_AGENT*..4]-(b))
WHERE all(n IN nodes(path) WHERE coalesce(n.degree, 0) <= $max_degree)
WITH length(path) / 2 AS identifiers, nodes(path) AS steps, [r IN relationships(path) | type(r)] AS types
WITH
  identifiers,
  reduce(most = 0, n IN steps | CASE WHEN n.degree > most THEN n.degree ELSE most END) AS commonest,
  reduce(
    text = head(steps).org_id,
    place IN range(1, size(steps) - 1) | text + ' — ' + CASE place % 2
      WHEN 1 THEN types[place - 1] + ' ' + coalesce(steps[place].display, steps[place].key)
      ELSE steps[place].org_id
    END
  ) AS path,
  reduce(text = steps[1].key, n IN steps[2..-1] | text + ';' + n.key) AS keys
RETURN identifiers, commonest, path, keys
ORDER BY commonest, path, keys
LIMIT $limit
