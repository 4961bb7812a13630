"""Ingest from files to facts: formats, duplicates, clock, secrets, commits."""

from __future__ import annotations

import csv
import gzip
import io
import json
import multiprocessing
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ingest_support import (
    ARRIVED,
    PEPPER,
    check_books,
    read_events,
    reasons,
    row,
    stored_ids,
    take,
    write_ndjson,
)

import ingest.job
import ingest.pipeline
import ingest.sources.blocks
import ingest.sources.parquet
from graph.errors import RingfenceError
from graph.facts import HIDDEN_FIELDS, FactsReader, FactsWriter
from graph.facts_ids import StoredIds, merge_runs, runs_to_merge, write_run
from graph.facts_tiers import SortedTiers
from graph.home import Home
from ingest.job import ingest as run_ingest
from ingest.mapping import parse_mapping
from ingest.quarantine import Quarantine
from ingest.repeats import RepeatCounts
from ingest.seen import SeenPrints
from ingest.settings import IngestSettings
from ingest.work import Repeats


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many pieces an input, so that what spans pieces is tested with few rows."""
    monkeypatch.setattr(ingest.sources.blocks.BlockReader.__init__, "__defaults__", (b"", 4096))


class TestFormats:
    ROWS: ClassVar = [row(n) for n in range(300)]

    def test_all_formats_say_the_same(self, tmp_path: Path) -> None:
        text = io.StringIO()
        table = csv.DictWriter(text, list(self.ROWS[0]), delimiter=";")
        table.writeheader()
        table.writerows(self.ROWS)
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "a.csv").write_text(text.getvalue())
        write_ndjson(tmp_path / "in" / "b.ndjson", self.ROWS)
        lines = (tmp_path / "in" / "b.ndjson").read_bytes()
        (tmp_path / "in" / "c.jsonl.gz").write_bytes(gzip.compress(lines))
        with pa.CompressedOutputStream(str(tmp_path / "in" / "d.ndjson.zst"), "zstd") as out:
            out.write(lines)
        pq.write_table(pa.Table.from_pylist(self.ROWS), tmp_path / "in" / "e.parquet")
        home = Home(tmp_path / "home")
        report = take(home, tmp_path / "in")
        assert [one.stored for one in report.inputs] == [300, 0, 0, 0, 0]
        assert [one.duplicates for one in report.inputs] == [0, 300, 300, 300, 300]
        assert report.exit_code == 0
        assert stored_ids(home) == sorted(one["event_id"] for one in self.ROWS)

    def test_facts_say_what_the_rows_say(self, tmp_path: Path, home: Home) -> None:
        take(home, write_ndjson(tmp_path / "a.ndjson", self.ROWS))
        events = read_events(home)
        assert sum(events["tokens"].to_pylist()) == sum(range(300))
        assert float(sum(events["cost"].to_pylist())) == 75.0
        reader = FactsReader(home)
        assert [file.day for file in reader.event_files()] == sorted({f.day for f in reader.event_files()})
        for file in reader.event_files():
            times = pq.read_table(file.path, partitioning=None)["occurred_at"].to_pylist()
            assert (min(times), max(times), len(times)) == (file.first, file.last, file.rows)
            assert {time.date() for time in times} == {file.day}
        assert reader.latest() == max(events["occurred_at"].to_pylist())

    def test_standard_input(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        lines = "".join(json.dumps(one) + "\n" for one in self.ROWS).encode()
        for given in (lines, gzip.compress(lines)):
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
            assert take(home, "-").totals.rows == 300
        assert take(home, "-").totals.rows == 0
        assert len(stored_ids(home)) == 300

    def test_parquet_on_standard_input(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        out = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(self.ROWS), out)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(out.getvalue())))
        assert take(home, "-").totals.stored == 300

    def test_a_named_format_beats_the_name(self, tmp_path: Path, home: Home) -> None:
        path = write_ndjson(tmp_path / "events.txt", self.ROWS)
        assert take(home, path, format="ndjson").totals.stored == 300

    @pytest.mark.usefixtures("small_blocks")
    def test_progress_counts_up(self, tmp_path: Path, home: Home) -> None:
        seen: list[int] = []
        path = write_ndjson(tmp_path / "a.ndjson", self.ROWS)
        take(home, path, progress=lambda _stage, done, _total: seen.append(done))
        assert len(seen) > 3
        assert seen == sorted(seen)
        assert seen[-1] == 300


class TestDuplicates:
    def test_the_same_file_twice_changes_nothing(self, tmp_path: Path, home: Home) -> None:
        rows = [row(n) for n in range(50)] + [row(60, event_type="nonsense")]
        path = write_ndjson(tmp_path / "a.ndjson", rows)
        take(home, path)
        before = {path: path.read_bytes() for path in home.path.rglob("*") if path.is_file()}
        report = take(home, path)
        assert (report.totals.duplicates, report.totals.quarantined) == (50, 1)
        after = {path: path.read_bytes() for path in home.path.rglob("*") if path.is_file()}
        assert after == before

    @pytest.mark.usefixtures("small_blocks")
    def test_rows_without_an_id_are_told_apart_by_their_order(self, tmp_path: Path, home: Home) -> None:
        plain = row(1, event_id=None)
        rows = [plain, row(2, event_id=None), plain, *(row(n) for n in range(3, 200)), plain, plain]
        path = write_ndjson(tmp_path / "a.ndjson", rows)
        assert take(home, path).totals.stored == len(rows)
        assert take(home, path).totals.duplicates == len(rows)
        other = write_ndjson(tmp_path / "b.ndjson", [plain, plain])
        assert take(home, other).totals.duplicates == 2
        assert take(home, other, source="elsewhere").totals.stored == 2

    @pytest.mark.usefixtures("small_blocks")
    def test_other_content_under_the_same_id(self, tmp_path: Path, home: Home) -> None:
        rows = [row(n) for n in range(200)]
        conflicting = row(7, tokens="999")
        path = write_ndjson(tmp_path / "a.ndjson", [*rows, conflicting, row(7)])
        report = take(home, path)
        assert (report.totals.stored, report.totals.duplicates, report.totals.quarantined) == (200, 1, 1)
        assert reasons(home) == [(201, "conflicting_duplicate")]
        other = write_ndjson(tmp_path / "b.ndjson", [conflicting])
        assert take(home, other).totals.quarantined == 1
        kept = dict(
            zip(*(read_events(home)[name].to_pylist() for name in ("event_id", "tokens")), strict=True)
        )
        assert kept["e7"] == 7

    def test_sources_have_ids_of_their_own(self, tmp_path: Path, home: Home) -> None:
        path = write_ndjson(tmp_path / "a.ndjson", [row(1)])
        assert take(home, path, source="one").totals.stored == 1
        assert take(home, path, source="two").totals.stored == 1

    def test_many_commits_keep_few_runs(self, tmp_path: Path, home: Home) -> None:
        paths = [
            write_ndjson(tmp_path / f"{n:02d}.ndjson", [row(n * 100 + k) for k in range(10)])
            for n in range(30)
        ]
        take(home, *paths)
        assert len(list((home.facts / "ids").iterdir())) <= 8
        assert take(home, *paths).totals.duplicates == 300


class TestClockAndSpelling:
    def test_every_bad_row_has_its_reason(self, tmp_path: Path, home: Home) -> None:
        rows = [
            row(0),
            row(1, event_type=None),
            row(2, event_type="nonsense"),
            row(3, occurred_at=None),
            row(4, occurred_at="1999-12-31T23:59:59Z"),
            row(5, occurred_at="2026-03-02T00:00:01Z"),
            row(6, occurred_at="2026-02-01T00:00:00"),
            row(7, org_id=None),
            row(8, tokens="many"),
            row(9, tokens=str(2**63)),
            row(10, cost_usd="NaN"),
        ]
        report = take(home, write_ndjson(tmp_path / "a.ndjson", rows))
        assert report.totals.stored == 1
        assert reasons(home) == [
            (2, "missing_event_type"),
            (3, "unknown_event_type"),
            (4, "missing_occurred_at"),
            (5, "timestamp_too_old"),
            (6, "timestamp_in_future"),
            (7, "timestamp_without_zone"),
            (8, "missing_org_id"),
            (9, "not_a_number"),
            (10, "number_out_of_range"),
            (11, "not_a_number"),
        ]
        assert all(one.file.endswith("a.ndjson") and one.raw for one in Quarantine(home).rows())

    def test_a_hidden_event_type_is_recognised_and_flagged(self, tmp_path: Path, home: Home) -> None:
        take(home, write_ndjson(tmp_path / "a.ndjson", [row(1, event_type="infer\u200bence"), row(2)]))
        events = read_events(home)
        assert set(events["event_type"].to_pylist()) == {"inference"}
        flags = dict(zip(events["event_id"].to_pylist(), events["hidden"].to_pylist(), strict=True))
        assert flags == {"e1": 1 << HIDDEN_FIELDS.index("event_type"), "e2": 0}

    @pytest.mark.usefixtures("small_blocks")
    def test_one_epoch_unit_a_file(self, tmp_path: Path, home: Home) -> None:
        seconds = 1_770_000_000
        rows = [row(n, occurred_at=seconds + n) for n in range(150)]
        mixed = [row(900, occurred_at=(seconds + 1) * 1000), row(901, occurred_at=(seconds + 1) * 10**6)]
        report = take(home, write_ndjson(tmp_path / "a.ndjson", [*rows, *mixed]))
        assert report.totals.stored == 150
        assert reasons(home) == [(151, "mixed_epoch_units"), (152, "mixed_epoch_units")]
        for at, scale in enumerate((1000, 10**6)):
            other = write_ndjson(tmp_path / f"{at}.ndjson", [row(1000 + at, occurred_at=seconds * scale)])
            assert take(home, other).totals.stored == 1
        assert {time.year for time in read_events(home)["occurred_at"].to_pylist()} == {2026}

    def test_late_and_unordered_rows_are_fine(self, tmp_path: Path, home: Home) -> None:
        first = write_ndjson(tmp_path / "a.ndjson", [row(1, occurred_at="2026-02-05T00:00:00Z")])
        second = write_ndjson(tmp_path / "b.ndjson", [row(2, occurred_at="2020-02-05T00:00:00Z")])
        take(home, first)
        take(home, second)
        assert FactsReader(home).latest() == read_events(home)["occurred_at"].to_pylist()[-1]


class TestSecrets:
    SECRETS = ("sk-live-0123456789abcdef", "4111 1111 1111 1111", "+1 650 253 0000")

    def test_no_raw_secret_reaches_the_disk(self, tmp_path: Path, home: Home) -> None:
        key, card, phone = self.SECRETS
        good = [row(1, api_key=key), row(2, payment_method=card), row(3, phone=phone)]
        bad = [{**one, "event_id": f"b{n}", "event_type": "nonsense"} for n, one in enumerate(good)]
        label = row(4, event_type="entity_labelled", entity_type="api_key", entity_key=key, label="abusive")
        write_ndjson(tmp_path / "a.ndjson", [*good, *bad, label, {**label, "event_id": "x", "label": "bad"}])
        with (tmp_path / "a.ndjson").open("a") as file:
            file.write('{"api_key": "' + key + '", \n')
        pq.write_table(pa.Table.from_pylist(bad), tmp_path / "b.parquet")
        (tmp_path / "c.csv").write_text(f"org_id,api_key\na,{key},more\nb,{key}\n")
        report = take(home, tmp_path / "a.ndjson", tmp_path / "b.parquet", tmp_path / "c.csv")
        assert report.totals.stored == 4
        assert report.totals.quarantined == 10
        exported = tmp_path / "export.ndjson"
        Quarantine(home).export(exported)
        for path in [exported, *home.path.rglob("*")]:
            if path.suffix == ".parquet":
                content = json.dumps(pq.ParquetFile(path).read().to_pylist(), default=str)
            elif path.is_file():
                content = path.read_text()
            else:
                continue
            for secret in self.SECRETS:
                assert secret not in content, path

    def test_a_renamed_secret_is_kept_from_quarantine_and_extra(self, tmp_path: Path, home: Home) -> None:
        text = "inputs:\n  - columns: {api_key: token}\n    events:\n      - event_type: api_key_created\n"
        text += "        columns: {api_key: token}\n      - event_type: user_added\n"
        key = self.SECRETS[0]
        rows = [row(1, token=key, event_type=None), row(2, token=key, event_type=None, occurred_at="soon")]
        take(home, write_ndjson(tmp_path / "a.ndjson", rows), mapping=parse_mapping(text, "m", "m"))
        assert key not in json.dumps(read_events(home).to_pylist(), default=str)
        (kept,) = Quarantine(home).rows()
        assert key not in kept.raw
        assert "hmac:" in kept.raw


class TestCommits:
    @pytest.mark.usefixtures("small_blocks")
    def test_large_inputs_are_committed_in_parts(
        self, tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ingest.job, "COMMIT_ROWS", 100)
        path = write_ndjson(tmp_path / "a.ndjson", (row(n) for n in range(1000)))
        report = take(home, path)
        assert report.totals.stored == 1000
        commits = FactsReader(home).commits()
        assert len(commits) > 5
        assert [commit.sequence for commit in commits] == list(range(1, len(commits) + 1))
        assert take(home, path).totals.duplicates == 1000

    def test_values_come_once_an_ingest(self, tmp_path: Path, home: Home) -> None:
        paths = [write_ndjson(tmp_path / f"{n}.ndjson", [row(n), row(n + 50)]) for n in range(3)]
        take(home, *paths)
        values = pa.concat_tables([pq.ParquetFile(path).read() for path in FactsReader(home).value_files()])
        raw = [(one["kind"], one["raw"]) for one in values.select(["kind", "raw"]).to_pylist()]
        assert len(set(raw)) == len(raw)
        assert ("user_agent", "client/1.0") in raw

    def test_a_hidden_value_is_kept_for_each_organization(self, tmp_path: Path, home: Home) -> None:
        name = "Blue\u200b Lake"
        rows = [row(n, event_type="organization_created", org_name=name) for n in range(3)]
        for one in rows:
            take(home, write_ndjson(tmp_path / f"{one['event_id']}.ndjson", [one]))
        take(home, *tmp_path.glob("e?.ndjson"), source="again")
        values = pa.concat_tables([pq.ParquetFile(path).read() for path in FactsReader(home).value_files()])
        again = [one for one in values.to_pylist() if one["raw"] == name]
        assert {one["hidden"] for one in again} == {True}
        assert len({one["organization"] for one in again}) == 3

    def test_workers_give_the_same_facts(
        self, tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ingest.pipeline, "SMALL", 0)
        monkeypatch.setattr(ingest.sources.blocks.BlockReader.__init__, "__defaults__", (b"", 1 << 16))
        rows = [row(n) for n in range(3000)] + [row(5, tokens="1"), row(3001, org_id=None), row(6)]
        path = write_ndjson(tmp_path / "a.ndjson", rows)
        other = Home(tmp_path / "other")
        here = take(other, path)
        report = take(home, path, settings=IngestSettings(workers=2))
        assert report.inputs == here.inputs
        assert read_events(home).equals(read_events(other))
        assert reasons(home) == reasons(other)

    def test_workers_give_the_same_facts_of_parquet(
        self, tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With and without ids, conflicts, columns that no row of a piece fills, and a run of ids on the disk."""
        monkeypatch.setattr(ingest.pipeline, "SMALL", 0)
        monkeypatch.setattr(ingest.sources.parquet, "BATCH_ROWS", 200)
        monkeypatch.setattr(ingest.job, "COMMIT_ROWS", 700)
        rows = [row(n, plan="trial" if n < 150 else None) for n in range(1500)]
        rows += [row(5, tokens="1"), row(6, plan="trial"), row(3001, org_id=None)]
        rows += [row(n % 7, event_id=None) for n in range(300)]
        path = tmp_path / "a.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path)
        other = Home(tmp_path / "other")
        here = take(other, path)
        report = take(home, path, settings=IngestSettings(workers=2))
        assert report.inputs == here.inputs
        assert (report.totals.stored, report.totals.duplicates, report.totals.quarantined) == (1800, 1, 2)
        assert read_events(home).sort_by("event_id").equals(read_events(other).sort_by("event_id"))
        assert reasons(home) == reasons(other)
        assert list((home.facts / ".staging").iterdir()) == []

    def test_a_worker_that_is_killed_is_said_and_a_retry_completes(
        self, tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ingest.pipeline, "SMALL", 0)
        monkeypatch.setattr(ingest.sources.parquet, "BATCH_ROWS", 200)
        path = tmp_path / "a.parquet"
        pq.write_table(pa.Table.from_pylist([row(n) for n in range(3000)]), path)

        def kill(_stage: str, _done: int, _total: int | None) -> None:
            for child in multiprocessing.active_children():
                child.kill()
                child.join()

        with pytest.raises(RingfenceError) as caught:
            take(home, path, settings=IngestSettings(workers=2), progress=kill)
        assert "worker process ended" in caught.value.message
        assert stored_ids(home) == []
        assert take(home, path).totals.stored == 3000

    def test_a_mapping_that_leaves_files_out_says_so(self, tmp_path: Path, home: Home) -> None:
        text = "inputs:\n  - match: 'a*'\nignore:\n  - {match: 'b*', because: not wanted}\n"
        a, b, c = (write_ndjson(tmp_path / f"{name}.ndjson", [row(1)]) for name in "abc")
        report = take(home, a, b, c, mapping=parse_mapping(text, "m", "m"))
        assert report.inputs[1].note == "left out: not wanted"
        assert "no entry" in (report.inputs[2].error or "")
        assert report.exit_code == 7

    def test_a_row_that_becomes_no_event_is_quarantined(self, tmp_path: Path, home: Home) -> None:
        text = (
            "inputs:\n  - events:\n    - event_type: inference\n      when: [{column: ip, present: true}]\n"
        )
        text += "    - event_type: user_added\n      when: [{column: ip, present: true}]\n"
        rows = [row(1), row(2, ip=None), row(3, org_id=None)]
        report = take(home, write_ndjson(tmp_path / "a.ndjson", rows), mapping=parse_mapping(text, "m", "m"))
        assert (report.totals.records, report.totals.rows, report.totals.stored) == (3, 4, 2)
        assert reasons(home) == [(2, "no_event"), (3, "missing_org_id")]

    def test_nothing_given_is_nothing_to_do(self, home: Home) -> None:
        with pytest.raises(RingfenceError) as caught:
            run_ingest(home, [], settings=IngestSettings(), pepper=PEPPER, arrived_at=ARRIVED)
        assert caught.value.exit_code == 3


class TestIndex:
    """The duplicate index by itself: exact, whatever the sizes."""

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_tiers_are_a_set(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        tiers, expected = SortedTiers(), {}
        for _ in range(40):
            numbers = np.unique(random.integers(0, 5000, random.integers(0, 300))).astype(np.uint64)
            found, contents = tiers.find(numbers)
            assert found.tolist() == [int(one) in expected for one in numbers]
            assert contents.tolist() == [expected.get(int(one), 0) for one in numbers]
            new = numbers[~found]
            tiers.add(new, new * np.uint64(3))
            expected.update({int(one): int(one) * 3 for one in new})
        members, contents = tiers.all()
        assert dict(zip(members.tolist(), contents.tolist(), strict=True)) == expected
        assert members.tolist() == sorted(expected)

    def test_first_appearances(self) -> None:
        prints = SeenPrints(4)
        assert prints.add_new(np.array([5, 3, 5, 10], np.uint64)).tolist() == [True, True, False, True]
        assert prints.add_new(np.array([3, 5, 10, 4], np.uint64)).tolist() == [False, False, False, True]
        assert prints.add_new(np.array([1, 0], np.uint64)).tolist() == [True, True]

    @pytest.mark.parametrize("slots", [1, 64, 1 << 16])
    def test_nothing_new_is_taken_for_known(self, slots: int) -> None:
        random = np.random.default_rng(slots)
        prints, seen = SeenPrints(slots), set()
        for _ in range(60):
            numbers = random.integers(0, 400, 50).astype(np.uint64)
            for number, fresh in zip(numbers.tolist(), prints.add_new(numbers).tolist(), strict=True):
                assert fresh or number in seen
                seen.add(number)
        prints.clear()
        assert prints.add_new(np.array([7], np.uint64)).tolist() == [True]

    def test_a_look_at_many_ids_answers_like_single_looks(self, tmp_path: Path, home: Home) -> None:
        take(home, write_ndjson(tmp_path / "a.ndjson", [row(n) for n in range(100)]))
        (run,) = (home.facts / "ids").iterdir()
        stored = pq.read_table(run)["id"].to_numpy()
        asked = np.sort(np.concatenate([stored[::3], np.array([1, 2, 3], np.uint64)]))
        writer = FactsWriter(home, "another")
        alone = [writer.find(part) for part in (asked[::2], asked[1::2], stored)]
        writer.look_up(asked)
        together = [writer.find(part) for part in (asked[::2], asked[1::2], stored)]
        writer.close()
        for one, other in zip(alone, together, strict=True):
            assert [part.tolist() for part in one] == [part.tolist() for part in other]
        assert alone[2][0].all()

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_runs_on_disk_and_their_merging(self, tmp_path: Path, seed: int) -> None:
        random = np.random.default_rng(seed)
        numbers = np.unique(random.integers(0, 2**64, 400_000, dtype=np.uint64))
        random.shuffle(numbers)
        parts = [np.sort(part) for part in np.array_split(numbers, [10, 150_000, 150_001, 320_000])]
        paths = [tmp_path / f"{n}.parquet" for n in range(len(parts))]
        for path, part in zip(paths, parts, strict=True):
            write_run(
                path,
                [(part[at : at + 60_000], ~part[at : at + 60_000]) for at in range(0, len(part), 60_000)],
            )
        merged = tmp_path / "merged.parquet"
        assert merge_runs(paths, merged) == len(numbers)
        wanted = np.sort(np.concatenate([numbers[:5000], random.integers(0, 2**64, 5000, dtype=np.uint64)]))
        for index in (StoredIds(paths), StoredIds([merged])):
            found, contents = index.find(wanted)
            assert found.tolist() == np.isin(wanted, numbers).tolist()
            assert (contents[found] == ~wanted[found]).all()
            assert len(index) == len(numbers)
        ids = pq.read_table(merged)["id"].to_numpy()
        assert (ids[1:] > ids[:-1]).all()

    def test_which_runs_are_merged(self) -> None:
        assert runs_to_merge([5] * 8) == []
        sizes: list[int] = []
        rewritten = 0
        for _ in range(500):
            sizes.append(1)
            chosen = runs_to_merge(sizes)
            rewritten += sum(sizes[at] for at in chosen)
            if chosen:
                sizes = [size for at, size in enumerate(sizes) if at not in chosen] + [
                    sum(sizes[at] for at in chosen)
                ]
            assert len(sizes) <= 8
        assert rewritten < 500 * 12

    def test_repeats_are_counted_beyond_memory(self, tmp_path: Path) -> None:
        counts = RepeatCounts(tmp_path / "repeats", most=50)
        random = np.random.default_rng(1)
        expected: dict[int, int] = {}
        for _ in range(60):
            numbers, times = np.unique(random.integers(0, 200, 40).astype(np.uint64), return_counts=True)
            repeats = Repeats(numbers, times.astype(np.uint64))
            known = {int(one): expected[int(one)] for one in numbers if int(one) in expected}
            assert counts.bases(repeats) == known
            counts.add(repeats)
            for one, more in zip(numbers.tolist(), times.tolist(), strict=True):
                expected[one] = expected.get(one, 0) + more
        counts.close()
        assert not (tmp_path / "repeats").exists()


def test_an_untouched_home_is_empty(home: Home) -> None:
    reader = FactsReader(home)
    assert (reader.commits(), reader.event_files(), reader.value_files(), reader.latest(), reader.rows()) == (
        [],
        [],
        [],
        None,
        0,
    )
    check_books(home)
