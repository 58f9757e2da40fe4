"""The shuffle that BuildShards wants of an engine, on Spark, Ray Data and Daft: what each takes for it.

Each of TASKS tasks has a piece of 60,000 random bytes for each of 256 buckets, as a pass over the history scatters its
rows; the pieces of a bucket are brought together, counted and digested. Prints pieces, bytes and the sum of digests,
which must be those of `floor` (no shuffle at all), then seconds of processor and the largest memory of all processes.

    python -m venv /tmp/shuffles && /tmp/shuffles/bin/pip install pyspark==3.5.9 'ray[data]==2.60.0' daft==0.7.26 pandas
    /tmp/shuffles/bin/python benchmarks/jobs/shuffles.py TASKS       # 64 tasks are 1 GB; Java 17 for Spark
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

BUCKETS, PIECE_BYTES, PARTITIONS, PROCESSORS = 256, 60_000, 16, 2
AT_ONCE = 32
"""Pieces that a task gives up together."""
SCHEMA = pa.schema({"bucket": pa.int64(), "piece": pa.binary()})
FOUND = pa.schema({"bucket": pa.int64(), "pieces": pa.int64(), "bytes": pa.int64(), "digest": pa.int64()})
Found = Sequence[Sequence[int]]
"""Rows of FOUND."""


def pieces(task: int) -> Iterator[pa.RecordBatch]:
    """A piece for each bucket."""
    random = np.random.default_rng(task)
    for first in range(0, BUCKETS, AT_ONCE):
        some = range(first, first + AT_ONCE)
        texts = [random.bytes(PIECE_BYTES) for _ in some]
        yield pa.RecordBatch.from_arrays([pa.array(some, pa.int64()), pa.array(texts, pa.binary())], schema=SCHEMA)


def found(batches: Iterable[pa.RecordBatch | pa.Table]) -> Found:
    """What came together, by bucket."""
    sums: dict[int, list[int]] = {}
    for batch in batches:
        for bucket, piece in zip(batch["bucket"].to_pylist(), batch["piece"], strict=True):
            text = piece.as_buffer()
            one = sums.setdefault(bucket, [0, 0, 0])
            one[:] = one[0] + 1, one[1] + len(text), one[2] + digest(text)
    return [(bucket, *one) for bucket, one in sums.items()]


def digest(text: bytes | pa.Buffer) -> int:
    """Four bytes of it, so that the sum of all fits a column."""
    return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest())


def found_table(batches: Iterable[pa.RecordBatch | pa.Table]) -> pa.Table:
    columns = [list(column) for column in zip(*found(batches), strict=True)]
    return pa.table(columns or [[]] * len(FOUND), schema=FOUND)


def floor(tasks: int, folder: str) -> Found:  # noqa: ARG001
    """Made, counted and digested in one process, with nothing moved."""
    return [row for task in range(tasks) for row in found(pieces(task))]


def spark(tasks: int, folder: str) -> Found:
    """As steps/engines/spark.py has it: `repartition` by bucket between two `mapInArrow`."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": "2g",
        "spark.sql.execution.arrow.maxRecordsPerBatch": AT_ONCE,
        "spark.sql.adaptive.enabled": "false",
        "spark.local.dir": folder,
    }
    session = SparkSession.builder.master(f"local[{PROCESSORS}]").config(map=settings).getOrCreate()

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for task in batch["id"].to_pylist():
                yield from pieces(task)

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from found_table(batches).to_batches()

    made = session.range(0, tasks, 1, tasks).mapInArrow(make, "bucket long, piece binary")
    counted = made.repartition(PARTITIONS, "bucket").mapInArrow(
        count, "bucket long, pieces long, bytes long, digest long"
    )
    return [tuple(row) for row in counted.collect()]


def ray(tasks: int, folder: str) -> Found:
    """Ray Data's hash shuffle, with half a gigabyte of its object store before it spills."""
    import ray as engine

    engine.init(
        num_cpus=PROCESSORS, include_dashboard=False, object_store_memory=500_000_000, _temp_dir=f"{folder}/ray"
    )

    def make(table: pa.Table) -> Iterator[pa.Table]:
        for task in table["id"].to_pylist():
            for batch in pieces(task):
                yield pa.Table.from_batches([batch])

    def count(table: pa.Table) -> pa.Table:
        return found_table([table])

    made = engine.data.range(tasks, override_num_blocks=tasks)
    made = made.map_batches(make, batch_format="pyarrow", batch_size=None).repartition(PARTITIONS, keys=["bucket"])
    rows = made.map_batches(count, batch_format="pyarrow", batch_size=None).take_all()
    return [tuple(row[name] for name in FOUND.names) for row in rows]


def daft(tasks: int, folder: str) -> Found:  # noqa: ARG001
    """Daft's own runner, of one machine; on several it runs on Ray."""
    import daft as engine

    whole = engine.DataType.int64()
    piece = engine.DataType.struct({"bucket": whole, "piece": engine.DataType.binary()})
    sums = engine.DataType.struct({"pieces": whole, "bytes": whole, "digest": whole})

    @engine.func.batch(return_dtype=engine.DataType.list(piece))
    def make(column: engine.Series) -> list[list[dict[str, object]]]:
        return [[row for batch in pieces(task) for row in batch.to_pylist()] for task in column.to_pylist()]

    @engine.func.batch(return_dtype=sums)
    def count(column: engine.Series) -> list[dict[str, int]]:
        return [
            {"pieces": len(texts), "bytes": sum(map(len, texts)), "digest": sum(map(digest, texts))}
            for texts in column.to_pylist()
        ]

    made = engine.from_pydict({"task": list(range(tasks))}).into_batches(1)
    made = made.select(make(engine.col("task")).alias("made")).explode("made")
    made = made.select(*(engine.col("made")[name].alias(name) for name in SCHEMA.names))
    together = made.groupby("bucket").agg(engine.col("piece").list_agg()).into_batches(1)
    rows = together.select(engine.col("bucket"), count(engine.col("piece")).alias("sums")).to_pydict()
    return [(bucket, *one.values()) for bucket, one in zip(rows["bucket"], rows["sums"], strict=True)]


ENGINES = (floor, spark, ray, daft)


def tree(root: int) -> list[int]:
    """The process and all below it."""
    pids = [root]
    for pid in pids:
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                pids += map(int, (task / "children").read_text().split())
        except OSError:
            continue  # It has ended.
    return pids


def measured(command: Sequence[str]) -> tuple[float, int]:
    """Seconds of processor of every process that was seen, because servers outlive who started them; peak of memory,
    where what they share counts once."""
    ticks: dict[int, int] = {}
    peak = 0
    process = subprocess.Popen(command)
    while process.poll() is None:
        kilobytes = shared = 0
        for pid in tree(process.pid):
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            except OSError:
                continue
            ticks[pid] = int(fields[11]) + int(fields[12])
            of = dict(line.split(":", 1) for line in lines)
            kilobytes += int(of.get("RssAnon", "0").split()[0])
            shared = max(shared, int(of.get("RssShmem", "0").split()[0]))
        peak = max(peak, (kilobytes + shared) * 1024)
        time.sleep(0.05)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return sum(ticks.values()) / os.sysconf("SC_CLK_TCK"), peak


def main() -> None:
    tasks, *name = sys.argv[1:]
    if name:
        with tempfile.TemporaryDirectory() as folder:
            rows = {engine.__name__: engine for engine in ENGINES}[name[0]](int(tasks), folder)
            print(name[0], *(sum(row[column] for row in rows) for column in (1, 2, 3)), flush=True)
        return
    for engine in ENGINES:
        seconds, peak = measured([sys.executable, __file__, tasks, engine.__name__])
        print(f"{engine.__name__}: {seconds:.1f} s of processor, {peak / 1e9:.2f} GB", flush=True)


if __name__ == "__main__":
    main()
