"""Network tables of the operator: what they may say, which of two counts, and what is refused in words."""

from __future__ import annotations

import ipaddress
import random
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmdb import Record, write_mmdb

from detection.network_files import TYPES
from detection.networks import NetworkTables, read_tables
from graph.errors import RingfenceError


def tables(folder: Path, **files: str) -> NetworkTables:
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    found = read_tables(folder)
    assert found is not None
    return found


def types(found: NetworkTables, *addresses: str) -> list[str | None]:
    codes = found.of(pa.array(addresses, pa.string())).tolist()
    return [TYPES[code] if code >= 0 else None for code in codes]


def test_a_home_without_tables_knows_nothing(tmp_path: Path) -> None:
    assert read_tables(tmp_path / "networks") is None
    (tmp_path / "README.txt").write_text("not a table")
    assert read_tables(tmp_path) is None


def test_rows_name_networks_addresses_ranges_and_types_in_common_words(tmp_path: Path) -> None:
    found = tables(
        tmp_path,
        one="network,type,name\n# comment\n\n198.51.100.0/24, Data-Centre ,Example Hosting\n"
        '203.0.113.9,tor,"Exit, one"\n192.0.2.16-192.0.2.47,cgnat\n2001:db8:7::/48,university\n',
    )
    asked = ("198.51.100.0", "198.51.100.255", "198.51.101.0", "203.0.113.9", "203.0.113.10")
    assert types(found, *asked) == ["data_centre", "data_centre", None, "vpn", None]
    assert types(found, "192.0.2.15", "192.0.2.16", "192.0.2.47", "192.0.2.48") == [
        None,
        "mobile",
        "mobile",
        None,
    ]
    assert types(found, "2001:db8:7:1::/64", "2001:db8:8::/64") == ["office", None]
    assert types(found, "not an address", "") == [None, None]
    assert found.of(pa.array([None, "192.0.2.16"], pa.string())).tolist() == [-1, TYPES.index("mobile")]


def test_a_longer_ipv6_network_types_its_whole_64(tmp_path: Path) -> None:
    assert types(tables(tmp_path, one="2001:db8::1,vpn\n"), "2001:db8::/64") == ["vpn"]


def test_the_smaller_network_counts_and_of_the_same_the_last_file(tmp_path: Path) -> None:
    found = tables(
        tmp_path,
        a="10.0.0.0/8,residential\n10.1.0.0/16,office\n10.1.2.0/24,vpn\n10.255.0.0/16,mobile\n",
        b="10.1.0.0/16,hosting\n",
    )
    asked = (
        "9.255.255.255",
        "10.0.0.0",
        "10.1.1.255",
        "10.1.2.3",
        "10.1.3.0",
        "10.2.0.0",
        "10.255.255.255",
        "11.0.0.0",
    )
    expected = [None, "residential", "data_centre", "vpn", "data_centre", "residential", "mobile", None]
    assert types(found, *asked) == expected


def test_the_whole_of_either_family_can_be_said(tmp_path: Path) -> None:
    found = tables(tmp_path, all="0.0.0.0/0,residential\n::/0,mobile\n")
    assert types(found, "0.0.0.0", "255.255.255.255") == ["residential"] * 2  # noqa: S104
    assert types(found, "ffff:ffff:ffff:ffff::/64") == ["mobile"]


def test_systems_are_looked_up_in_rows_for_systems(tmp_path: Path) -> None:
    found = tables(
        tmp_path,
        networks="198.51.100.0/24,AS64496\n203.0.113.0/24,as64497,Nobody\n",
        systems="AS64496,data_centre,Example Hosting\n",
    )
    assert types(found, "198.51.100.1", "203.0.113.1") == ["data_centre", None]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("198.51.100.0/24\n", r"one\.csv, line 1: a network without a type"),
        ("198.51.100.0/24,\n", "line 1: a network without a type"),
        (
            "network,type\n\n198.51.100.0/24,castle\n",
            "line 3: 'castle' is no type of network; use one of residential",
        ),
        (
            "198.51.100.7/24,vpn\n",
            r"line 1: '198.51.100.7/24' has bits beyond its length: 198.51.100.0/24 is meant",
        ),
        ("198.51.100.0/33,vpn\n", "line 1: '198.51.100.0/33' does not appear to be"),
        ("somewhere,vpn\n", "line 1: 'somewhere' does not appear to be"),
        ("192.0.2.9-192.0.2.1,vpn\n", "line 1: '192.0.2.9-192.0.2.1' is no range"),
        ("192.0.2.9-2001:db8::1,vpn\n", "line 1: '192.0.2.9-2001:db8::1' is no range"),
        ("AS64496,AS64497\n", "line 1: 'AS64496' is said to be a system again"),
        ("192.0.2.0/24,vpn,one,two\n", "line 1: 4 cells where three are the most"),
        ('192.0.2.0/24,vpn,"open\n', "line 1: unexpected end of data"),
        ("192.0.2.0/24,vpn\n\ud800", "after line"),
    ],
)
def test_a_row_that_cannot_be_understood_is_named_by_file_and_line(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "one.csv").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(RingfenceError, match=said) as refused:
        read_tables(tmp_path)
    assert refused.value.remedy


def test_a_folder_in_place_of_a_table_is_said(tmp_path: Path) -> None:
    (tmp_path / "one.csv").mkdir()
    with pytest.raises(RingfenceError, match="cannot read"):
        read_tables(tmp_path)


@given(st.integers(0, 2**32))
def test_lookups_agree_with_going_through_all_networks(seed: int) -> None:
    dice = random.Random(seed)
    networks = [
        (
            ipaddress.ip_network((dice.getrandbits(32) & 0xC0_00_00_C3, dice.randint(0, 32)), strict=False),
            kind,
        )
        for kind in dice.choices(TYPES, k=12)
    ]
    rows = "".join(f"{network},{kind}\n" for network, kind in networks)
    asked = [ipaddress.ip_address(dice.getrandbits(32) & 0xC0_00_01_C3) for _ in range(20)]
    best = []
    for address in asked:
        over = [
            (network.prefixlen, place, kind)
            for place, (network, kind) in enumerate(networks)
            if address in network
        ]
        best.append(max(over)[2] if over else None)
    with tempfile.TemporaryDirectory() as folder:
        assert types(tables(Path(folder), one=rows), *map(str, asked)) == best


@pytest.mark.parametrize("version", [4, 6])
def test_mmdb_says_types_in_the_words_of_its_vendors(tmp_path: Path, version: int) -> None:
    records: dict[str, Record] = {
        "198.51.100.0/24": {"connection_type": "Cellular"},
        "203.0.113.0/25": {"is_anonymous": True, "is_hosting_provider": True},
        "203.0.113.128/25": {"is_hosting_provider": True, "is_tor_exit_node": True},
        "192.0.2.0/26": {"traits": {"user_type": "college", "isp": "Example"}},
        "192.0.2.64/26": {"country": "DE", "hosting": "true", "vpn": ""},
        "192.0.2.128/26": {"asn": "AS64496", "name": "Example"},
        "192.0.2.192/26": {"autonomous_system_number": 64497, "autonomous_system_organization": "Nobody"},
    }
    write_mmdb(tmp_path / "vendor.mmdb", records, version)
    found = tables(tmp_path, systems="AS64496,hosting\n")
    asked = (
        "198.51.100.9",
        "203.0.113.9",
        "203.0.113.200",
        "192.0.2.1",
        "192.0.2.65",
        "192.0.2.129",
        "192.0.2.200",
    )
    expected = ["mobile", "data_centre", "vpn", "office", "data_centre", "data_centre", None]
    assert types(found, *asked) == expected


def test_mmdb_knows_ipv6(tmp_path: Path) -> None:
    write_mmdb(
        tmp_path / "vendor.mmdb", {"2001:db8::/32": {"type": "vpn"}, "198.51.100.0/24": {"type": "isp"}}
    )
    found = read_tables(tmp_path)
    assert found is not None
    assert types(found, "2001:db8:1::/64", "198.51.100.1", "2001:db9::/64") == ["vpn", "residential", None]


def test_a_file_that_is_no_mmdb_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "vendor.mmdb").write_bytes(b"<html>log in first</html>")
    with pytest.raises(RingfenceError, match=r"vendor\.mmdb is no MMDB file"):
        read_tables(tmp_path)


def test_a_database_that_says_nothing_of_use_is_refused_with_what_it_says(tmp_path: Path) -> None:
    write_mmdb(tmp_path / "city.mmdb", {"198.51.100.0/24": {"city": "Springfield"}})
    with pytest.raises(
        RingfenceError, match="names neither types of networks nor autonomous systems, only city"
    ):
        read_tables(tmp_path)


def test_the_example_of_the_recipe_means_what_it_says(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "recipes" / "networks.md").read_text(encoding="utf-8")
    found = tables(
        tmp_path,
        example=page.split("```csv\n", 1)[1].split("```", 1)[0],
        more="203.0.113.64/26,AS64496\n",
    )
    asked = ("198.51.100.1", "203.0.113.7", "192.0.2.40", "2001:db8:7:9::/64", "203.0.113.65")
    assert types(found, *asked) == ["data_centre", "vpn", "mobile", "office", "data_centre"]


def test_a_table_that_changes_counts_as_it_is_now(tmp_path: Path) -> None:
    assert types(tables(tmp_path, one="192.0.2.0/24,vpn\n"), "192.0.2.1") == ["vpn"]
    assert types(tables(tmp_path), "192.0.2.1") == ["vpn"]
    assert types(tables(tmp_path, one="192.0.2.0/24,mobile\n"), "192.0.2.1") == ["mobile"]
    assert types(tables(tmp_path, two="192.0.2.1,office\n"), "192.0.2.1") == ["office"]
    (tmp_path / "two.csv").unlink()
    assert types(tables(tmp_path), "192.0.2.1") == ["mobile"]


def test_what_is_kept_of_tables_may_be_damaged(tmp_path: Path) -> None:
    tables(tmp_path, one="192.0.2.0/24,vpn\n")
    (kept,) = (path for path in tmp_path.iterdir() if path.suffix == ".parquet")
    for damage in (b"", b"PAR1", kept.read_bytes()[:200]):
        kept.write_bytes(damage)
        assert types(tables(tmp_path), "192.0.2.1") == ["vpn"]
