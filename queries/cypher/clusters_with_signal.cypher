// title: Clusters that show a signal
// purpose: The clusters to which one signal gives points, with the fact behind it, most points first. The ids of
//    signals are those of the page Signals.
// parameter: signal text | A signal's id, as in trial_burn.
// parameter: min_points number 0..1000000 = 0 | Only clusters to which it gives at least so many points.
// parameter: limit integer 1..100000 = 50 | Rows.
// example: signal=shared_device
// column: cluster_id text | The cluster.
// column: name text | Its name.
// column: risk number | Its risk.
// column: points number | What the signal adds to its score.
// column: affected integer | Members that show it.
// column: eligible integer | Members that it can judge.
// column: value number | How strongly they show it.
// column: baseline number | What is usual; null where nothing is.
// column: fact text | The same in plain words.
MATCH (s:Signal {run: $run, signal: $signal})<-[e:SHOWS]-(c:Cluster)
WHERE e.points >= $min_points
RETURN
  c.cluster_id AS cluster_id,
  c.name AS name,
  c.risk AS risk,
  e.points AS points,
  e.affected AS affected,
  e.eligible AS eligible,
  e.value AS value,
  e.baseline AS baseline,
  e.fact AS fact
ORDER BY points DESC, cluster_id
LIMIT $limit
