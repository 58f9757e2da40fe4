"""The names of items, for more than there is memory for as Python's texts: a column of texts, and places in it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.answers.item_arrays import Positions, blocks


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """The column without its chunks; no copy where there is only one."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


class ItemNames(Sequence[str]):
    """A column of texts, each made when it is asked for."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._column = one_array(column)

    def __len__(self) -> int:
        return len(self._column)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        found = self._column[place]
        names: str | list[str] = found.to_pylist() if isinstance(place, slice) else found.as_py()
        return names

    def at(self, places: Sequence[int]) -> list[str]:
        """The texts at these places."""
        names: list[str] = self._column.take(pa.array(places, pa.int64())).to_pylist()
        return names

    def places(self, names: Sequence[str]) -> list[int]:
        """Where each of these is, those left out that are nowhere."""
        wanted, found = pa.array(names, pa.string()), dict[int, int]()
        for some in blocks(len(self._column)) if names else ():
            number = pc.index_in(self._column[some], value_set=wanted)
            here = np.flatnonzero(number.is_valid()).tolist()
            found |= zip(number.drop_null().to_pylist(), (some.start + place for place in here), strict=True)
        return [found[number] for number in sorted(found)]


class ItemPlaces:
    """The places of items in a sorted column."""

    def __init__(self, item_ids: pa.ChunkedArray) -> None:
        self._ids, self._names = one_array(item_ids), ItemNames(item_ids)

    def of(self, column: pa.ChunkedArray) -> Positions:
        """The place of each value of a column of dictionaries, -1 for a stranger."""
        parts = [self._find(part.dictionary)[part.indices.to_numpy()] for part in column.chunks]
        return np.concatenate([*parts, np.empty(0, np.int64)])

    def before(self, names: pa.Array) -> tuple[Positions, npt.NDArray[np.bool_]]:
        """How many items come before each of these texts, and which of the texts are items."""
        low, high = np.zeros(len(names), np.int64), np.full(len(names), len(self._ids))
        if not len(self._ids):
            return low, high > 0

        def items(place: Positions) -> pa.Array:
            return self._ids.take(pa.array(np.minimum(place, len(self._ids) - 1)))

        while (left := low < high).any():
            middle = (low + high) // 2
            less = pc.less(items(middle), names).to_numpy(zero_copy_only=False)
            low, high = np.where(left & less, middle + 1, low), np.where(left & ~less, middle, high)
        return low, pc.equal(items(low), names).to_numpy(zero_copy_only=False)

    def start_of(self, names: pa.Array) -> int | None:
        """The place of the first of these texts where they are items that stand together in this order."""
        start = bisect_left(self._names, names[0].as_py())
        return start if names.equals(self._ids[start : start + len(names)]) else None

    def _find(self, names: pa.Array) -> Positions:
        bounds = pc.min_max(names).as_py()
        if bounds["min"] is None:
            return np.full(len(names), -1)
        start, stop = bisect_left(self._names, bounds["min"]), bisect_right(self._names, bounds["max"])
        found = pc.index_in(names, value_set=self._ids[start:stop])
        places: Positions = found.fill_null(-1 - start).to_numpy().astype(np.int64) + start
        return places
