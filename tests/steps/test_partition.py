"""Rows go to buckets of whole records, and from there into chunks in order of record and date."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from contract_text import contract_text
from hypothesis import given
from hypothesis import strategies as st

from batchcast.steps.contract.model_contract import parse_contract
from batchcast.steps.history.date_axis import DateAxis
from batchcast.steps.history.files import ParquetHistory, open_history
from batchcast.steps.history.numbering import codes_file
from batchcast.steps.history.partition import (
    DATE,
    POSITION,
    Partition,
    Spill,
    bucket_starts,
    bucket_tasks,
    read_bucket,
    row_bytes,
    spill_units,
)
from batchcast.steps.shards.chunk import Chunk, sorted_chunks

SCHEMA = pa.schema(
    {"item": pa.string(), "date": pa.date32(), "sales": pa.float64(), "b": pa.bool_(), "text": pa.string()}
)
ROW_BYTES = 1 << 20  # So that a bucket holds 32 rows.


@given(st.lists(st.lists(st.integers(1, 60), min_size=1, max_size=6), min_size=1, max_size=20))
def test_buckets_hold_whole_records_and_no_more_than_fits(shards: list[list[int]]) -> None:
    rows = np.array([size for shard in shards for size in shard])
    shard_starts = np.cumsum([0, *(len(shard) for shard in shards)])
    starts = bucket_starts(rows, shard_starts, ROW_BYTES)
    assert starts[0] == 0
    assert starts[-1] == len(rows)
    assert (np.diff(starts) > 0).all()
    for first, end in itertools.pairwise(starts):
        assert end - first == 1 or rows[first:end].sum() <= 32
    tasks = bucket_tasks(starts, shard_starts)
    assert [bucket for task in tasks for bucket in task] == list(range(len(starts) - 1))
    for task in tasks:
        assert starts[task.start] in shard_starts
        assert starts[task.stop] in shard_starts


@pytest.mark.parametrize(
    ("rows", "shards", "starts"),
    [
        # whole shards, up to exactly the 32 rows of a bucket
        ([10, 10, 12, 1], [0, 1, 2, 3, 4], [0, 3, 4]),
        ([30, 30, 2], [0, 1, 2, 3], [0, 1, 3]),
        ([10, 22, 1, 40, 5, 27], [0, 2, 3, 4, 6], [0, 2, 3, 4, 6]),
        # a shard that does not fit is cut between records, a record never
        ([20, 13], [0, 2], [0, 1, 2]),
        ([10, 10, 20, 40, 5], [0, 5], [0, 2, 3, 4, 5]),
        ([1, 5, 28], [0, 1, 3], [0, 1, 2, 3]),
    ],
)
def test_where_a_bucket_begins(rows: list[int], shards: list[int], starts: list[int]) -> None:
    assert bucket_starts(np.array(rows), np.array(shards), ROW_BYTES).tolist() == starts


extremes = st.sampled_from([-(2**63), -(2**62), 2**62, 2**63 - 1])
rows_of_record = st.lists(st.integers(-(2**40), 2**40) | extremes, min_size=1, max_size=8)


@given(st.lists(rows_of_record, min_size=1, max_size=6), st.integers(1, 12), st.randoms(use_true_random=False))
def test_chunks_hold_whole_records_in_order_and_rows_by_date(
    records: list[list[int]], rows: int, shuffle: random.Random
) -> None:
    pairs = [(place + 5, key) for place, keys in enumerate(records) for key in keys]
    shuffle.shuffle(pairs)
    places, keys = zip(*pairs, strict=True)
    bucket = pa.table({"value": keys, POSITION: pa.array(places, pa.int32()), DATE: keys})
    chunks = list(sorted_chunks(bucket, rows=rows))
    assert [place for chunk in chunks for place in chunk.places.tolist()] == list(range(5, 5 + len(records)))
    for chunk in chunks:
        assert len(chunk.places) == 1 or len(chunk.keys) <= rows
        assert chunk.columns["value"].to_pylist() == chunk.keys.tolist()
        for n, place in enumerate(chunk.places.tolist()):
            some = chunk.keys[chunk.starts[n] : chunk.starts[n + 1]].tolist()
            assert some == sorted(records[place - 5])
            assert (chunk.records[chunk.starts[n] : chunk.starts[n + 1]] == n).all()


def test_dates_too_far_apart_for_one_sort_key_are_sorted_all_the_same() -> None:
    keys = [2**62, -(2**62), 3, 0]
    bucket = pa.table({POSITION: pa.array([1, 0, 0, 1], pa.int32()), DATE: keys})
    (chunk,) = sorted_chunks(bucket, rows=10)
    assert chunk.keys.tolist() == [-(2**62), 3, 0, 2**62]


def test_a_chunk_can_be_cut_to_some_rows_and_some_records() -> None:
    chunk = Chunk(
        places=np.array([7, 8, 9]),
        starts=np.array([0, 2, 3, 5]),
        records=np.array([0, 0, 1, 2, 2]),
        keys=np.array([1, 2, 1, 1, 2]),
        columns={"x": pa.array(["a", "b", "c", "d", "e"])},
    )
    late = chunk.where(chunk.keys == 2)
    assert (late.places.tolist(), late.starts.tolist(), late.records.tolist()) == ([7, 8, 9], [0, 1, 1, 2], [0, 2])
    assert late.columns["x"].to_pylist() == ["b", "e"]
    some = chunk.only(np.array([True, False, True]))
    assert (some.places.tolist(), some.starts.tolist(), some.records.tolist()) == ([7, 9], [0, 2, 4], [0, 0, 1, 1])
    assert some.columns["x"].to_pylist() == ["a", "b", "d", "e"]


def history_of(folder: Path, tables: list[pa.Table], *columns: str) -> ParquetHistory:
    """A history of some files, whose `columns` the contract names."""
    folder.mkdir()
    for number, table in enumerate(tables):
        pq.write_table(table, folder / f"{number}.parquet", row_group_size=1 << 20)
    body = f'{{"item_id": $item_id, "rows": $history([{", ".join(f"${name}" for name in columns)}])}}'
    return open_history(folder, parse_contract(contract_text(body).encode()))


def day_key(number: int) -> int:
    return (date(2026, 1, number) - date(1970, 1, 1)).days


@dataclass(frozen=True, slots=True, kw_only=True)
class Spilled:
    """`rows` of the history that have a place, by place and key, as they are to be found; `told` of the progress."""

    spill: Spill
    told: list[int]
    rows: dict[tuple[int, int], str]

    def bucket(self, number: int) -> dict[tuple[int, int], str]:
        return found_rows(read_bucket(number, [self.spill]))


def spilled(folder: Path, sizes: list[int], positions: list[int], starts: list[int], *, row_bytes: int = 16) -> Spilled:
    """Spill files of these sizes: a row an item in turn, day after day; the third of January is the run date.

    The rows of the fourth are the future, those of the fifth are beyond it.
    """
    items = len(positions) - 1
    rows = [(number % items, 1 + number // items, f"r{number}") for number in range(sum(sizes))]
    begins = np.cumsum([0, *sizes]).tolist()
    files = [rows[begin:end] for begin, end in itertools.pairwise(begins)]
    tables = [
        pa.table(
            {
                "item": [f"i{item}" for item, _, _ in some],
                "date": [date(2026, 1, day) for _, day, _ in some],
                "sales": [0.0] * len(some),
                "text": [text for _, _, text in some],
            }
        )
        for some in files
    ]
    history = history_of(folder / "history", tables, "text")
    for unit, some in zip(history.units(), files, strict=True):
        np.save(codes_file(folder, unit), np.array([item for item, _, _ in some]))
    partition = Partition(
        history=history,
        axis=DateAxis(type=pa.date32(), run_date=date(2026, 1, 3), forecast_horizon=1),
        date="date",
        columns=("text",),
        row_bytes=row_bytes,
        rows=len(rows),
        starts=np.array(starts),
    )
    told: list[int] = []
    spill = spill_units(told.append, history.units(), np.array(positions), partition, folder / "spill")
    placed = {(positions[item], day_key(day)): text for item, day, text in rows if positions[item] >= 0 and day <= 4}
    return Spilled(spill=spill, told=told, rows=placed)


def found_rows(table: pa.Table) -> dict[tuple[int, int], str]:
    keys = zip(table[POSITION].to_pylist(), table[DATE].to_pylist(), strict=True)
    found = dict(zip(keys, table["text"].to_pylist(), strict=True))
    assert len(found) == table.num_rows
    return found


def test_every_row_of_the_run_is_in_the_bucket_of_its_place_and_the_first_key_after_the_future_in_none(
    tmp_path: Path,
) -> None:
    # Five items, the second one not in the run, for six days.
    made = spilled(tmp_path, [13, 17], [3, -1, 0, 2, 1, -1], [0, 1, 3, 4])
    assert set(made.spill.buckets.tolist()) == {0, 1, 2}
    assert [{place for place, _ in made.bucket(number)} for number in range(3)] == [{0}, {1, 2}, {3}]
    assert {**made.bucket(0), **made.bucket(1), **made.bucket(2)} == made.rows
    assert len(made.rows) == 16
    assert {key for _, key in made.rows} == {day_key(day) for day in range(1, 5)}
    assert made.told == [13, 17]


def test_of_the_known_rows_those_of_the_future_alone_have_a_place(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    (folder / "_future").mkdir(parents=True)
    days = [date(2026, 1, day) for day in range(1, 6)]  # The third is the run date, the fifth beyond the future.
    told = {"item": ["a"] * 5, "date": days, "text": [f"r{day.day}" for day in days]}
    pq.write_table(pa.table({**told, "sales": [0.0] * 5}), folder / "0.parquet")
    pq.write_table(pa.table(told), folder / "_future/0.parquet")
    body = '{"item_id": $item_id, "rows": $history([$sales]), "known": $future([$text])}'
    history = open_history(folder, parse_contract(contract_text(body, series='future = ["text"]').encode()))
    for unit in history.units():
        np.save(codes_file(tmp_path, unit), np.zeros(5, np.int64))
    partition = Partition(
        history=history,
        axis=DateAxis(type=pa.date32(), run_date=date(2026, 1, 3), forecast_horizon=1),
        date="date",
        columns=("text",),
        row_bytes=16,
        rows=10,
        starts=np.array([0, 1]),
    )
    found = []
    for number, unit in enumerate(history.units()):
        spill = spill_units(lambda _: None, [unit], np.array([0]), partition, tmp_path / f"{number}.spill")
        found.append(list(found_rows(read_bucket(0, [spill])).values()))
    assert found == [["r1", "r2", "r3", "r4"], ["r4"]]


def test_a_unit_is_read_in_tables_that_fit_and_each_gets_its_own_item_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchcast.steps.history.partition._TABLE_BYTES", 31)
    made = spilled(tmp_path, [18], [1, 0, -1, -1], [0, 1, 2], row_bytes=10)
    assert made.told == [4, 4, 4, 4, 2]  # Four rows of ten bytes are the fewest that fill 31.
    assert {**made.bucket(0), **made.bucket(1)} == made.rows
    only = made.spill.only(range(1, 2))
    assert set(only.buckets.tolist()) == {1}
    assert len(only.offsets) == len(only.buckets)
    assert found_rows(read_bucket(1, [only])) == made.bucket(1)
    assert set(made.spill.only(range(1)).buckets.tolist()) == {0}
    assert set(made.spill.only(range(2)).buckets.tolist()) == {0, 1}
    assert read_bucket(0, [made.spill, made.spill]).num_rows == 2 * len(made.bucket(0))


def test_a_row_is_as_wide_as_its_numbers_its_texts_and_its_place(tmp_path: Path) -> None:
    def table(rows: int, width: int) -> pa.Table:
        """The first rows have the texts that are looked at."""
        texts = ["x" * width] * min(rows, 4096) + ["x" * 9999] * (rows - 4096)
        columns = {"date": [date(2026, 1, 1)] * rows, "sales": [0.0] * rows, "b": [True] * rows, "text": texts}
        return pa.table({"item": ["i"] * rows, **columns}, schema=SCHEMA)

    some = [table(2, 10), table(5000, 20), table(2, 300), table(3, 100), table(2, 30)]
    made = history_of(tmp_path / "history", some, "b", "text")
    assert row_bytes(made, ["sales", "b"]) == 12 + 8 + 1
    wide = replace(made, types={"price": pa.decimal128(20, 2)})
    assert row_bytes(wide, ["price"]) == 12 + 16
    # The first, the middle and the last file are looked at; arrow's offsets are four bytes.
    assert row_bytes(made, ["text"]) == 12 + 4 + 4 + 300
    made = history_of(tmp_path / "two", some[:2], "b", "text")
    assert row_bytes(made, ["text", "sales"]) == 12 + 4 + 4 + 20 + 8
    assert row_bytes(history_of(tmp_path / "first", [some[3], some[0], some[4]], "text"), ["text"]) == 12 + 4 + 4 + 100
    assert row_bytes(history_of(tmp_path / "last", [some[4], some[0], some[3]], "text"), ["text"]) == 12 + 4 + 4 + 100
