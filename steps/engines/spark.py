"""The same passes on Spark: on the instances of SageMaker's Spark processing container, or in this process.

    survey (a partition a lane) ─▶ its item numbers, kept by Spark ─▶ count ─▶ scatter ─▶ repartition by task ─▶ write

Spark runs the tasks, keeps what lies between them, computes anew what is lost with a host, and moves the pieces of
the buckets to the hosts that write them. Every host has the history, and uploads the shards that it wrote, as the
service does with the outputs of a job on several instances. What a row is, no one but the embedded functions knows.
"""

from __future__ import annotations

import os
import re
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from batchcast.steps.container import ContainerPaths
from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.engines.spark_submit import code_path, hosts, is_submitted
from batchcast.steps.engines.spark_tasks import (
    ATTRIBUTES,
    CODES,
    PIECES,
    RESULT,
    CountTask,
    Rows,
    ScatterTask,
    SharedFiles,
    SurveyTask,
    WriteTask,
    map_batches,
    positions_file,
    unpacked,
)
from batchcast.steps.errors import BatchcastError, ConfigError, Problem, ServiceError
from batchcast.steps.history.date_axis import DateAxis
from batchcast.steps.history.files import ParquetHistory, Unit
from batchcast.steps.history.items import ItemSurvey, RowCounts
from batchcast.steps.history.numbering import codes_file
from batchcast.steps.history.partition import Numbers, Partition, bucket_tasks
from batchcast.steps.no_pandas import admit_pandas
from batchcast.steps.shards.records import BuiltRecords, RecordWriter

_TASKS_A_CORE = 3
"""Partitions of the last pass: a few a core even out what tasks differ in."""
_FETCHED_BYTES = 16 << 20
"""What the driver gets at once of what was measured: it has that some times over in memory."""
_OPTIONS = {
    # A row is megabytes here.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "16",
    # Pieces are compressed when Spark gets them.
    "spark.shuffle.compress": "false",
    "spark.shuffle.spill.compress": "false",
    "spark.sql.inMemoryColumnarStorage.compressed": "false",
    # Java's streams hold what went through them, some hundred batches, unless they are told to let go.
    "spark.serializer.objectStreamReset": "1",
    "spark.driver.maxResultSize": "0",
    "spark.sql.adaptive.enabled": "false",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
# The workers begin in the directory of whoever started this, and a package of our name may lie there.
_WORKERS = {"spark.executorEnv.PYTHONPATH": code_path(), "spark.executorEnv.PYTHONSAFEPATH": "1"}
_LOCAL = {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1", "spark.driver.memory": "2g"}
_SIGNS_OF_A_KILL = ("Python worker exited unexpectedly", "ExecutorLostFailure", "OutOfMemoryError")


@dataclass(kw_only=True)
class SparkEngine:
    """The lanes of a run on a Spark session."""

    session: Any
    hosts: int
    lanes: list[list[Unit]] = field(default_factory=list)
    scratch: Path
    _codes: Any = None

    @property
    def parallelism(self) -> int:
        """How many tasks the session runs at once, or more."""
        return int(self.session.sparkContext.defaultParallelism)

    def over(self, lanes: list[list[Unit]]) -> SparkEngine:
        """The engine with these lanes."""
        return replace(self, lanes=lanes)

    def survey(self, history: ParquetHistory, contract: ModelContract) -> list[ItemSurvey]:
        """The items of each lane; the numbers of their rows stay with Spark."""
        task = SurveyTask(lanes=self.lanes, history=history, scratch=self.scratch, contract=contract)
        numbers = self.session.range(0, len(self.lanes), 1, len(self.lanes))
        self._codes = _kept(_mapped(numbers, task.rows, CODES))
        return _in_order(self._codes)

    def count(self, history: ParquetHistory, column: str, axis: DateAxis, items: list[int]) -> list[RowCounts]:
        """The rows of each lane's items."""
        task = CountTask(lanes=self.lanes, history=history, scratch=self.scratch, axis=axis, column=column, items=items)
        return _in_order(_kept(_mapped(self._codes, task.rows, RESULT)))

    def write(
        self, writer: RecordWriter, partition: Partition, positions: list[Numbers], attributes: Mapping[str, pa.Array]
    ) -> list[BuiltRecords]:
        """Scatter the rows to buckets, and write the records of all buckets; what is measured is gathered here."""
        shared = self._share(positions, attributes)
        tasks = bucket_tasks(partition.starts, writer.shard_starts)
        scatter = ScatterTask(
            lanes=self.lanes,
            history=partition.history,
            scratch=self.scratch,
            partition=partition,
            task_of=[task for task, buckets in enumerate(tasks) for _ in buckets],
            shared=shared,
        )
        write = WriteTask(writer=writer, partition=partition, scratch=self.scratch, shared=shared)
        pieces = _mapped(self._codes, scatter.rows, PIECES)
        parts = min(len(tasks), _TASKS_A_CORE * self.parallelism)
        written = _kept(_mapped(pieces.repartition(parts, "task"), write.rows, RESULT))
        measured = np.load(writer.baseline, mmap_mode="r+")
        built = []
        for first, records, values in _results(written.repartition(1 + measured.nbytes // _FETCHED_BYTES, "number")):
            if records is None:
                measured[first : first + len(values)] = values
            else:
                built.append(records)
        written.unpersist()
        return built

    def fetch_codes(self) -> None:
        """Have the code files of all lanes lie in `scratch`."""
        units = {unit.number: unit for lane in self.lanes for unit in lane}
        if not all(codes_file(self.scratch, unit).exists() for unit in units.values()):
            for row in self._codes.select("unit", "codes").toLocalIterator():
                codes_file(self.scratch, units[row.unit]).write_bytes(row.codes)

    def _share(self, positions: list[Numbers], attributes: Mapping[str, pa.Array]) -> SharedFiles:
        shared = SharedFiles(name=uuid.uuid4().hex)
        table = pa.table(dict(attributes))
        with pa.ipc.new_file(self.scratch / f"{shared.name}-{ATTRIBUTES}", table.schema) as sink:
            sink.write_table(table)
        for lane, places in enumerate(positions):
            np.save(self.scratch / f"{shared.name}-{positions_file(lane)}", places)
        for path in self.scratch.glob(f"{shared.name}-*"):
            self.session.sparkContext.addFile(str(path))
        return shared


@contextmanager
def spark_engine(paths: ContainerPaths, scratch: Path, processes: int) -> Iterator[SparkEngine]:
    """An engine without lanes, on the session that spark-submit started this for, or on one of this process.

    Raises ConfigError where Spark cannot be used, ServiceError where it ended a task that was not to blame.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        what = f"build_engine spark needs pyspark, which this Python does not have: {error}."
        remedy = f"Install pyspark 3.5 or later and Java 17 for {sys.executable}, or use build_engine processes."
        raise ConfigError(Problem("spark", what, remedy=remedy)) from error
    admit_pandas()
    builder = SparkSession.builder.appName("batchcast").config(map=_OPTIONS | _WORKERS)
    if is_submitted():
        builder = builder.config(map=_memory())
    else:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        builder = builder.master(f"local[{processes}]").config(map=_LOCAL | {"spark.local.dir": str(scratch)})
    with _told():
        session = _started(builder)
        try:
            yield SparkEngine(session=session, hosts=len(hosts(paths)[0]) if is_submitted() else 1, scratch=scratch)
        finally:
            session.stop()


def _started(builder: Any) -> Any:
    """The session. Raises ConfigError where there is no Java for it, or one that is too old."""
    try:
        return builder.getOrCreate()
    except Exception as error:
        if "JAVA_GATEWAY_EXITED" not in str(error):
            raise
        what = "build_engine spark needs Java 17, and pyspark could start none; the log says what it tried."
        remedy = "Install Java 17, on the PATH or named by JAVA_HOME, or use build_engine processes."
        raise ConfigError(Problem("spark", what, remedy=remedy)) from error


def _memory() -> dict[str, str]:
    """Of what the image gives an executor, most for its Python workers: Spark itself only moves bytes here."""
    from pyspark import SparkConf

    names = ("spark.executor.memory", "spark.executor.memoryOverhead")
    given = [SparkConf().get(name) or "" for name in names]
    if not all(re.fullmatch(r"\d+m", text) for text in given):
        return {}
    total = sum(int(text[:-1]) for text in given)
    return dict(zip(names, (f"{total // 3}m", f"{total - total // 3}m"), strict=True))


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BatchcastError:
        raise
    except Exception as error:
        if not any(sign in str(error) for sign in _SIGNS_OF_A_KILL):
            raise
        remedy = "Most likely the memory did not suffice: use a larger ProcessingInstanceType."
        raise ServiceError(Problem("worker_killed", "a worker of Spark was killed.", remedy=remedy)) from error


def _mapped(frame: Any, rows: Rows, schema: pa.Schema) -> Any:
    names = {pa.int64(): "long", pa.binary(): "binary"}
    columns = ", ".join(f"{each.name} {names[each.type]}" for each in schema)
    return frame.mapInArrow(map_batches(rows, schema), columns)


def _kept(frame: Any) -> Any:
    """The frame, whole and on disk."""
    from pyspark import StorageLevel

    frame = frame.persist(StorageLevel.DISK_ONLY)
    frame.count()
    return frame


def _results(frame: Any) -> Iterator[Any]:
    """What the tasks returned, a partition at a time: all may be more than the driver has room for.

    Raises the error that one of them ended with.
    """
    for row in frame.where("result is not null").select("result").toLocalIterator():
        result = unpacked(row.result)
        if isinstance(result, BatchcastError):
            raise result
        yield result


def _in_order(frame: Any) -> list[Any]:
    """The results of all lanes, from a frame that is kept."""
    return [result for _, result in sorted(_results(frame), key=lambda pair: pair[0])]
