// title: Members of a cluster and what they share
// purpose: The organizations of a cluster, the riskiest first, with how many identifiers of each sort they share
//    with anybody. Identifiers that only one organization uses are not counted.
// parameter: cluster_id text | A cluster's id.
// parameter: limit integer 1..100000 = 200 | Rows.
// example: cluster_id=cl_4t6hq2mzxa
// column: org_id text | The organization.
// column: member_risk number | How sure its membership is.
// column: created_at timestamp | When it was created.
// column: cost number | What serving it cost.
// column: status text | What was done about it; null: nothing.
// column: addresses integer | Addresses that it shares.
// column: devices integer | Devices that it shares.
// column: api_keys integer | API keys that it shares.
// column: payment_methods integer | Payment methods that it shares.
// column: mailboxes integer | Mailboxes that it shares.
// column: phones integer | Phone numbers that it shares.
// column: referred integer | Organizations that it brought.
MATCH (c:Cluster {run: $run, cluster_id: $cluster_id})<-[m:MEMBER_OF]-(o:Organization)
WITH m, o
ORDER BY m.member_risk DESC, o.key
LIMIT $limit
RETURN
  o.org_id AS org_id,
  m.member_risk AS member_risk,
  o.created_at AS created_at,
  o.cost AS cost,
  o.status AS status,
  COUNT { (o)-[:USED_IP]->() } AS addresses,
  COUNT { (o)-[:USED_DEVICE]->() } AS devices,
  COUNT { (o)-[:USED_API_KEY]->() } AS api_keys,
  COUNT { (o)-[:USED_PAYMENT_METHOD]->() } AS payment_methods,
  COUNT { (o)-[:USED_EMAIL]->() } AS mailboxes,
  COUNT { (o)-[:USED_PHONE]->() } AS phones,
  o.referred AS referred
ORDER BY member_risk DESC, o.key
