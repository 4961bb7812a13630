// title: Mailboxes that look alike
// purpose: Different mailboxes that a person takes for the same, such as `mai1@` and `mail@`, used by several
//    organizations. Mailboxes that only one organization uses are not in the graph.
// parameter: min_spellings integer 2..1000000 = 2 | Different mailboxes of one look.
// parameter: max_degree integer = 1000 | Mailboxes that more organizations use are left out.
// parameter: limit integer 1..100000 = 50 | Rows.
// example: min_spellings=2
// column: look text | What all of them look like.
// column: spellings integer | Different mailboxes.
// column: organizations integer | Organizations that use one of them.
// column: clusters integer | Their clusters.
// column: mailboxes text | Up to five of them in the order of their keys, joined by `;`.
MATCH (e:Email {run: $run})
WHERE e.degree <= $max_degree AND e.skeleton IS NOT NULL
WITH e
ORDER BY e.key
WITH e.skeleton AS look, collect(e) AS alike
WHERE size(alike) >= $min_spellings
UNWIND alike AS e
MATCH (o:Organization)-[:USED_EMAIL]->(e)
OPTIONAL MATCH (o)-[:MEMBER_OF]->(c:Cluster)
WITH look, alike, count(DISTINCT o) AS organizations, count(DISTINCT c) AS clusters
RETURN
  look,
  size(alike) AS spellings,
  organizations,
  clusters,
  reduce(text = head(alike).canonical, other IN alike[1..5] | text + ';' + other.canonical) AS mailboxes
ORDER BY clusters DESC, organizations DESC, look
LIMIT $limit
