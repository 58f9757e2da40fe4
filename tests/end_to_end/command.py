"""The command line as a user starts it, and small histories to run it on."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
HISTORY = ROOT / "examples" / "bakery" / "history"
ITEMS = 12
LAST_WEEK_SERVER = shlex.join([sys.executable, str(Path(__file__).with_name("last_week_model.py"))])
LAST_WEEK = ("--model-command", f"{LAST_WEEK_SERVER} {{port}}")
"""The model of runs on a history that is not the sample's own: the last week once more."""
FIRST_DAY, RUN_DATE, LAST_DAY = date(2018, 12, 1), date(2019, 3, 30), date(2019, 4, 30)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """What `--json` printed."""
        loaded: dict[str, Any] = json.loads(self.stdout)
        return loaded


def command_line(*arguments: str) -> list[str]:
    """The command as the README writes it, with this interpreter."""
    return [sys.executable, str(ROOT / "run_pipeline.py"), *arguments]


def small_bakery() -> pa.Table:
    """ITEMS series of the sample, stores 2 to 5, from December 2018 to April 2019, future rows included."""
    return ds.dataset(HISTORY).to_table(filter=(pc.field("date") >= FIRST_DAY) & (pc.field("store") <= 5))


def item_rows(like: pa.Table, store: int, days: list[date]) -> pa.Table:
    """Rows of one more series, product 1, on these days, shaped like the bakery's."""
    columns: dict[str, list[Any]] = {name: [0] * len(days) for name in like.column_names}
    columns |= {"store": [store] * len(days), "product": [1] * len(days), "date": days, "sales": [5.0] * len(days)}
    arrays = [pa.array(columns[field.name]).cast(field.type) for field in like.schema]
    return pa.Table.from_arrays(arrays, schema=like.schema)


def days_until(last: date, count: int) -> list[date]:
    """So many days in a row, the last one included."""
    return [last - timedelta(days=back) for back in range(count - 1, -1, -1)]


def write_history(directory: Path, table: pa.Table) -> Path:
    """Two Parquet files, every series in both."""
    directory.mkdir(parents=True)
    half = table.num_rows // 2
    pq.write_table(table.slice(0, half), directory / "a.parquet")
    pq.write_table(table.slice(half), directory / "b.parquet")
    return directory
