"""What a run sends does not depend on how its ids are stored, nor on which files are surveyed together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from shard_build import DAILY_CONTRACT, build, daily_rows, write_files


def plain(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    return ids


def repeated(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    return ids.dictionary_encode()


def long_offsets(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    return ids.cast(pa.large_string())


@pytest.mark.parametrize("days", [1, 10], ids=["few rows an item", "many rows an item"])
@pytest.mark.parametrize(
    "stored", [[plain] * 5, [plain, repeated, plain, repeated, long_offsets], [repeated, plain, plain, repeated, plain]]
)
def test_files_surveyed_together_give_what_one_file_gives(
    tmp_path: Path,
    stored: list[Callable[[pa.ChunkedArray], pa.ChunkedArray]],
    days: int,
) -> None:
    table = daily_rows([f"{n:02d}/ü" for n in range(30)], days)
    table = table.take(pa.array([n * 7 % table.num_rows for n in range(table.num_rows)]))
    parts = []
    for number, change in enumerate(stored):
        part = table.slice(number * table.num_rows // 5, table.num_rows // 5)
        parts.append(part.set_column(0, "item", change(part.column(0))))
    root = tmp_path / "parts"
    write_files(root / "processing/input/history", parts)
    split, whole = build(root, DAILY_CONTRACT, None), build(tmp_path / "whole", DAILY_CONTRACT, [table])
    assert (split.message, len(split.records)) == ("", 30)
    assert split.files == whole.files
