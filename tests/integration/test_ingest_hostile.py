"""Inputs that nobody expects: each gets a clear answer, and no row of any is lost or doubled."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import io
import json
import os
import socket
import struct
import tarfile
import threading
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
from ingest_support import check_books, reasons, row, stored_ids, take, write_ndjson

from graph.errors import RingfenceError
from graph.home import Home
from ingest.mapping import parse_mapping
from ingest.report import FAILED, PARTIAL

ROWS = [row(n) for n in range(10)]
LINES = b"".join(json.dumps(one).encode() + b"\n" for one in ROWS)
CSV = b"event_type,occurred_at,org_id\nuser_added,2026-02-01T00:00:00Z,c\n"
HOUR = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


def zstd_frame(window_log: int) -> bytes:
    """A frame of one uncompressed block that asks for a window of 2 ** window_log bytes (RFC 8878, section 3.1)."""
    block = struct.pack("<I", len(LINES) << 3 | 1)[:3] + LINES
    return b"\x28\xb5\x2f\xfd\x00" + bytes([window_log - 10 << 3]) + block


def archive(kind: str) -> bytes:
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w") as packed:
            packed.writestr("a.ndjson", LINES)
    else:
        with tarfile.open(fileobj=out, mode="w") as packed:
            packed.addfile(tarfile.TarInfo("a.ndjson"))
    return out.getvalue()


class TestBytes:
    @pytest.mark.parametrize(
        ("name", "data", "what"),
        [
            ("a.ndjson", LINES.decode().encode("utf-16"), "UTF-16"),
            ("a.csv", CSV.decode().encode("utf-16"), "UTF-16"),
            ("a.ndjson.gz", gzip.compress(gzip.compress(LINES)), "gzip within gzip"),
            ("a.tar.gz", gzip.compress(archive("tar")), "tar archive"),
            ("a.zip", archive("zip"), "ZIP"),
            ("a.csv", archive("zip"), "spreadsheet"),
            ("a.csv.bz2", bz2.compress(CSV), "bzip2"),
            ("a.csv", b"PAR1\x15\x04", "Parquet"),
            ("a.parquet", CSV, "Parquet"),
            ("a.ndjson.gz", LINES, "gzip stream is damaged"),
            ("a.ndjson.zst", zstd_frame(31), "too much memory"),
        ],
    )
    def test_what_is_no_text_is_named(
        self, tmp_path: Path, home: Home, name: str, data: bytes, what: str
    ) -> None:
        path = put(tmp_path / name, data)
        report = take(home, path, put(tmp_path / "z.ndjson", LINES))
        assert report.exit_code == PARTIAL
        assert what in (report.inputs[0].error or "")
        assert str(path) in (report.inputs[0].error or "")
        assert report.totals.stored == len(ROWS)

    @pytest.mark.parametrize(
        ("name", "data"),
        [
            ("A.NDJSON.GZ", gzip.compress(LINES)),
            ("a.ndjson", gzip.compress(LINES)),
            ("a.jsonl", pa.Codec("zstd").compress(LINES, asbytes=True)),
            ("a.ndjson.gz", b"".join(gzip.compress(line + b"\n") for line in LINES.splitlines())),
            (
                "a.ndjson.zst",
                b"".join(
                    pa.Codec("zstd").compress(line + b"\n", asbytes=True) for line in LINES.splitlines()
                ),
            ),
            ("a.ndjson.zst", zstd_frame(27)),
            ("a.ndjson", b"\xef\xbb\xbf" + LINES.replace(b"\n", b"\r\n")),
        ],
    )
    def test_unusual_packing_is_read(self, tmp_path: Path, home: Home, name: str, data: bytes) -> None:
        assert take(home, put(tmp_path / name, data)).totals.stored == len(ROWS)
        assert stored_ids(home) == sorted(one["event_id"] for one in ROWS)

    @pytest.mark.parametrize("behind", [b"\0" * 512, b"junk", gzip.compress(LINES)[:40]])
    def test_what_follows_a_gzip_is_reported(self, tmp_path: Path, home: Home, behind: bytes) -> None:
        report = take(home, put(tmp_path / "a.ndjson.gz", gzip.compress(LINES) + behind))
        assert (report.exit_code, report.totals.stored) == (PARTIAL, len(ROWS))

    def test_a_gzip_that_inflates_without_end_is_one_long_line(self, tmp_path: Path, home: Home) -> None:
        report = take(home, put(tmp_path / "a.ndjson.gz", gzip.compress(bytes(64 << 20), 1)))
        assert report.totals.quarantined == 1
        assert reasons(home) == [(1, "line_too_long")]

    def test_separators_of_unicode_end_no_line(self, tmp_path: Path, home: Home) -> None:
        name = "a\u2028b\u2029c\u0085d\x0be\x0c"
        lines = json.dumps(row(1, org_name=name), ensure_ascii=False).encode() + b"\n"
        cells = CSV.replace(b"org_id", b"org_id,org_name").replace(b",c", f",c,{name}".encode())
        report = take(home, put(tmp_path / "a.ndjson", lines), put(tmp_path / "b.csv", cells))
        assert (report.totals.rows, report.totals.stored) == (2, 2)

    def test_large_cells_and_quotes_that_never_close(self, tmp_path: Path, home: Home) -> None:
        line = b"user_added,2026-02-01T00:00:00Z,"
        rows = [
            line + b'"' + b"x" * (2 << 20) + b'"',
            line + b"good",
            b'"' * 1_500_001,
            line + b"too",
            *[b'"' + line] * 500,
        ]
        report = take(home, put(tmp_path / "a.csv", CSV + b"\n".join(rows) + b"\n"))
        assert report.totals.stored == 3
        assert {reason for _, reason in reasons(home)} == {"line_too_long", "invalid_csv"}
        check_books(home, report)

    def test_bytes_by_chance(self, tmp_path: Path, home: Home) -> None:
        names = ("a.ndjson", "b.csv", "c.parquet", "d.ndjson.gz", "e.csv.zst", "f")
        files = [put(tmp_path / name, os.urandom(20_000)) for name in names]
        report = take(home, *files)
        assert report.totals.stored == 0
        check_books(home, report)


class TestPlaces:
    def test_a_named_pipe_is_read_when_it_is_named(self, tmp_path: Path, home: Home) -> None:
        pipe = tmp_path / "a.ndjson"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_bytes, args=(LINES,))
        writer.start()
        assert take(home, pipe).totals.stored == len(ROWS)
        writer.join()

    def test_a_folder_is_searched_for_files_only(self, tmp_path: Path, home: Home) -> None:
        put(tmp_path / "in" / "b.ndjson", LINES)
        (tmp_path / "in" / "folder.ndjson").mkdir()
        assert take(home, tmp_path / "in").totals.stored == len(ROWS)
        for name in ("pipe.ndjson", "socket.ndjson"):
            place = tmp_path / "in" / name
            if name.startswith("pipe"):
                os.mkfifo(place)
            else:
                with socket.socket(socket.AF_UNIX) as bound:
                    bound.bind(str(place))
            with pytest.raises(RingfenceError, match="pipe, a socket or a device"):
                take(home, tmp_path / "in")
            place.unlink()

    def test_a_socket_that_is_named_cannot_be_read(self, tmp_path: Path, home: Home) -> None:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(tmp_path / "a.ndjson"))
            report = take(home, tmp_path / "a.ndjson")
        assert report.exit_code == FAILED
        assert "cannot read" in (report.inputs[0].error or "")

    def test_links(self, tmp_path: Path, home: Home) -> None:
        target = put(tmp_path / "in" / "a.ndjson", LINES)
        (tmp_path / "in" / "round").symlink_to(tmp_path / "in")
        (tmp_path / "b.ndjson").symlink_to(target)
        assert take(home, tmp_path / "b.ndjson", tmp_path / "in").totals.duplicates == len(ROWS)
        (tmp_path / "in" / "c.ndjson").symlink_to(tmp_path / "nowhere")
        with pytest.raises(RingfenceError, match="leads nowhere"):
            take(home, tmp_path / "in")

    def test_a_folder_that_changes_while_it_is_ingested(self, tmp_path: Path, home: Home) -> None:
        (tmp_path / "in").mkdir()
        for name in ("a", "b", "c"):
            write_ndjson(tmp_path / "in" / f"{name}.ndjson", [row(ord(name))])

        def change(stage: str, _done: int, _total: int | None) -> None:
            if "a.ndjson" in stage:
                (tmp_path / "in" / "b.ndjson").unlink(missing_ok=True)
                write_ndjson(tmp_path / "in" / "late.ndjson", [row(1)])

        report = take(home, tmp_path / "in", progress=change)
        assert [Path(one.path).name for one in report.inputs] == ["a.ndjson", "b.ndjson", "c.ndjson"]
        assert "cannot read" in (report.inputs[1].error or "")
        assert stored_ids(home) == ["e97", "e99"]
        check_books(home, report)

    def test_a_home_within_the_folder_is_no_input(self, tmp_path: Path) -> None:
        put(tmp_path / "in" / "a.ndjson", LINES + b"{}\n")
        home = Home(tmp_path / "in" / "mine")
        for _ in range(2):
            assert [Path(one.path).name for one in take(home, tmp_path / "in").inputs] == ["a.ndjson"]

    def test_a_sparse_file(self, tmp_path: Path, home: Home) -> None:
        path = put(tmp_path / "a.ndjson", LINES)
        os.truncate(path, 200 << 20)
        report = take(home, path)
        assert (report.totals.stored, report.totals.quarantined) == (len(ROWS), 1)
        assert reasons(home) == [(len(ROWS) + 1, "line_too_long")]

    def test_names_that_are_no_text(self, tmp_path: Path, home: Home) -> None:
        path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n\x1b.ndjson")
        Path(path).write_bytes(LINES + b"{}\n")
        report = take(home, Path(path))
        assert (report.totals.stored, report.totals.quarantined) == (len(ROWS), 1)
        assert report.inputs[0].path.encode("utf-8").endswith(b"\\xff\n\x1b.ndjson")
        check_books(home, report)

    @pytest.mark.parametrize("source", ["", "  ", "a\0b", "a\x1b[31m", "\udcff"])
    def test_sources_need_a_name(self, tmp_path: Path, home: Home, source: str) -> None:
        with pytest.raises(RingfenceError) as caught:
            take(home, put(tmp_path / "a.ndjson", LINES), source=source)
        assert caught.value.exit_code == 2


class _Keys(pe.KmsClient):  # type: ignore[misc]
    def __init__(self, _config: object) -> None:
        super().__init__()

    def wrap_key(self, key_bytes: bytes, _master: str) -> bytes:
        return key_bytes.hex().encode()

    def unwrap_key(self, wrapped_key: bytes, _master: str) -> bytes:
        return bytes.fromhex(wrapped_key.decode())


def columns(rows: int, **more: Any) -> dict[str, Any]:
    return {
        "event_type": ["inference"] * rows,
        "occurred_at": [HOUR] * rows,
        "org_id": [f"o{n}" for n in range(rows)],
        **more,
    }


def parquet(path: Path, *, table: pa.Table | None = None, rows: int = 4, **more: Any) -> Path:
    pq.write_table(pa.table(columns(rows, **more)) if table is None else table, path)
    return path


class TestParquet:
    @pytest.mark.parametrize("plain_footer", [False, True])
    def test_encrypted(self, tmp_path: Path, home: Home, plain_footer: bool) -> None:
        config = pe.EncryptionConfiguration(
            footer_key="f", column_keys={"c": ["org_id"]}, plaintext_footer=plain_footer
        )
        keys = pe.CryptoFactory(_Keys).file_encryption_properties(pe.KmsConnectionConfig(), config)
        table = pa.table(columns(4))
        path = tmp_path / "a.parquet"
        with pq.ParquetWriter(path, table.schema, encryption_properties=keys) as writer:
            writer.write_table(table)
        report = take(home, path, put(tmp_path / "b.ndjson", LINES))
        assert report.exit_code == PARTIAL
        assert str(path) in (report.inputs[0].error or "")
        assert "crypt" in (report.inputs[0].error or "")

    def test_one_name_for_two_columns_stops_that_file_only(self, tmp_path: Path, home: Home) -> None:
        table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["org_id", "org_id"])
        report = take(home, parquet(tmp_path / "a.parquet", table=table), put(tmp_path / "b.ndjson", LINES))
        assert "same name" in (report.inputs[0].error or "")
        assert report.totals.stored == len(ROWS)

    def test_types_that_mean_the_same(self, tmp_path: Path, home: Home) -> None:
        """Whatever the file's types, the same rows under the same ids: all but the first file are duplicates."""
        uuid = "00112233-4455-6677-8899-aabbccddeeff"
        ids = [f"e{n}" for n in range(4)]
        plain: dict[str, Any] = {
            "event_id": ids,
            "cost_usd": ["1.5"] * 4,
            "tokens": ["7"] * 4,
            "user_id": [uuid, None] * 2,
        }
        stored = pa.array([bytes.fromhex(uuid.replace("-", "")), None] * 2, pa.binary(16))
        typed: dict[str, Any] = {
            "event_id": pa.array(ids, pa.large_string()),
            "event_type": pa.array(["inference"] * 4).dictionary_encode(),
            "occurred_at": pa.array([HOUR] * 4, pa.timestamp("ns", tz="America/New_York")),
            "org_id": pa.array([f"o{n}" for n in range(4)], pa.string_view()),
            "cost_usd": pa.array([Decimal("1.5")] * 4, pa.decimal256(50, 20)),
            "tokens": pa.array([7] * 4, pa.uint64()),
            "user_id": pa.ExtensionArray.from_storage(pa.uuid(), stored),
        }
        files = [
            parquet(tmp_path / "a.parquet", **plain),
            parquet(tmp_path / "b.parquet", **typed),
            parquet(tmp_path / "c.parquet", **{**plain, "tokens": pa.array([7] * 4).dictionary_encode()}),
            parquet(tmp_path / "d.parquet", **{**plain, "org_id": pa.array([b"o0", b"o1", b"o2", b"o3"])}),
        ]
        report = take(home, *files)
        assert [one.stored for one in report.inputs] == [4, 0, 0, 0]
        assert [one.duplicates for one in report.inputs] == [0, 4, 4, 4]

    def test_unknown_columns_of_any_type_are_kept(self, tmp_path: Path, home: Home) -> None:
        far = pa.array([2**62, -(2**62), 0, None], pa.int64()).cast(pa.timestamp("us"))
        more: dict[str, Any] = {
            "far": far,
            "fine": pa.array([1, 2, 3, None], pa.int64()).cast(pa.timestamp("ns")),
            "long": pa.array([1, 2, 3, None], pa.int64()).cast(pa.duration("ns")),
            "clock": pa.array([1, 2, 3, None], pa.int64()).cast(pa.time64("ns")),
            "nested": pa.array([{"a": [{"b": 1}]}] * 4),
            "map": pa.array([[("k", 1)]] * 4, pa.map_(pa.string(), pa.int32())),
            "uuid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16)] * 4, pa.binary(16))),
            "json": pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}'] * 4)),
            "nothing": pa.nulls(4),
            "": pa.array(["no name"] * 4),
        }
        path = parquet(tmp_path / "a.parquet", **more)
        report = take(home, path)
        assert report.totals.stored == 4
        assert take(home, path).totals.duplicates == 4

    @pytest.mark.parametrize(
        "times",
        [
            pa.array([2**63 - 1, -(2**63)], pa.int64()).cast(pa.timestamp("us", tz="UTC")),
            pa.array([2**63 - 1, 1], pa.int64()).cast(pa.timestamp("ns")),
            pa.array([2**31 - 1, -(2**31)], pa.int32()).cast(pa.date32()),
            pa.array([float("nan"), 1e300]),
            pa.array([dt.time(1), dt.time(2)]),
            pa.array([dt.timedelta(1)] * 2),
            pa.array([[1], [2]]),
            pa.array([{"a": HOUR}] * 2),
            pa.array([b"\xff", b"\0"]),
        ],
    )
    def test_times_that_are_none(self, tmp_path: Path, home: Home, times: pa.Array) -> None:
        report = take(home, parquet(tmp_path / "a.parquet", rows=2, occurred_at=times))
        assert (report.totals.stored, report.totals.quarantined) == (0, 2)
        check_books(home, report)

    def test_a_damaged_row_group(self, tmp_path: Path, home: Home) -> None:
        ids = [f"e{n}" for n in range(60_000)]
        table = pa.table(columns(60_000, event_id=ids))
        path = tmp_path / "a.parquet"
        pq.write_table(table, path, row_group_size=20_000, compression="zstd")
        data = bytearray(path.read_bytes())
        late = len(data) * 4 // 5
        data[late : late + 3000] = bytes(byte ^ 0x5A for byte in data[late : late + 3000])
        report = take(home, put(path, bytes(data)))
        assert report.exit_code == PARTIAL
        assert "cannot be read after row" in (report.inputs[0].error or "")
        assert report.totals.stored == report.totals.rows > 0
        check_books(home, report)


LOG = 'inputs:\n  - format: log\n    pattern: "%s"\n    constants: {event_type: inference}\n'
DEEP = "inputs: " + "[" * 3000 + "]" * 3000
LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}, *a{n}]\n" for n in range(30))


class TestMappings:
    def test_a_careless_expression_takes_no_longer(self, tmp_path: Path, home: Home) -> None:
        mapping = parse_mapping(LOG % r"(?P<org_id>(?:(?:a+)+)+) (?P<occurred_at>[^ ]+)", "m", "m")
        lines = b"a" * 5000 + b"!\n" + b"aaa 2026-02-01T00:00:00Z\n"
        report = take(home, put(tmp_path / "a.log", lines * 20), mapping=mapping)
        assert (report.totals.stored, report.totals.quarantined) == (20, 20)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (LOG % r"(?P<org_id>a)(?=b)", "looking"),
            (LOG % r"(?P<org_id>a)(?P=org_id)", "references"),
            (LOG % r"(?P<org_id>a)(b)", "name every group"),
            (LOG % r"(?P<org_id>(?:a{1000}){1000})", "repetitions"),
            (LOG % r"(?P<org_id>[a", "not a regular expression"),
            (DEEP, "nested too deeply"),
            ("inputs: &a [*a]", "nested too deeply"),
            ("inputs: &a\n  - columns: *a\n", "nested too deeply"),
            (LAUGHS + "inputs: *a30\n", "too large"),
            ("inputs: !!python/object/apply:os.system [id]", "constructor"),
            ('inputs: [{time_format: "%Q"}]', "not a time format"),
            ('inputs: [{time_format: "%"}]', "not a time format"),
            ("inputs: [{timezone: ../../etc/passwd}]", "no time zone"),
        ],
    )
    def test_what_no_mapping_may_say(self, text: str, words: str) -> None:
        with pytest.raises(RingfenceError) as caught:
            parse_mapping(text, "m", "m.yaml")
        assert words in caught.value.message
        assert caught.value.exit_code == 2
