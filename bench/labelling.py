"""What an operator's people know: some organizations labelled, some of those wrongly."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.worlds import World

SHARE, WRONG = 0.02, 0.02
AFTER = timedelta(days=3)
"""People label an organization so long after its sign-up."""


def labels(made: World, share: float = SHARE, wrong: float = WRONG) -> Path:
    """Events that label a random share of a world's organizations, a share of them with the opposite of the truth."""
    path = made.folder / f"labels-{share:g}-{wrong:g}.parquet"
    if path.exists():
        return path
    truth = pq.read_table(made.truth, columns=["org_id", "campaign"])
    random = np.random.default_rng(made.seed)
    count = round(share * truth.num_rows)
    chosen = np.sort(random.choice(truth.num_rows, count, replace=False))
    abusive = truth.column("campaign").to_numpy()[chosen] >= 0
    flipped = np.zeros(count, dtype=np.bool_)
    flipped[random.choice(count, round(wrong * count), replace=False)] = True
    ids = truth.column("org_id").take(pa.array(chosen)).to_pylist()
    columns = ["event_type", "org_id", "occurred_at"]
    events = pq.read_table(made.events, columns=columns)
    latest = max(events.column("occurred_at").to_pylist()[-1:])
    events = events.filter(
        pa.compute.equal(events.column("event_type").cast(pa.string()), "organization_created")
    )
    created = dict(
        zip(events.column("org_id").to_pylist(), events.column("occurred_at").to_pylist(), strict=True)
    )
    pq.write_table(
        pa.table(
            {
                "event_id": [f"label-{number}" for number in range(count)],
                "event_type": ["organization_labelled"] * count,
                "occurred_at": pa.array(
                    [min(created.get(one, latest - AFTER) + AFTER, latest) for one in ids],
                    pa.timestamp("us", "UTC"),
                ),
                "org_id": ids,
                "label": np.where(abusive ^ flipped, "abusive", "legitimate").tolist(),
                "label_source": ["reviewers"] * count,
            }
        ),
        path,
    )
    return path
