"""The recipe as a competent analyst writes it in pandas and networkx: `python -m bench.with_pandas EVENTS OUT`."""

from __future__ import annotations

import sys
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd

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
    STOP_VALUES,
    Kind,
)


def main(events: Path, out: Path) -> None:
    """Read events, tie organizations, find communities by Louvain, write `org_id, cluster`."""
    frame = pd.read_parquet(events, columns=list(COLUMNS))
    pairs = pd.concat([ties_of(frame, name, kind) for name, kind in KINDS.items()], ignore_index=True)
    families = pairs.groupby(["a", "b", "family"], as_index=False)["weight"].max()
    ties = families.groupby(["a", "b"], as_index=False)["weight"].sum()
    ties = ties[ties["weight"] + PRIOR >= MIN_LOG_ODDS]
    ties["weight"] = (ties["weight"] + PRIOR) / LOG_ODDS
    graph = nx.from_pandas_edgelist(ties, "a", "b", edge_attr="weight")
    communities = nx.community.louvain_communities(graph, weight="weight", seed=1)
    rows = [(org, number) for number, members in enumerate(communities) for org in members]
    pd.DataFrame(rows, columns=["org_id", "cluster"]).to_parquet(out)


def ties_of(frame: pd.DataFrame, name: str, kind: Kind) -> pd.DataFrame:
    """Pairs of organizations that used one value in one session, each with its predecessors, weighed."""
    uses = canonical(frame, name, kind)
    degree = uses.groupby("value")["org_id"].transform("nunique")
    uses = uses[degree > 1].sort_values(["value", "occurred_at"])
    pause = uses.groupby("value")["occurred_at"].diff().dt.total_seconds()
    uses["session"] = (pause.isna() | (pause > kind.gap)).cumsum()
    first = uses.drop_duplicates(["session", "org_id"])
    first = first.assign(d=first.groupby("session")["org_id"].transform("size"))
    first = first[first["d"].between(2, kind.cap)]
    parts = []
    for step in range(1, PREDECESSORS + 1):
        before = first.shift(step)
        same = first["session"] == before["session"]
        now, then = first[same], before[same]
        gap = (now["occurred_at"] - then["occurred_at"]).dt.total_seconds()
        weight = kind.evidence - kind.fade * np.log1p(gap / HOUR) - kind.crowd * np.log(now["d"] - 1)
        pair = np.sort(np.stack([now["org_id"], then["org_id"]], axis=1).astype(str), axis=1)
        part = pd.DataFrame(
            {"a": pair[:, 0], "b": pair[:, 1], "family": kind.family, "weight": weight.to_numpy()}
        )
        parts.append(part[(part["weight"] > 0) & (gap.to_numpy() <= MEMORY)])
    return pd.concat(parts, ignore_index=True)


def canonical(frame: pd.DataFrame, name: str, kind: Kind) -> pd.DataFrame:
    """Uses of one kind of value, spelled in one way; stop values and providers' domains left out."""
    uses = frame[["org_id", "occurred_at", kind.column]].dropna().rename(columns={kind.column: "value"})
    distinct = uses["value"].drop_duplicates()
    spelled = distinct.str.normalize("NFKC").str.replace(r"[\u00ad\u200b-\u200f\u2060\ufeff]", "", regex=True)
    spelled = spelled.str.strip()
    if name not in ("api_key", "payment"):
        spelled = spelled.str.lower()
    if name == "mailbox":
        local, domain = spelled.str.split("@", n=1).str[0], spelled.str.split("@", n=1).str[1]
        local = local.str.split("+", n=1).str[0]
        local = local.where(domain != "gmail.com", local.str.replace(".", "", regex=False))
        spelled = local + "@" + domain
    if name == "domain":
        spelled = spelled.str.split("@", n=1).str[1]
    uses["value"] = uses["value"].map(dict(zip(distinct, spelled, strict=True)))
    return uses[uses["value"].notna() & ~uses["value"].isin([*STOP_VALUES, *PROVIDERS])]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
