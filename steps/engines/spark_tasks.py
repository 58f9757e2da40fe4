"""What Spark's workers do: the functions of the embedded engine, on rows that Spark moves and does not look into.

An error of ours is a row, too: Spark would run the task again and bury the text.
"""

from __future__ import annotations

import errno
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.errors import BatchcastError, Problem, ServiceError
from batchcast.steps.history.date_axis import DateAxis
from batchcast.steps.history.files import ParquetHistory, Unit
from batchcast.steps.history.items import count_rows, survey_items
from batchcast.steps.history.numbering import codes_file
from batchcast.steps.history.partition import Partition, bucket_tasks, scatter_units, write_spill
from batchcast.steps.shards.baseline import baseline_file
from batchcast.steps.shards.records import RecordWriter

Batches = Iterable[pa.RecordBatch]
Row = Mapping[str, Any]
Rows = Callable[[Iterator[Row]], Iterator[Row]]
"""What one pass does in each of its partitions: rows of the pass before to rows of its own."""
CODES = pa.schema([("unit", pa.int64()), ("codes", pa.binary()), ("result", pa.binary())])
RESULT = pa.schema([("number", pa.int64()), ("result", pa.binary())])
PIECES = pa.schema([("task", pa.int64()), ("bucket", pa.int64()), ("piece", pa.binary()), ("result", pa.binary())])
"""What goes from pass to pass. `result` is pickled: a value, or the error that ended the task."""
ATTRIBUTES = "attributes.arrow"
"""The file of ids and static columns at every place of the output, which every host gets."""
_BATCH_BYTES = 8 << 20
_ROW_BYTES = 1 << 20
"""What a row has of what was measured: Spark copies rows that it keeps, and doubles the room for each."""


@dataclass(frozen=True, kw_only=True)
class SharedFiles:
    """Files that every host gets, under names of this pass alone."""

    name: str

    def path(self, file: str) -> str:
        """Where the file lies on this host."""
        from pyspark import SparkFiles

        return str(SparkFiles.get(f"{self.name}-{file}"))


def map_batches(rows: Rows, schema: pa.Schema) -> Callable[[Batches], Batches]:
    """The function for mapInArrow that a task is."""

    def batches(given: Batches) -> Batches:
        try:
            yield from _batches(rows(_rows(given)), schema)
        except BatchcastError as error:
            yield _batch([{"result": pickle.dumps(error)}], schema)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            problem = Problem("disk_full", f"{error}.", remedy="Give the processing job a larger volume.")
            yield _batch([{"result": pickle.dumps(ServiceError(problem))}], schema)

    return batches


@dataclass(frozen=True, kw_only=True)
class _LaneTask:
    """Knows each lane's units, and a directory of every host for what lies between two lines of a task."""

    lanes: list[list[Unit]]
    history: ParquetHistory
    scratch: Path

    @contextmanager
    def with_codes(self, given: Iterator[Row]) -> Iterator[tuple[int, Path]]:
        """The lane of these rows, and a directory with its code files for as long as they are needed."""
        lane_of = {unit.number: (lane, unit) for lane, units in enumerate(self.lanes) for unit in units}
        with work_directory(self.scratch) as directory:
            lane = -1
            for row in given:
                lane, unit = lane_of[row["unit"]]
                codes_file(directory, unit).write_bytes(row["codes"])
            yield lane, directory


@dataclass(frozen=True, kw_only=True)
class SurveyTask(_LaneTask):
    """From a lane's number to its survey, and to the item numbers of the rows of its units."""

    contract: ModelContract

    def rows(self, given: Iterator[Row]) -> Iterator[Row]:
        """A row a unit; the first has the lane's survey."""
        for row in given:
            units = self.lanes[row["id"]]
            with work_directory(self.scratch) as directory:
                survey = survey_items(_silent, units, self.contract, self.history, directory)
                result: bytes | None = pickle.dumps((row["id"], survey))
                for unit in units:
                    codes = codes_file(directory, unit).read_bytes()
                    yield {"unit": unit.number, "codes": codes, "result": result}
                    result = None


@dataclass(frozen=True, kw_only=True)
class CountTask(_LaneTask):
    """From a lane's item numbers to the rows of its items, of which there are `items[lane]`."""

    axis: DateAxis
    column: str
    items: list[int]

    def rows(self, given: Iterator[Row]) -> Iterator[Row]:
        """One row."""
        with self.with_codes(given) as (lane, directory):
            units, items = self.lanes[lane], self.items[lane]
            found = count_rows(_silent, units, items, self.column, self.history, self.axis, directory)
        yield {"number": lane, "result": pickle.dumps((lane, found))}


@dataclass(frozen=True, kw_only=True)
class ScatterTask(_LaneTask):
    """From a lane's item numbers to the pieces of the buckets; `task_of` says which task writes a bucket."""

    partition: Partition
    task_of: list[int]
    shared: SharedFiles

    def rows(self, given: Iterator[Row]) -> Iterator[Row]:
        """A row a piece."""
        with self.with_codes(given) as (lane, directory):
            positions = np.load(self.shared.path(positions_file(lane)), mmap_mode="r")
            for bucket, piece in scatter_units(_silent, self.lanes[lane], positions, self.partition, directory):
                yield {"task": self.task_of[bucket], "bucket": bucket, "piece": piece}


@dataclass(frozen=True, kw_only=True)
class WriteTask:
    """From the pieces of some tasks' buckets to their shards, which this host keeps and uploads."""

    writer: RecordWriter
    partition: Partition
    scratch: Path
    shared: SharedFiles

    def rows(self, given: Iterator[Row]) -> Iterator[Row]:
        """A row a task, and rows of what was measured."""
        starts = self.partition.starts
        by_task = bucket_tasks(starts, self.writer.shard_starts)
        tasks: set[int] = set()
        with work_directory(self.scratch) as directory:
            spill = write_spill(directory / "spill.arrow", _noted(given, tasks))
            targets = len(self.writer.contract.series.targets)
            # As large as the run's, but sparse: only the places of these tasks are ever written.
            baseline = baseline_file(directory / "baseline.npy", int(starts[-1]), targets, self.writer.axis)
            self.writer.directory.mkdir(parents=True, exist_ok=True)
            writer = replace(self.writer, baseline=baseline)
            with pa.memory_map(self.shared.path(ATTRIBUTES)) as source:
                attributes = pa.ipc.open_file(source).read_all()
                for buckets in (by_task[task] for task in sorted(tasks)):
                    first, end = int(starts[buckets.start]), int(starts[buckets.stop])
                    some = attributes.slice(first, end - first).combine_chunks()
                    columns = {name: some[name].combine_chunks() for name in some.column_names}
                    built = writer.write(_silent, buckets, [spill.only(buckets)], first, columns)
                    yield from _measured(np.load(baseline, mmap_mode="r"), first, end)
                    yield {"number": first, "result": pickle.dumps((first, built, ()))}


def _measured(values: npt.NDArray[np.float64], first: int, end: int) -> Iterator[Row]:
    few = 1 + _ROW_BYTES // values.strides[0]
    for start in range(first, end, few):
        some = np.array(values[start : min(start + few, end)])
        yield {"number": start, "result": pickle.dumps((start, None, some))}


def positions_file(lane: int) -> str:
    """The file of the places of a lane's items in the output, which every host gets."""
    return f"positions-{lane}.npy"


def unpacked(result: bytes) -> Any:
    """What a task of this session has packed as its result."""
    return pickle.loads(result)  # noqa: S301  (no one else writes between the tasks of a session)


@contextmanager
def work_directory(scratch: Path) -> Iterator[Path]:
    """A directory of this task alone, on the host it runs on."""
    scratch.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(dir=scratch))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _noted(given: Iterator[Row], tasks: set[int]) -> Iterator[tuple[int, bytes]]:
    for row in given:
        if row["result"] is not None:
            raise unpacked(row["result"])
        tasks.add(row["task"])
        yield row["bucket"], row["piece"]


def _rows(batches: Batches) -> Iterator[Row]:
    for batch in batches:
        for n in range(batch.num_rows):
            yield {name: column[n].as_py() for name, column in zip(batch.schema.names, batch.columns, strict=True)}


def _batches(rows: Iterable[Row], schema: pa.Schema) -> Batches:
    waiting: list[Row] = []
    size = 0
    for row in rows:
        waiting.append(row)
        size += sum(len(value) for value in row.values() if isinstance(value, bytes))
        if size >= _BATCH_BYTES:
            yield _batch(waiting, schema)
            waiting, size = [], 0
    if waiting:
        yield _batch(waiting, schema)


def _batch(rows: list[Row], schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, schema)


def _silent(_: int) -> None:
    """Spark has its own lines of progress."""
