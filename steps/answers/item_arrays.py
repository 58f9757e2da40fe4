"""Arrays with a row an item, for more items than memory has room for: kept in files, and worked on block by block."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Array = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]
T = TypeVar("T")
_ITEMS_A_BLOCK = 1 << 14
_NEAR = 1_000


def blocks(items: int) -> Iterator[slice]:
    """Runs of items: what is worked out of so many fits into the memory of a small machine."""
    return (slice(start, start + _ITEMS_A_BLOCK) for start in range(0, items, _ITEMS_A_BLOCK))


def each_block(function: Callable[..., T], *arrays: npt.NDArray[np.generic]) -> list[T]:
    """The function of each block of the arrays, in order, on all processors; of all of it where that is one block."""
    if len(arrays[0]) <= _ITEMS_A_BLOCK:
        return [function(*arrays)]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        parts = ([array[some] for array in arrays] for some in blocks(len(arrays[0])))
        return list(pool.map(lambda part: function(*part), parts))


def of_items(function: Callable[..., npt.NDArray[T]], *arrays: npt.NDArray[np.generic]) -> npt.NDArray[T]:  # type: ignore[type-var]
    """The function of the arrays, whose result has a row an item, worked out block by block."""
    return np.concatenate(each_block(function, *arrays))


def kept_array(scratch: Path | None, shape: tuple[int, ...], *, filled: bool = True) -> Array:
    """An array of NaN, or of anything, in a file of the directory, which is no part of the memory that the step needs.

    The file has no name and ends with the array. Without a directory the array is in memory.
    """
    if scratch is None or not all(shape):
        return np.full(shape, np.nan)
    with tempfile.TemporaryFile(dir=scratch) as file:
        found = np.memmap(file, np.float64, "w+", shape=shape).view(np.ndarray)
    for some in blocks(len(found)) if filled else ():
        found[some] = np.nan
    return found


class ItemNames(Sequence[str]):
    """A column of texts, each made when it is asked for."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._column = column.combine_chunks()

    def __len__(self) -> int:
        return len(self._column)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        found: str | list[str] = (
            self._column[place].to_pylist() if isinstance(place, slice) else self._column[place].as_py()
        )
        return found

    def places(self, names: Sequence[str]) -> list[int]:
        """Where each of these is, those left out that are nowhere."""
        found: list[int] = pc.index_in(pa.array(names, pa.string()), value_set=self._column).drop_null().to_pylist()
        return found


class ItemPlaces:
    """The places of items in a sorted column, asked for in about that order."""

    def __init__(self, item_ids: pa.ChunkedArray) -> None:
        self._ids, self._next = item_ids.combine_chunks(), 0

    def of(self, column: pa.ChunkedArray) -> Positions:
        """The place of each value of a column of dictionaries, -1 for a stranger."""
        parts = [self._find(part.dictionary)[part.indices.to_numpy()] for part in column.chunks]
        return np.concatenate([*parts, np.empty(0, np.int64)])

    def _find(self, names: pa.Array) -> Positions:
        near = self._ids.slice(self._next, 2 * len(names) + _NEAR)
        found = pc.index_in(names, value_set=near)
        if found.null_count:
            near, found = self._ids, pc.index_in(names, value_set=self._ids)
        start = near.offset - self._ids.offset
        places: Positions = found.fill_null(-1 - start).to_numpy().astype(np.int64) + start
        self._next = max(int(places.max(initial=0)), 0)
        return places
