"""Seeded histories for `build_shards`, rows shuffled, and the command that runs the step on one."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "fixtures")]

from contract_text import contract_text  # noqa: E402
from jobs.rivals import columns_of  # noqa: E402

FLAGS = """
--run-id benchmark000 --run-date auto --run-label benchmark --forecast-horizon 31 --transform-instance-count 20
--max-concurrent-transforms 4 --max-payload-in-mb 6 --records-per-shard 0 --systemic-failure-percent 0 --items-uri all
--resume-from none --runs-uri s3://bucket/runs --publish-uri none --processes
"""
EVENTS = ['summer "sale"', "café\\weeks", "大売り出し"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A history of items alike: how many rows each has, in so many files; `wide` adds 16 floats and four texts."""

    least_rows: int
    most_rows: int
    files: int
    hourly: bool = False
    wide: bool = False


LONG = Shape(least_rows=6_000, most_rows=10_000, hourly=True, files=14)
SHORT = Shape(least_rows=90, most_rows=90, files=3)
MANY = Shape(least_rows=30, most_rows=30, files=3)
WIDE = Shape(least_rows=90, most_rows=90, files=3, wide=True)


def make_history(shape: Shape, items: int, directory: Path) -> None:
    """Write the files. The same shape and number of items give the same rows."""
    rng = np.random.default_rng(20260101)
    rows = rng.integers(shape.least_rows, shape.most_rows + 1, items)
    item = np.repeat(np.arange(items, dtype=np.int32), rows)
    step = np.arange(rows.sum()) - np.repeat(np.cumsum(rows) - rows, rows)
    last = rows.max()
    # Every item ends on the same day; a file has the rows of one stretch of time.
    moment = last - np.repeat(rows, rows) + step
    month = moment * shape.files // last
    directory.mkdir(parents=True)
    for number in range(shape.files):
        some = rng.permutation(np.flatnonzero(month == number))
        table = _table(rng, item[some], moment[some], shape)
        pq.write_table(table, directory / f"month-{number:02d}.parquet", compression="zstd", row_group_size=1 << 18)


def _table(rng: np.random.Generator, item: np.ndarray, moment: np.ndarray, shape: Shape) -> pa.Table:
    rows = len(item)
    names = pa.array([f"store-{n % 97:02d}/product-{n:06d}" for n in range(int(item.max(initial=0)) + 1)])
    if shape.hourly:
        date = pa.array(np.datetime64("2025-01-01T00:00:00", "us") + moment * np.timedelta64(3_600_000_000, "us"))
    else:
        date = pa.array(np.datetime64("2025-01-01", "D") + moment)
    events = pa.array(EVENTS)
    more: dict[str, pa.Array] = {}
    if shape.wide:
        more = {f"feature{n:02d}": pa.array(rng.random(rows) * 100) for n in range(16)}
        more |= {f"text{n}": events.take(pa.array(rng.integers(0, 3, rows))) for n in range(4)}
    return pa.table(
        {
            "item": names.take(pa.array(item)),
            "date": date,
            "sales": pa.array(rng.integers(0, 200, rows), mask=rng.random(rows) < 0.005),
            "promo": pa.array((rng.random(rows) < 0.1).astype(np.int8)),
            "price": np.round(rng.random(rows) * 20, 2),
            "stock": rng.integers(0, 1_000, rows).astype(np.int32),
            "temp": pa.array(np.round(rng.normal(15, 8, rows), 1), mask=rng.random(rows) < 0.01),
            "event": events.take(pa.array(rng.integers(0, 3, rows), mask=rng.random(rows) < 0.97)),
            "roll7": rng.random(rows) * 40,
            **more,
        }
    )


def contract(columns: list[str]) -> str:
    """The model.toml whose rows have these columns."""
    row = ", ".join(f'"{name}": ${name}' for name in columns)
    body = f"""
{{
  "request_type": "iterative_forecast",
  "item_id": $item_id,
  "historical_rows": $history({{{row}}}),
  "forecast_days": $horizon
}}
"""
    return contract_text(body, series='nulls = "null"')


def builder(
    history: Path, output: Path, processes: int = 1, *, python: str = sys.executable, engine: str = "processes"
) -> list[str]:
    """The command that runs the step."""
    root = output / "ml"
    (root / "processing/input/contract").mkdir(parents=True)
    (root / "processing/input/history").symlink_to(history)
    (root / "processing/input/contract/model.toml").write_text(contract(columns_of(history)))
    places = ["env", f"OPT_ML={root}", f"BATCHCAST_OBJECT_STORE={output}"]
    flags = [*FLAGS.split(), str(processes), "--build-engine", engine]
    return [*places, python, "-m", "batchcast.steps", "build_shards", *flags]
