"""Every format, as rows: what is read, what is refused and why, and that nothing is lost."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.errors import RingfenceError
from ingest.inputs import InputError, OpenInput
from ingest.mapping import InputRule, parse_mapping
from ingest.sources.blocks import BlockReader
from ingest.sources.delimited import DelimitedTask, Header, RecordBlocks
from ingest.sources.files import expand, format_of, sniff
from ingest.sources.ndjson import NdjsonTask
from ingest.sources.parquet import BATCH_ROWS, ParquetReader
from ingest.sources.rows import MOST_LINE, BadRow, Block, Rows
from ingest.sources.streams import ByteStream, open_file

KNOWN = frozenset({"org_id", "cost_usd", "plan"})
MEASURES = frozenset({"cost_usd"})


def stream_of(data: bytes) -> ByteStream:
    return ByteStream(lambda: io.BytesIO(data), None, again=True)


def blocks_of(data: bytes, size: int = 1 << 23) -> list[Block]:
    return list(BlockReader(stream_of(data), size=size))


def ndjson(*lines: bytes) -> Rows:
    return NdjsonTask(Block(b"\n".join(lines), 1, 0), "f", KNOWN, MEASURES).read()


def read_all(path: Path, rule: InputRule | None = None) -> tuple[list[Rows], str | None]:
    opened = OpenInput(str(path), rule, None, path.parent)
    try:
        rows = [task.read() for task in opened.tasks()]
        opened.check_unchanged()
    finally:
        opened.close()
    return rows, opened.damage


def bad_rows(parts: list[Rows]) -> list[BadRow]:
    return [bad for part in parts for bad in part.bad]


def cells(parts: list[Rows]) -> list[dict[str, str | None]]:
    """The rows without errors, as text."""
    found = []
    for part in parts:
        table = {name: column.to_pylist() for name, column in part.batch.columns.items()}
        for row in range(part.batch.rows):
            if row not in part.batch.errors:
                found.append({name: values[row] for name, values in table.items()})
    return found


class TestBlocks:
    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.binary(max_size=40).map(lambda one: one.replace(b"\n", b""))), st.integers(1, 64))
    def test_blocks_are_the_same_bytes_and_lines_in_order(self, lines: list[bytes], size: int) -> None:
        data = b"\n".join(lines)
        if data.startswith(b"\xef\xbb\xbf"):
            return
        blocks = blocks_of(data, size)
        assert b"".join(block.data for block in blocks) == data
        line, offset = 1, 0
        for block in blocks:
            assert (block.line, block.offset) == (line, offset)
            line += block.data.count(b"\n")
            offset += len(block.data)

    def test_a_line_over_a_mebibyte_is_described_and_passed(self) -> None:
        long = b"x" * (3 * MOST_LINE + 17)
        data = b'{"a":1}\n' + long + b'\n{"b":2}\n'
        blocks = blocks_of(data, 1 << 16)
        (bad,) = [bad for block in blocks for bad in block.bad]
        assert (bad.line, bad.offset, bad.reason) == (2, 8, "line_too_long")
        assert str(len(long)) in bad.detail
        assert hashlib.sha256(long).hexdigest() in bad.detail
        assert "65536" in bad.detail
        assert bad.raw == "x" * 65536
        last = blocks[-1]
        assert (last.data, last.line, last.offset) == (b'{"b":2}\n', 3, 8 + len(long) + 1)

    def test_a_long_line_within_one_block_is_described_alike(self) -> None:
        long = b"y" * (MOST_LINE + 1)
        (block,) = blocks_of(b"{}\n" + long + b"\n{}\n")
        rows = NdjsonTask(block, "f", KNOWN, MEASURES).read()
        (bad,) = rows.bad
        assert (bad.line, bad.offset, rows.batch.rows) == (2, 3, 2)
        assert hashlib.sha256(long).hexdigest() in bad.detail
        assert rows.batch.lines.to_pylist() == [1, 3]

    def test_many_tiny_lines_become_several_blocks(self) -> None:
        blocks = blocks_of(b"1\n" * 300_000)
        assert max(block.data.count(b"\n") for block in blocks) == 131_072
        assert sum(block.data.count(b"\n") for block in blocks) == 300_000


class TestNdjson:
    def test_scalars_become_text(self) -> None:
        rows = ndjson(
            b'{"org_id": "a", "plan": true, "cost_usd": 1.50}',
            b'{"org_id": 12345678901234567890123, "cost_usd": 7, "plan": null}',
            b'{"org_id": 1.10, "cost_usd": 123456789012.123456}',
        )
        assert cells([rows]) == [
            {"org_id": "a", "plan": "true", "cost_usd": "1.5"},
            {"org_id": "12345678901234567890123", "plan": None, "cost_usd": "7"},
            {"org_id": "1.10", "plan": None, "cost_usd": "123456789012.123456"},
        ]

    def test_unknown_keys_are_kept_as_they_were(self) -> None:
        rows = ndjson(b'{"org_id": "a", "zeta": {"b": [1, 2]}, "alpha": 1}', b'{"org_id": "b"}')
        assert rows.batch.extra is not None
        assert rows.batch.extra.to_pylist() == ['{"alpha":1,"zeta":{"b":[1,2]}}', None]

    def test_ten_thousand_keys(self) -> None:
        row = {f"k{n}": n for n in range(10_000)} | {"org_id": "a"}
        rows = ndjson(json.dumps(row).encode())
        assert rows.batch.extra is not None
        assert len(json.loads(rows.batch.extra[0].as_py())) == 10_000
        assert cells([rows]) == [{"org_id": "a"}]

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            (b'{"org_id": ', "invalid_json"),
            (b'{"org_id": "a"} {"org_id": "b"}', "invalid_json"),
            (b"[1, 2]", "not_an_object"),
            (b"null", "not_an_object"),
            (b'{"cost_usd": NaN}', "not_a_number"),
            (b'{"cost_usd": -Infinity}', "not_a_number"),
            (b'{"cost_usd": 1e999}', "number_out_of_range"),
            (b'{"org_id": "\\ud800"}', "lone_surrogate"),
            (b'{"org_id": "\xed\xa0\x80"}', "invalid_utf8"),
            (b'{"org_id": "\xff"}', "invalid_utf8"),
            (b'{"org_id": "a\x00b"}', "nul_character"),
            (b'{"x": ' + b"[" * 5000, "nested_too_deep"),
            (b'{"x": ' + b"[" * 500 + b"]" * 500 + b"}", "nested_too_deep"),
            (b'{"org_id": {"id": 1}}', "nested_value"),
            (b'{"plan": ["free"]}', "nested_value"),
        ],
    )
    def test_a_bad_line_is_refused_alone(self, line: bytes, reason: str) -> None:
        rows = ndjson(b'{"org_id": "a"}', line, b'{"org_id": "b"}')
        assert rows.batch.errors == {1: reason}
        assert rows.details[1]
        assert [row["org_id"] for row in cells([rows])] == ["a", "b"]

    def test_the_field_of_a_nested_value_is_named(self) -> None:
        assert ndjson(b'{"plan": {}}').fields == {0: "plan"}

    def test_blank_lines_bom_and_crlf(self, tmp_path: Path) -> None:
        path = tmp_path / "a.ndjson"
        path.write_bytes(b'\xef\xbb\xbf{"org_id":"a"}\r\n\r\n  \n{"org_id":"b"}')
        parts, damage = read_all(path)
        assert damage is None
        assert [row["org_id"] for row in cells(parts)] == ["a", "b"]
        assert [line for part in parts for line in part.batch.lines.to_pylist()] == [1, 4]

    @settings(max_examples=100, deadline=None)
    @given(
        st.lists(
            st.dictionaries(
                st.sampled_from(["org_id", "plan", "cost_usd", "other"]),
                st.one_of(st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.text(max_size=8)),
            ),
            min_size=1,
            max_size=8,
        )
    )
    def test_agrees_with_a_plain_reader(self, objects: list[dict[str, object]]) -> None:
        rows = ndjson(*(json.dumps(one).encode() for one in objects))
        expected: dict[int, dict[str, str | None]] = {}
        for at, one in enumerate(objects):
            if any(
                isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value)
                for value in one.values()
            ):
                continue
            expected[at] = {
                name: value if isinstance(value, str) or value is None else json.dumps(value)
                for name, value in one.items()
                if name in KNOWN
            }
        assert rows.batch.rows == len(objects)
        for at, wanted in expected.items():
            assert at not in rows.batch.errors
            for name, value in wanted.items():
                column = rows.batch.columns.get(name)
                assert (column[at].as_py() if column is not None else None) == value


class TestDelimited:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_delimiters_quotes_bom_crlf(self, tmp_path: Path, delimiter: str) -> None:
        path = tmp_path / "a.csv"
        table = io.StringIO()
        writer = csv.writer(table, delimiter=delimiter, lineterminator="\r\n")
        writer.writerows(
            [["org_id", "org_name", "plan"], ["1", f'a "b"{delimiter} c', ""], ["2", "two\nlines", "free"]]
        )
        path.write_bytes(b"\xef\xbb\xbf" + table.getvalue().encode())
        parts, _ = read_all(path)
        assert cells(parts) == [
            {"org_id": "1", "org_name": f'a "b"{delimiter} c', "plan": None},
            {"org_id": "2", "org_name": "two\nlines", "plan": "free"},
        ]

    def test_bad_rows_are_refused_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"
        path.write_bytes(b'org_id,plan\n1,free\n2\n3,free,more\n4,\xff\n5,a\x00\n6,"x"y"\n7,a\rb\n8,trial\n')
        parts, _ = read_all(path)
        errors = [reason for part in parts for _, reason in sorted(part.batch.errors.items())]
        assert errors == [
            "ragged_row",
            "ragged_row",
            "invalid_utf8",
            "nul_character",
            "invalid_csv",
            "invalid_csv",
        ]
        assert [row["org_id"] for row in cells(parts)] == ["1", "8"]

    def test_a_quote_that_is_never_closed_costs_its_line_only(self, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"
        path.write_bytes(b'org_id,plan\n1,"free\n' + b"2,free\n" * 400_000)
        parts, _ = read_all(path)
        assert [reason for part in parts for reason in part.batch.errors.values()] == ["invalid_csv"]
        assert len(cells(parts)) == 400_000

    def test_ten_thousand_columns(self, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"
        names = ["org_id", *(f"c{n}" for n in range(10_000))]
        path.write_text(",".join(names) + "\n" + ",".join(["v"] * len(names)) + "\n")
        parts, _ = read_all(path)
        assert len(cells(parts)[0]) == 10_001

    def test_unusable_headers(self, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"
        for header in (b"a,b,a\n", b"a,\xff\n", b'a,"b\n'):
            path.write_bytes(header + b"1,2,3\n")
            with pytest.raises(InputError) as caught:
                read_all(path)
            assert "header" in caught.value.message
            assert caught.value.remedy

    def test_columns_without_a_name_get_one(self, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"
        path.write_bytes(b",org_id\n0,x\n")
        assert cells(read_all(path)[0]) == [{"column_1": "0", "org_id": "x"}]

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(
            st.tuples(
                *[st.text(st.characters(exclude_characters="\0\r", exclude_categories=("Cs",)), max_size=12)]
                * 2
            ),
            min_size=1,
            max_size=12,
        ),
        st.integers(1, 40),
    )
    def test_records_survive_any_cut(self, table: list[tuple[str, str]], size: int) -> None:
        out = io.StringIO()
        csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(table)
        blocks = RecordBlocks(blocks_of(out.getvalue().encode(), size)).split(",")
        header = Header(("a", "b"), ",")
        parts = [DelimitedTask(block, "f", header).read() for block in blocks]
        assert cells(parts) == [{"a": one or None, "b": two or None} for one, two in table]
        lines = [line for part in parts for line in part.batch.lines.to_pylist()]
        starts, line = [], 1
        for one, two in table:
            starts.append(line)
            line += 1 + one.count("\n") + two.count("\n")
        assert lines == starts


class TestLogLines:
    def test_named_groups_become_columns(self, tmp_path: Path) -> None:
        path = tmp_path / "a.log"
        path.write_bytes(b"1.2.3.4 GET 200\n1.2.3.5 POST\nnonsense\n\xff 1\n" + b"z" * 70_000 + b"\n")
        rule = InputRule(format="log", pattern=r"(?P<ip>[0-9.]+) (?P<verb>[A-Z]+)(?: (?P<status>[0-9]+))?")
        (rows,), _ = read_all(path, rule)
        assert cells([rows]) == [
            {"ip": "1.2.3.4", "verb": "GET", "status": "200"},
            {"ip": "1.2.3.5", "verb": "POST", "status": None},
        ]
        assert rows.batch.errors == {2: "pattern_mismatch", 3: "invalid_utf8", 4: "pattern_mismatch"}

    def test_a_log_without_a_mapping_is_refused_with_a_remedy(self, tmp_path: Path) -> None:
        path = tmp_path / "a.log"
        path.write_text("x\n")
        with pytest.raises(InputError, match="mapping"):
            read_all(path)


class TestParquet:
    def table(self, rows: int) -> pa.Table:
        return pa.table({"org_id": [f"o{n}" for n in range(rows)], "requests": list(range(rows))})

    def test_batches_and_row_numbers(self, tmp_path: Path) -> None:
        path = tmp_path / "a.parquet"
        pq.write_table(self.table(150_000), path, row_group_size=40_000)
        parts, damage = read_all(path)
        assert damage is None
        assert [part.batch.lines[0].as_py() for part in parts] == list(range(1, 150_001, BATCH_ROWS))
        assert len(parts) > 2
        assert sum(part.batch.rows for part in parts) == 150_000
        assert parts[0].batch.columns["requests"].type == pa.int64()

    @pytest.mark.parametrize("packed", ["a.parquet.gz", "a.parquet.zst"])
    def test_compressed_again(self, tmp_path: Path, packed: str) -> None:
        plain = io.BytesIO()
        pq.write_table(self.table(100), plain)
        with pa.CompressedOutputStream(
            str(tmp_path / packed), "gzip" if packed.endswith("gz") else "zstd"
        ) as out:
            out.write(plain.getvalue())
        parts, _ = read_all(tmp_path / packed)
        assert sum(part.batch.rows for part in parts) == 100
        assert [path.name for path in tmp_path.iterdir()] == [packed]

    def test_truncated_and_damaged_files_are_reported(self, tmp_path: Path) -> None:
        path = tmp_path / "a.parquet"
        pq.write_table(self.table(200_000), path, row_group_size=50_000, compression="none")
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        reader = ParquetReader(path, "a")
        assert list(reader) == []
        assert reader.damage is not None
        assert "Parquet" in reader.damage
        meta = pq.ParquetFile(io.BytesIO(whole)).metadata.row_group(2).column(0)
        torn = bytearray(whole)
        place = meta.dictionary_page_offset or meta.data_page_offset
        torn[place : place + 200] = bytes(200)
        path.write_bytes(bytes(torn))
        reader = ParquetReader(path, "a")
        rows = sum(task.read().batch.rows for task in reader)
        assert 0 < rows <= 100_000
        assert reader.damage is not None

    def test_ten_thousand_columns(self, tmp_path: Path) -> None:
        path = tmp_path / "a.parquet"
        pq.write_table(pa.table({f"c{n}": ["x", "y"] for n in range(10_000)}), path)
        parts, _ = read_all(path)
        assert len(parts[0].batch.columns) == 10_000

    def test_an_empty_table_has_no_rows(self, tmp_path: Path) -> None:
        path = tmp_path / "a.parquet"
        pq.write_table(self.table(0), path)
        assert read_all(path) == ([], None)


class TestStreams:
    LINES = b"".join(b'{"org_id":"%d"}\n' % n for n in range(60_000))

    def packed(self, path: Path) -> bytes:
        if path.suffix == ".gz":
            path.write_bytes(gzip.compress(self.LINES))
        else:
            with pa.CompressedOutputStream(str(path), "zstd") as out:
                out.write(self.LINES)
        return path.read_bytes()

    @pytest.mark.parametrize("name", ["a.ndjson.gz", "a.ndjson.zst"])
    def test_whole(self, tmp_path: Path, name: str) -> None:
        self.packed(tmp_path / name)
        parts, damage = read_all(tmp_path / name)
        assert damage is None
        assert len(cells(parts)) == 60_000

    @pytest.mark.parametrize("name", ["a.ndjson.gz", "a.ndjson.zst"])
    def test_truncated_keeps_every_whole_row(self, tmp_path: Path, name: str) -> None:
        whole = self.packed(tmp_path / name)
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        parts, damage = read_all(tmp_path / name)
        assert damage is not None
        rows = cells(parts)
        assert 1000 < len(rows) < 60_000
        assert [row["org_id"] for row in rows] == [str(n) for n in range(len(rows))]
        assert [bad.reason for bad in bad_rows(parts)] in ([], ["truncated_input"])

    def test_nothing_intact_is_lost_by_a_torn_gzip(self, tmp_path: Path) -> None:
        path = tmp_path / "a.ndjson.gz"
        whole = gzip.compress(self.LINES)
        path.write_bytes(whole[:-4])
        parts, damage = read_all(path)
        assert damage is not None
        assert len(cells(parts)) == 60_000

    def test_two_members_in_one_gzip(self, tmp_path: Path) -> None:
        path = tmp_path / "a.ndjson.gz"
        path.write_bytes(gzip.compress(self.LINES) * 2)
        assert len(cells(read_all(path)[0])) == 120_000

    def test_reading_goes_forward_in_pieces(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        path.write_bytes(bytes(range(256)) * 1000)
        stream = open_file(path)
        pieces = []
        while piece := stream.read(100_000):
            pieces.append(piece)
        stream.close()
        assert b"".join(pieces) == path.read_bytes()
        assert max(map(len, pieces)) <= 100_000


class TestFiles:
    def test_formats_by_name_and_by_content(self) -> None:
        assert format_of("x/a.JSONL.GZ") == "ndjson"
        assert format_of("a.tsv.zst") == "csv"
        assert format_of("a.txt") is None
        assert sniff(b"PAR1...") == "parquet"
        assert sniff(b'\xef\xbb\xbf \n{"a":1}') == "ndjson"
        assert sniff(b"a,b\n") == "csv"

    def test_folders_globs_and_order(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("b.csv", "a.ndjson.gz", "notes.md", "sub/c.parquet", "sub/d.txt"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(b"")
        monkeypatch.chdir(tmp_path)
        assert expand(["."]) == ["a.ndjson.gz", "b.csv", "sub/c.parquet"]
        assert expand(["sub/*", "b.csv", "b.csv", "-"]) == ["sub/c.parquet", "sub/d.txt", "b.csv", "-"]

    def test_what_is_not_there(self, tmp_path: Path) -> None:
        for path in (str(tmp_path / "none.csv"), str(tmp_path / "*.csv")):
            with pytest.raises(RingfenceError) as caught:
                expand([path])
            assert caught.value.remedy
        with pytest.raises(RingfenceError) as caught:
            expand([str(tmp_path)])
        assert caught.value.exit_code == 3

    def test_a_folder_without_permission(self, tmp_path: Path) -> None:
        (tmp_path / "closed").mkdir(mode=0)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65_534)  # the superuser may read everything
        try:
            with pytest.raises(RingfenceError, match="cannot read"):
                expand([str(tmp_path)])
        finally:
            os.seteuid(user)

    def test_a_folder_that_the_system_refuses(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "in").mkdir()

        def refuse(path: str) -> None:
            raise PermissionError(13, "Permission denied", path)

        monkeypatch.setattr(os, "scandir", refuse)
        with pytest.raises(RingfenceError) as caught:
            expand([str(tmp_path)])
        assert "Permission denied" in caught.value.message
        assert "permission" in caught.value.remedy

    def test_mapping_decides_the_format(self, tmp_path: Path) -> None:
        path = tmp_path / "a.txt"
        path.write_text("org_id;plan\n1;free\n")
        rule = parse_mapping("inputs:\n  - format: csv\n", "m", "m.yaml").inputs[0]
        assert cells(read_all(path, rule)[0]) == [{"org_id": "1", "plan": "free"}]
