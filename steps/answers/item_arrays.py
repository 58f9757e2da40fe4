"""Arrays with a row an item, for more items than memory has room for: kept in files, and worked on block by block."""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import reduce
from pathlib import Path
from typing import IO, Any, TypeVar, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batchcast.steps.errors import DataError, Problem

Array = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]
S = TypeVar("S")
T = TypeVar("T")
N = TypeVar("N", bound=np.generic)
ByItem = npt.NDArray[Any] | range
_ITEMS_A_BLOCK = 1 << 12
_folder: ContextVar[Path | None] = ContextVar("_folder", default=None)


@contextmanager
def arrays_in(folder: Path) -> Iterator[None]:
    """What is kept meanwhile lies in files of the folder, which are no part of the memory that the step needs."""
    before = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(before)


def blocks(items: int) -> Iterator[slice]:
    """Runs of items: what is worked out of so many fits into the memory of a small machine."""
    return (slice(start, start + _ITEMS_A_BLOCK) for start in range(0, items, _ITEMS_A_BLOCK))


def each_block(function: Callable[..., T], *arrays: ByItem) -> Iterator[T]:
    """The function of each block of the arrays, in order, on all processors; of all of it where that is one block. A
    range among them tells the places of the items."""
    if len(arrays[0]) <= _ITEMS_A_BLOCK:
        yield function(*arrays)
        return
    parts = ([array[some] for array in arrays] for some in blocks(len(arrays[0])))
    yield from at_once(lambda part: function(*part), parts)


def at_once(function: Callable[[S], T], parts: Iterable[S]) -> Iterator[T]:
    """The function of each part, in order, on all processors; so few parts are made as keep them busy."""
    processors = len(os.sched_getaffinity(0))
    if processors == 1:
        yield from map(function, parts)
    else:
        with ThreadPoolExecutor(processors) as pool:
            pending: deque[Future[T]] = deque()
            for part in parts:
                pending.append(pool.submit(copy_context().run, function, part))
                if len(pending) > 2 * processors:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
    pa.default_memory_pool().release_unused()  # What was freed on the way goes back to the system.


def of_items(function: Callable[..., npt.NDArray[N]], *arrays: ByItem) -> npt.NDArray[N]:
    """The function of the arrays, whose result has at most a row an item, worked out block by block, and kept."""
    items = len(arrays[0])
    if items <= _ITEMS_A_BLOCK:
        return function(*arrays)
    first, *others = blocks(items)
    part = function(*(array[first] for array in arrays))
    found: npt.NDArray[N] = kept_array((items, *part.shape[1:]), part.dtype)
    found[: len(part)] = part

    def put(some: slice) -> slice:
        part = function(*(array[some] for array in arrays))
        found[some.start : some.start + len(part)] = part
        return slice(some.start, some.start + len(part))

    done = len(part)
    for filled in at_once(put, others):
        if filled.start != done:  # A block before it has fewer rows than items.
            found[done : done + filled.stop - filled.start] = found[filled]
        done += filled.stop - filled.start
    return found[:done]


def summed(function: Callable[..., Iterable[Any]], *arrays: ByItem) -> list[Any]:
    """The sum over all blocks of each of what the function gives."""
    return [reduce(np.add, each) for each in zip(*each_block(function, *arrays), strict=True)]


def kept_folder() -> Path | None:
    """The folder that `arrays_in` tells."""
    return _folder.get()


@overload
def kept_array(shape: tuple[int, ...], *, path: Path | None = None) -> Array: ...


@overload
def kept_array(shape: tuple[int, ...], kind: np.dtype[N] | type[N], *, path: Path | None = None) -> npt.NDArray[N]: ...


def kept_array(
    shape: tuple[int, ...], kind: np.dtype[Any] | type[np.generic] | None = None, *, path: Path | None = None
) -> npt.NDArray[Any]:
    """An array of this kind, all zeros, or else of numbers, all NaN: in a file where `arrays_in` tells a folder.

    The file ends with the array, or else has this `path`, by which other processes may open it.
    """
    folder = kept_folder()
    if folder is None or not all(shape):
        return np.full(shape, np.nan) if kind is None else np.zeros(shape, kind)
    with path.open("x+b") if path else tempfile.TemporaryFile(dir=folder) as file:
        if kind is None:  # Written, as to fill it through memory is a fault a page.
            left, some = 8 * math.prod(shape), np.full(1 << 17, np.nan).tobytes()
            while left > 0:
                left -= file.write(some[:left])
        return np.memmap(file, kind or np.float64, "r+", shape=shape).view(np.ndarray)


def kept_file() -> IO[bytes]:
    """A file in the folder that `arrays_in` tells, or in one of the system's, gone when it is closed."""
    return tempfile.NamedTemporaryFile(dir=_folder.get())


def kept_rows(parts: Iterable[pa.Table], schema: pa.Schema) -> pa.Table:
    """The rows of all parts, in chunks, kept."""
    with kept_file() as rows:
        with pa.ipc.new_file(rows, schema) as writer:
            for part in parts:
                writer.write_table(part)
        rows.flush()
        return pa.ipc.open_file(pa.memory_map(rows.name)).read_all()


def in_order(values: npt.NDArray[N]) -> npt.NDArray[N]:
    """The values sorted, NaN last; kept."""
    ordered = kept_array(values.shape, values.dtype)
    for some in blocks(len(values)):
        ordered[some] = values[some]
    ordered.sort()
    return ordered


def count_finite(values: Array) -> int:
    """How many values are neither NaN nor infinite."""
    return sum(each_block(lambda some: int(np.count_nonzero(np.isfinite(some))), values))


def finite_median(values: Array) -> float | None:
    """The median of the values that are not NaN; None without any."""
    count = count_finite(values)
    if not count:
        return None
    ordered = in_order(values)
    return float((ordered[(count - 1) // 2] + ordered[count // 2]) / 2)


def ranked(values: npt.NDArray[N], start: int, stop: int) -> Positions:
    """The places of the values that are in order from `start` to `stop`, as a stable sort has them."""
    if start >= stop:
        return np.empty(0, np.int64)
    ordered = in_order(values)
    low, high = ordered[start], ordered[stop - 1]
    left, found = stop - int(np.searchsorted(ordered, high)), []
    for some in blocks(len(values)):
        part = values[some]
        equal = np.flatnonzero(part == high)[:left]
        left -= len(equal)
        found += [np.flatnonzero((part >= low) & (part < high)) + some.start, equal + some.start]
    places = np.concatenate(found)
    return places[np.lexsort((places, values[places]))][start - stop :]


def among_first(values: npt.NDArray[N], ordered: npt.NDArray[N], count: int) -> npt.NDArray[np.bool_]:
    """Which of the values are the first `count` of the `ordered` ones, of equals the first; kept."""
    found: npt.NDArray[np.bool_] = kept_array(values.shape, np.bool_)
    if not count:
        return found
    last = ordered[count - 1]
    left = count - int(np.searchsorted(ordered, last))
    for some in blocks(len(values)):
        part = values[some]
        equal = np.flatnonzero(part == last)[:left]
        left -= len(equal)
        found[some] = part < last
        found[some][equal] = True
    return found


def kept_table(parts: Iterable[pa.Table], schema: pa.Schema, name: str) -> pa.Table:
    """The rows of all parts, kept; the texts in the column `name`, none of them null, as one array. Only where
    `arrays_in` tells a folder."""
    folder = _folder.get()
    assert folder is not None
    others = pa.schema([field for field in schema if field.name != name])
    with tempfile.NamedTemporaryFile(dir=folder) as rows:
        with pa.ipc.new_file(rows, others) as writer:

            def texts() -> Iterator[pa.Array]:
                for part in parts:
                    writer.write_table(part.select(others.names))
                    yield from part[name].chunks

            column = _kept_texts(texts(), folder)
        rows.flush()
        table = pa.ipc.open_file(pa.memory_map(rows.name)).read_all()
    return table.append_column(schema.field(name), column).select(schema.names)


def _kept_texts(parts: Iterable[pa.Array], folder: Path) -> pa.Array:
    count, size = 0, 0
    with tempfile.TemporaryFile(dir=folder) as texts, tempfile.TemporaryFile(dir=folder) as bounds:
        bounds.write(bytes(4))
        for part in parts:
            _, offsets, data = part.buffers()
            ends = np.frombuffer(offsets, np.int32)[part.offset : part.offset + len(part) + 1].astype(np.int64)
            texts.write(memoryview(data or b"")[ends[0] : ends[-1]])
            bounds.write((ends[1:] - ends[0] + size).astype(np.int32).tobytes())
            count, size = count + len(part), size + int(ends[-1] - ends[0])
            if size >= 1 << 31:
                raise DataError(Problem("id_text", f"the ids have {size:,} bytes of text.", remedy="Shorten them."))
        return pa.Array.from_buffers(pa.string(), count, [None, _mapped(bounds), _mapped(texts)])


def _mapped(file: IO[bytes]) -> pa.Buffer:
    file.flush()
    size = file.tell()
    return pa.py_buffer(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else b"")
