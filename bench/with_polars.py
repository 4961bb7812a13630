"""The recipe as a competent analyst writes it in polars and igraph: `python -m bench.with_polars EVENTS OUT`."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import igraph
import polars as pl

from bench.recipe import (
    COLUMNS,
    HOUR,
    KINDS,
    LOG_ODDS,
    MEMORY,
    MIN_LOG_ODDS,
    PREDECESSORS,
    PRIOR,
    PROVIDERS,
    RESOLUTION,
    STOP_VALUES,
    Kind,
)


def main(events: Path, out: Path) -> None:
    """Read events, tie organizations, find communities by Leiden CPM, write `org_id, cluster`."""
    frame = pl.read_parquet(events, columns=list(COLUMNS)).with_columns(pl.col("org_id").cast(pl.String))
    pairs = pl.concat([ties_of(frame, name, kind) for name, kind in KINDS.items()])
    families = pairs.group_by("a", "b", "family").agg(pl.col("weight").max())
    ties = families.group_by("a", "b").agg(pl.col("weight").sum() + PRIOR)
    ties = ties.filter(pl.col("weight") >= MIN_LOG_ODDS).with_columns(pl.col("weight") / LOG_ODDS)
    ties = ties.sort("a", "b")
    names = pl.concat([ties["a"], ties["b"]]).unique().sort()
    number = pl.DataFrame({"org_id": names, "n": range(len(names))})
    edges = ties.join(number, left_on="a", right_on="org_id").join(
        number, left_on="b", right_on="org_id", suffix="_b"
    )
    graph = igraph.Graph(n=len(names), edges=edges.select("n", "n_b").to_numpy())
    igraph.set_random_number_generator(random.Random(1))
    found = graph.community_leiden(
        "CPM", weights=edges["weight"].to_numpy(), resolution=RESOLUTION, n_iterations=2
    )
    pl.DataFrame({"org_id": names, "cluster": found.membership}).write_parquet(out)


def ties_of(frame: pl.DataFrame, name: str, kind: Kind) -> pl.DataFrame:
    """Pairs of organizations that used one value in one session, each with its predecessors, weighed."""
    uses = canonical(frame, name, kind)
    shared = uses.group_by("value").agg(pl.col("org_id").n_unique().alias("n")).filter(pl.col("n") > 1)
    uses = uses.join(shared.select("value"), on="value", how="semi").sort("value", "occurred_at", "org_id")
    pause = pl.col("occurred_at").diff().over("value").dt.total_seconds()
    first = (
        uses.with_columns((pause.is_null() | (pause > kind.gap)).cum_sum().alias("session"))
        .unique(["session", "org_id"], keep="first", maintain_order=True)
        .with_columns(pl.len().over("session").alias("d"))
        .filter(pl.col("d").is_between(2, kind.cap))
    )
    parts = [_with_predecessor(first, step, kind) for step in range(1, PREDECESSORS + 1)]
    return pl.concat(parts)


def _with_predecessor(first: pl.DataFrame, step: int, kind: Kind) -> pl.DataFrame:
    weight = kind.evidence - kind.fade * (pl.col("gap") / HOUR).log1p() - kind.crowd * (pl.col("d") - 1).log()
    return (
        first.with_columns(
            pl.col("org_id").shift(step).over("session").alias("other"),
            (pl.col("occurred_at") - pl.col("occurred_at").shift(step).over("session"))
            .dt.total_seconds()
            .alias("gap"),
        )
        .drop_nulls("other")
        .select(
            pl.min_horizontal("org_id", "other").alias("a"),
            pl.max_horizontal("org_id", "other").alias("b"),
            pl.lit(kind.family).alias("family"),
            pl.when(pl.col("gap") <= MEMORY).then(weight).otherwise(0.0).alias("weight"),
        )
        .filter(pl.col("weight") > 0)
    )


def canonical(frame: pl.DataFrame, name: str, kind: Kind) -> pl.DataFrame:
    """Uses of one kind of value, spelled in one way; stop values and providers' domains left out."""
    uses = frame.select(
        "org_id", "occurred_at", pl.col(kind.column).cast(pl.String).alias("raw")
    ).drop_nulls()
    spelled = pl.col("raw").str.normalize("NFKC").str.replace_all(r"[\u00AD\u200B-\u200F\u2060\uFEFF]", "")
    spelled = spelled.str.strip_chars()
    if name not in ("api_key", "payment"):
        spelled = spelled.str.to_lowercase()
    local, domain = spelled.str.split("@").list.first(), spelled.str.split("@").list.last()
    if name == "mailbox":
        local = local.str.split("+").list.first()
        local = (
            pl.when(domain == "gmail.com").then(local.str.replace_all(".", "", literal=True)).otherwise(local)
        )
        spelled = local + "@" + domain
    if name == "domain":
        spelled = domain
    distinct = uses.select(pl.col("raw").unique()).with_columns(spelled.alias("value"))
    uses = uses.join(distinct, on="raw").drop("raw").drop_nulls()
    return uses.filter(~pl.col("value").is_in([*STOP_VALUES, *PROVIDERS]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
