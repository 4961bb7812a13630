"""The shipped recipes on the real data that they are for. Counts come from the data by another way."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from ingest_support import read_events, reasons, take

from graph.facts import FactsReader
from graph.home import Home
from graph.identifiers import Keyer, Kind
from ingest.mapping import load_mapping

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
P2P, ACCESS_LOG = DATA / "p2p", DATA / "access-log" / "access.log"


@pytest.mark.skipif(not P2P.is_dir(), reason="the payments data is not at ../shared/data/p2p")
def test_p2p(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    report = take(home, P2P, mapping=load_mapping("p2p"))
    tables = {path.stem: pq.read_table(path) for path in P2P.glob("*.parquet")}
    abusive = sum(tables["User"]["fraudMoneyTransfer"].to_pylist())
    assert abusive > 200
    by_name = {Path(one.path).stem: one for one in report.inputs}
    for name in ("HAS_CC", "USED", "REFERRED"):
        assert by_name[name].stored == tables[name].num_rows
    assert by_name["User"].records == tables["User"].num_rows
    assert by_name["User"].stored == tables["User"].num_rows + abusive
    assert {name for name, one in by_name.items() if one.note} == {"P2P", "Device"}
    assert (report.totals.quarantined, report.totals.duplicates, report.exit_code) == (0, 0, 0)

    events = read_events(
        home,
        [
            "event_type",
            "occurred_at",
            "organization",
            "payment_method",
            "device",
            "referrer_organization",
            "label",
        ],
    )
    kinds = {
        one["values"]: one["counts"]
        for one in pc.value_counts(events["event_type"].cast("string").combine_chunks()).to_pylist()
    }
    assert kinds == {
        "organization_created": tables["User"].num_rows,
        "organization_labelled": abusive,
        "payment_method_added": tables["HAS_CC"].num_rows,
        "session_started": tables["USED"].num_rows,
        "referral_redeemed": tables["REFERRED"].num_rows,
    }
    for name, column, key in (("HAS_CC", "to_card_id", "payment_method"), ("USED", "to_device_id", "device")):
        distinct = pc.count_distinct(tables[name][column]).as_py()
        assert pc.count_distinct(events[key].cast("binary"), mode="only_valid").as_py() == distinct
    users = {
        user
        for name, column in (
            ("User", "id"),
            ("HAS_CC", "from_user_id"),
            ("USED", "from_user_id"),
            ("REFERRED", "to_user_id"),
        )
        for user in tables[name][column].to_pylist()
    }
    assert pc.count_distinct(events["organization"].cast("binary")).as_py() == len(users)
    assert FactsReader(home).latest().date() == date(2019, 4, 26)  # type: ignore[union-attr]
    labels = events.filter(pc.equal(events["event_type"].cast("string"), "organization_labelled"))
    assert set(labels["label"].to_pylist()) == {"abusive"}
    days = [time.date() for time in labels["occurred_at"].to_pylist()]
    known = sorted(
        date.fromisoformat(day)
        for day, bad in zip(
            *(tables["User"][c].to_pylist() for c in ("firstChargebackMtDate", "fraudMoneyTransfer")),
            strict=True,
        )
        if bad and day != "1900-01-01"
    )
    assert sorted(day for day in days if day != date(2019, 4, 26)) == known


@pytest.mark.skipif(not ACCESS_LOG.is_file(), reason="the access log is not at ../shared/data/access-log")
def test_access_log(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    report = take(home, ACCESS_LOG, mapping=load_mapping("access_log"))
    lines = ACCESS_LOG.read_bytes().splitlines()
    # Another way: the last quoted text, and what stands before the first blank.
    broken = [number for number, line in enumerate(lines, 1) if not line.endswith(b'"')]
    assert len(broken) >= 1
    assert reasons(home) == [(number, "pattern_mismatch") for number in broken]
    assert report.totals.rows == len(lines)
    assert report.totals.stored == len(lines) - len(broken)
    good = [line for number, line in enumerate(lines, 1) if number not in broken]
    events = read_events(home)
    addresses = {line.split(b" ")[0].decode() for line in good}
    key = Keyer(b"p" * 32).identify(Kind.IP, sorted(addresses)[0])
    assert key in {value.bytes for value in events["ip"].to_pylist()}
    assert pc.count_distinct(events["organization"].cast("binary")).as_py() == len(addresses)
    agents = {re.findall(rb'"([^"]*)"$', line)[0] for line in good} - {b"-"}
    assert 0.9 * len(agents) <= pc.count_distinct(events["user_agent"].cast("binary")).as_py() <= len(agents)
    codes = sum(int(re.findall(rb'" (\d{3}) ', line)[0]) for line in good)
    assert sum(events["status_code"].to_pylist()) == codes
    assert set(events["event_type"].to_pylist()) == {"inference"}
    assert all('"request":' in extra for extra in events["extra"].to_pylist())
    assert take(home, ACCESS_LOG, mapping=load_mapping("access_log")).totals.stored == 0
