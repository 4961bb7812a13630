"""What simpler methods find on the same input, so that the graph's merit can be told from the data's.

None of them sees the truth, but for the boosted model, which is trained on other rings than it judges.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from detection.communities import Ties, multilevel
from sim.metrics import LEGITIMATE, UNLISTED, Flags, Floats, Integers

DEGREE_CAP = 50
FOLDS = 5
LINKING_KINDS = (
    "user",
    "ip",
    "device",
    "mailbox",
    "phone",
    "payment_method",
    "api_key",
    "email_domain",
    "name",
    "referral_code",
)


def positions(org_ids: Sequence[str], wanted: pa.Array | pa.ChunkedArray) -> Integers:
    """Where each of `wanted` stands in `org_ids`; -1 for those that do not."""
    found = pc.index_in(wanted.cast(pa.string()), value_set=pa.array(org_ids, type=pa.string()))
    flat = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
    return np.asarray(flat.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)


def shared_components(org_ids: Sequence[str], links: pa.Table, cap: int = DEGREE_CAP) -> Integers:
    """Connected components over shared identifiers, leaving out those of more than `cap` organizations.

    `links` is a run's table of identifiers that several organizations share. Returns the component of
    every organization, UNLISTED for one that is alone.
    """
    usable = pc.and_(
        pc.less_equal(links.column("orgs"), cap),
        pc.is_in(links.column("kind").cast(pa.string()), value_set=pa.array(LINKING_KINDS)),
    )
    used = links.filter(usable)
    rows = positions(org_ids, used.column("org_id"))
    keys = _codes(used.column("kind")) * (len(used) + 1) + _codes(_storage(used.column("key")))
    _, identifier = np.unique(keys, return_inverse=True)
    known = rows >= 0
    size = len(org_ids)
    nodes = size + (int(identifier.max(initial=-1)) + 1)
    ones = np.ones(int(known.sum()), dtype=np.int32)
    graph = coo_array((ones, (rows[known], size + identifier[known])), shape=(nodes, nodes))
    _, labels = connected_components(graph, directed=False)
    return without_singles(np.asarray(labels[:size], dtype=np.int64))


def modularity(org_ids: Sequence[str], ties: pa.Table, seed: int) -> Integers:
    """Multilevel modularity (Louvain; Blondel et al. 2008) over a run's ties; UNLISTED where alone."""
    sources = positions(org_ids, ties.column("a"))
    targets = positions(org_ids, ties.column("b"))
    known = np.flatnonzero((sources >= 0) & (targets >= 0))
    low = np.minimum(sources[known], targets[known])
    high = np.maximum(sources[known], targets[known])
    order = np.lexsort((high, low))
    weights = np.asarray(ties.column("weight").to_numpy(), dtype=np.int64)[known]
    found = multilevel(Ties(len(org_ids), low[order], high[order], weights[order]), seed)
    return without_singles(np.asarray(found, dtype=np.int64))


def boosted_scores(
    features: Floats, rings: Integers, *, seed: int, folds: int = FOLDS
) -> NDArray[np.float64] | None:
    """Out-of-fold scores of boosted trees on single organizations; None with too few rings to split.

    Whole rings go to one fold, so no ring is both learned from and judged: the model cannot know a ring
    by its habits, only abuse by its looks.
    """
    abusive = rings != LEGITIMATE
    count = min(folds, len(np.unique(rings[abusive])))
    if count < 2 or abusive.all():
        return None
    fold = ring_folds(rings, count, seed)
    scores = np.zeros(len(rings))
    for part in range(count):
        held_out = fold == part
        scores[held_out] = _fit(features[~held_out], abusive[~held_out], seed, features[held_out])
    return scores


def ring_folds(rings: Integers, folds: int, seed: int) -> Integers:
    """A fold for each organization: rings whole and evenly by size, legitimate ones one by one."""
    random = np.random.default_rng(seed)
    fold = np.empty(len(rings), dtype=np.int64)
    legitimate = rings == LEGITIMATE
    fold[legitimate] = random.permutation(int(legitimate.sum())) % folds
    names, ring, sizes = np.unique(rings[~legitimate], return_inverse=True, return_counts=True)
    shuffled = random.permutation(len(names))
    filled = np.zeros(folds)
    of_ring = np.empty(len(names), dtype=np.int64)
    for name in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        of_ring[name] = int(np.argmin(filled))
        filled[of_ring[name]] += sizes[name]
    fold[~legitimate] = of_ring[ring]
    return fold


def without_singles(membership: Integers) -> Integers:
    """The same groups, with UNLISTED for those who are alone in theirs."""
    _, dense, counts = np.unique(membership, return_inverse=True, return_counts=True)
    return np.where(counts[dense] > 1, dense, UNLISTED).astype(np.int64)


def _fit(features: Floats, abusive: Flags, seed: int, judged: Floats) -> Floats:
    model = HistGradientBoostingClassifier(
        max_iter=50, learning_rate=0.2, early_stopping=False, random_state=seed
    )
    # A column without two different values says nothing, and an empty one cannot be binned.
    telling = np.fmin.reduce(features, axis=0) < np.fmax.reduce(features, axis=0)
    if not telling.any():
        return np.zeros(len(judged))
    # OpenMP's threads spin while they wait: beside other work two are thirty times slower than one.
    with threadpool_limits(limits=1, user_api="openmp"):
        model.fit(features[:, telling], abusive)
        return np.asarray(model.predict_proba(judged[:, telling])[:, 1], dtype=np.float64)


def _codes(column: pa.Array | pa.ChunkedArray) -> Integers:
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = flat if pa.types.is_dictionary(flat.type) else flat.dictionary_encode()
    return np.asarray(encoded.indices.to_numpy(zero_copy_only=False), dtype=np.int64)


def _storage(column: pa.ChunkedArray) -> pa.Array:
    flat = column.combine_chunks()
    return flat.storage if isinstance(flat, pa.ExtensionArray) else flat
