from __future__ import annotations

import itertools
import random

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from batchcast.steps.history.partition import DATE, POSITION, bucket_starts, bucket_tasks
from batchcast.steps.shards.chunk import Chunk, sorted_chunks

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
