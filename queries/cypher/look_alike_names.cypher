// title: Names that look alike across clusters
// purpose: The look of an organization's name that members of several clusters have. Where `disguised` is true some
//    of them write it with invisible or look-alike characters.
// parameter: min_clusters integer 1..1000000 = 2 | Clusters with a member of that name.
// parameter: min_risk number 0..100 = 0 | Only clusters of at least this risk count.
// parameter: limit integer 1..100000 = 50 | Rows.
// example: min_clusters=2
// column: key text | Its key.
// column: name text | The name.
// column: disguised boolean | Some spelling holds invisible or look-alike characters.
// column: clusters integer | Clusters with a member of that name.
// column: members integer | Members of those clusters with that name.
// column: organizations integer | All organizations with that name.
// column: riskiest_clusters text | Up to five of the clusters, the riskiest first, joined by `;`.
MATCH (c:Cluster {run: $run})<-[:MEMBER_OF]-(o:Organization)
WHERE c.risk >= $min_risk
WITH c, o
MATCH (o)-[:HAS_NAME]->(n:Name)
WITH n, c, count(*) AS used
ORDER BY c.risk DESC, c.cluster_id
WITH n, collect(c.cluster_id) AS ids, sum(used) AS members
WHERE size(ids) >= $min_clusters
RETURN
  n.key AS key,
  n.display AS name,
  n.hidden AS disguised,
  size(ids) AS clusters,
  members,
  n.degree AS organizations,
  reduce(text = head(ids), id IN ids[1..5] | text + ';' + id) AS riskiest_clusters
ORDER BY clusters DESC, organizations, key
LIMIT $limit
