"""What the peer-to-peer payments recipe finds: `python -m bench.p2p DATA_DIR` ingests, runs and measures it.

Labels are taken out of the input and read from the table of users only to judge the result. Beside the clusters stand
two plain rules, "shares a card" and "shares a device". docs/recipes/p2p.md shows the figures.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from bench.lift import Flags, Floats, Integers, Lift, companions, company, components, lift, top
from bench.results import Result, record
from detection.run import run
from graph.home import Home
from ingest import mapping as mappings
from ingest.job import ingest
from ingest.settings import IngestSettings
from sim.metrics import auc, clopper_pearson

SEED = 1
LABELS = frozenset({"organization_labelled"})
VARIANTS = {
    "as shipped, no labels": LABELS,
    "and no sign-up date": LABELS | {"organization_created"},
}
SIZES = {
    "2": (2, 2),
    "3": (3, 3),
    "4 to 5": (4, 5),
    "6 to 9": (6, 9),
    "10 to 19": (10, 19),
    "20 and more": (20, 10**9),
}
RISKS = {"below 10": (0, 10), "10 to 50": (10, 50), "50 to 80": (50, 80), "80 and more": (80, 101)}
TOPS = (100, 300, 1000, 3000)


def without(types: Iterable[str]) -> mappings.Mapping:
    """The shipped recipe without some types of events; tables that become nothing are left out."""
    recipe = mappings.load_mapping("p2p")
    unwanted = set(types)
    inputs, ignored = [], list(recipe.ignore)
    for rule in recipe.inputs:
        kept = tuple(one for one in rule.events if one.event_type not in unwanted)
        if kept or not rule.events:
            inputs.append(rule.model_copy(update={"events": kept}))
        else:
            ignored.append(mappings.Ignored(match=rule.match, because="all of its events are left out"))
    return recipe.model_copy(update={"inputs": tuple(inputs), "ignore": tuple(ignored)})


@dataclass(frozen=True)
class Users:
    """Users in the order of the table, which are fraudulent, and what they share."""

    place: Mapping[str, int]
    bad: Flags
    others: Mapping[str, Integers]
    sharing: Mapping[str, Integers]

    @classmethod
    def read(cls, data: Path) -> Users:
        """Read the tables as they are, by no code of Ringfence."""
        table = pq.read_table(data / "User.parquet", columns=["id", "fraudMoneyTransfer"])
        place = {str(user): row for row, user in enumerate(table["id"].to_pylist())}
        others, sharing = {}, {}
        for name, file, column in (
            ("card", "HAS_CC.parquet", "to_card_id"),
            ("device", "USED.parquet", "to_device_id"),
        ):
            used = pq.read_table(data / file, columns=["from_user_id", column])
            users = np.array([place[str(user)] for user in used["from_user_id"].to_pylist()], dtype=np.int64)
            things = used[column].to_numpy().astype(np.int64)
            others[name] = companions(users, things, len(place))
            sharing[name] = components(users, things, len(place))
        return cls(place, table["fraudMoneyTransfer"].to_numpy() == 1, others, sharing)


@dataclass(frozen=True)
class Found:
    """A run seen from the users: cluster (own number where there is none), its size and risk, the member's risk."""

    groups: Integers
    size: Integers
    risk: Floats
    member_risk: Floats
    clusters: int
    counts: Mapping[str, int]


def find(data: Path, home: Path, types: Iterable[str], place: Mapping[str, int]) -> Found:
    """Ingest the tables without some types of events, run, and read the members."""
    settings = IngestSettings(workers=0)
    ingest(Home(home), [str(data)], mapping=without(types), settings=settings, pepper=bytes(range(32)))
    files = run(Home(home))
    members = files.table("members", ["org_id", "cluster_id", "cluster_risk", "member_risk"])
    rows = np.array([place[org] for org in members["org_id"].to_pylist()], dtype=np.int64)
    names, dense, sizes = np.unique(
        members["cluster_id"].to_numpy(zero_copy_only=False).astype(str),
        return_inverse=True,
        return_counts=True,
    )
    groups = np.arange(len(place), dtype=np.int64) + len(names)
    size, risk, own = np.zeros(len(place), dtype=np.int64), np.zeros(len(place)), np.zeros(len(place))
    groups[rows], size[rows] = dense, sizes[dense]
    risk[rows], own[rows] = members["cluster_risk"].to_numpy(), members["member_risk"].to_numpy()
    return Found(groups, size, risk, own, len(names), files.manifest.counts)


def selections(found: Found) -> dict[str, Floats]:
    """All members, and members by size, by risk of their cluster, and by rank of their own risk."""
    listed = found.size > 0
    chosen = {"all members": listed.astype(float)}
    for name, (low, high) in SIZES.items():
        chosen[f"cluster of {name}"] = ((found.size >= low) & (found.size <= high)).astype(float)
    for name, (least, below) in RISKS.items():
        chosen[f"risk {name}"] = (listed & (found.risk >= least) & (found.risk < below)).astype(float)
    for count in TOPS:
        chosen[f"top {count}"] = top(found.member_risk, count)
    return chosen


def judge(found: Found, users: Users) -> dict[str, Any]:
    """Every selection's lift, and whether clusters and their risk say more than that somebody is in one."""
    listed = found.size > 0
    lifts = {
        name: lift(chosen, users.bad, found.groups, seed=SEED) for name, chosen in selections(found).items()
    }
    return {
        "counts": found.counts,
        "lifts": lifts,
        "outside": clopper_pearson(int(users.bad[~listed].sum()), int((~listed).sum())),
        "company": company(users.bad[listed], found.groups[listed], seed=SEED),
        "auc_all_users": auc(found.member_risk, users.bad),
        "auc_members_risk": auc(found.member_risk[listed], users.bad[listed]),
        "auc_members_size": auc(found.size[listed].astype(float), users.bad[listed]),
    }


def rules(users: Users, found: Mapping[str, Found]) -> dict[str, dict[str, Lift]]:
    """Lift at equal coverage: the same number of users by risk, by most shared card, by most shared device."""
    ranks = {name: (one.member_risk, one.groups) for name, one in found.items()}
    for name, others in users.others.items():
        ranks[f"shares a {name}"] = (others.astype(float), users.sharing[name])
    covered = {*TOPS, *(int((scores > 0).sum()) for scores, _ in ranks.values())}
    return {
        f"{count}": {
            name: lift(top(scores, count), users.bad, groups, seed=SEED)
            for name, (scores, groups) in ranks.items()
            if top(scores, count).any()
        }
        for count in sorted(covered)
    }


def measure(data: Path, work: Path) -> Result:
    """Both variants in homes of their own under `work`."""
    users = Users.read(data)
    found = {
        name: find(data, work / f"home{number}", types, users.place)
        for number, (name, types) in enumerate(VARIANTS.items())
    }
    judged = {name: judge(one, users) for name, one in found.items()}
    equal = rules(users, found)
    base = clopper_pearson(int(users.bad.sum()), len(users.bad))
    figures = {"base_rate": base.hits / base.total, "base_rate_low": base.low, "base_rate_high": base.high}
    for name, one in zip(("shipped", "undated"), judged.values(), strict=True):
        everybody = one["lifts"]["all members"]
        figures |= {f"{name}_members": everybody.users, f"{name}_lift": everybody.lift}
        figures |= {f"{name}_lift_low": everybody.lift_low, f"{name}_lift_high": everybody.lift_high}
        figures |= {f"{name}_auc_members": one["auc_members_risk"]}
    details = {
        "base": asdict(base),
        "variants": {name: _plain(one) for name, one in judged.items()},
        "equal_coverage": {count: _plain(one) for count, one in equal.items()},
    }
    notes = (
        "labels are no part of the input; bounds: Clopper-Pearson for the base rate, else a bootstrap over groups",
        "undated: without the sign-up date that the recipe has to make up",
    )
    return Result(
        "p2p",
        "Peer-to-peer payments: lift over the base rate",
        figures,
        (),
        (SEED,),
        {"users": len(users.bad)},
        notes,
        details,
    )


def _plain(one: Mapping[str, Any]) -> dict[str, Any]:
    """Data classes as dictionaries, one level down as well."""
    return {
        name: _plain(value)
        if isinstance(value, Mapping)
        else asdict(value)
        if hasattr(value, "__dataclass_fields__")
        else value
        for name, value in one.items()
    }


def pages(result: Result) -> str:
    """The tables of docs/recipes/p2p.md, in Markdown."""
    base = result.details["base"]
    lines = [f"base rate {base['hits']} of {base['total']:,}: {_percent(base['hits'] / base['total'])}"]
    lines[0] += f" ({_percent(base['low'])} to {_percent(base['high'])})"
    for name, one in result.details["variants"].items():
        lines += ["", f"## {name}", "", "| who | users | fraudulent | rate | lift |", "|---|--:|--:|--:|--:|"]
        lines += [f"| {who} | {_row(value)} |" for who, value in one["lifts"].items() if value["users"]]
        lines += ["", *(f"{key}: {one[key]}" for key in one if key != "lifts")]
    lines += ["", "## equal coverage"]
    for count, columns in result.details["equal_coverage"].items():
        lines += ["", *(f"| {count} | {name} | {_row(value)} |" for name, value in columns.items())]
    return "\n".join(lines)


def _row(one: Mapping[str, float]) -> str:
    """Users, fraudulent users, rate and lift with bounds, as cells."""
    rate = f"{_percent(one['rate'])} ({_percent(one['rate_low'])} to {_percent(one['rate_high'])})"
    above = f"{one['lift']:.2f} ({one['lift_low']:.2f} to {one['lift_high']:.2f})"
    return f"{one['users']:,.0f} | {one['bad']:.0f} | {rate} | {above}"


def _percent(share: float) -> str:
    return f"{100 * share:.2f}%"


def main() -> int:
    """Measure, record in bench/results/p2p.json, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.p2p", description=__doc__)
    parser.add_argument(
        "data", type=Path, metavar="DATA_DIR", help="the folder with User.parquet and its like"
    )
    data = parser.parse_args().data
    missing = [
        name for name in ("User", "HAS_CC", "USED", "REFERRED") if not (data / f"{name}.parquet").is_file()
    ]
    if missing:
        parser.error(f"{data} has no {', '.join(missing)}.parquet; name the folder of the payments data set")
    with tempfile.TemporaryDirectory() as folder:
        result = measure(data, Path(folder))
    record(result, quick=False)
    print(pages(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
