"""Many short series, and runs that send several of them a request, in this process."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from command import days_until

from batchcast.engine.transform.context import TransformProgress
from batchcast.local.run import local_run, run_local
from batchcast.runs.follow import ExecutionView
from batchcast.runs.outcome import request_lines
from batchcast.runs.published import read_forecasts
from batchcast.runs.watch.run_and_wait import ProgressOf
from batchcast.steps.outcome.ledger import LedgerRow, read_ledger
from batchcast.steps.store.objects import DirectoryStore

LAST_DAY = date(2026, 11, 22)
DAYS, STEPS = 10, 2
SERVER = shlex.join([sys.executable, str(Path(__file__).with_name("many_series_model.py"))])
CONTRACT = """
[series]
item_id = ["item"]
timestamp = "date"
targets = ["sales"]
min_history = 5

[request]
items_per_request = {items}
body = '''{{"instances": $records, "steps": $horizon}}'''
record = "$target_time_series"

[outputs]
sales = "@"

[answer]
records = "predictions"
error = "error"
"""


def item_name(number: int) -> str:
    return f"item-{number:05d}"


def many_rows(items: int, bad: frozenset[int] = frozenset(), worth: float = -1.0) -> pa.Table:
    """Ten days of so many items, the values of each its number; those of `bad` are worth less than nothing."""
    numbers = [number for number in range(items) for _ in range(DAYS)]
    columns = {
        "item": [item_name(number) for number in numbers],
        "date": days_until(LAST_DAY, DAYS) * items,
        "sales": [worth if number in bad else float(number) for number in numbers],
    }
    return pa.table(columns)


@dataclass
class Seen:
    """What a person saw of a run's progress: the last count of each step."""

    progress_of: ProgressOf
    last: dict[str, TransformProgress] = field(default_factory=dict)

    def message(self, text: str) -> None:
        """Not looked at."""

    def show(self, execution: ExecutionView) -> None:
        for step in execution.steps:
            if counts := self.progress_of(execution.run_id, step):
                self.last[step.name] = counts


@dataclass(frozen=True, kw_only=True)
class ManySeriesRun:
    """A run that has ended."""

    document: Mapping[str, Any]
    seen: Mapping[str, TransformProgress]
    store: DirectoryStore

    @property
    def requests(self) -> list[str]:
        return request_lines(self.document)

    @property
    def ledger(self) -> list[LedgerRow]:
        return read_ledger(self.store.path(f"s3://batchcast/runs/{self.document['run_id']}/report/ledger.parquet"))

    @property
    def forecasts(self) -> dict[str, list[float]]:
        frame = read_forecasts("s3://batchcast/published", store=self.store)
        return {item: rows["sales"].tolist() for item, rows in frame.groupby("item_id")}


def run_many(
    folder: Path, history: Path, contract: str, model_url: str, tuning: Path | None = None, **parameters: object
) -> ManySeriesRun:
    """Run the committed pipeline on the history to its end, in a workspace below `folder`."""
    (folder / "model.toml").write_text(contract)
    values = {"ForecastHorizon": STEPS, "RunDate": LAST_DAY, **parameters}
    run = local_run(
        folder / "workspace",
        {name: str(value) for name, value in values.items()},
        history=str(history),
        contract=folder / "model.toml",
        model_url=model_url,
        tuning=tuning,
    )
    shown: list[Seen] = []

    @contextmanager
    def display(progress_of: ProgressOf) -> Iterator[Seen]:
        shown.append(Seen(progress_of))
        yield shown[-1]

    document, _ = run_local(run, display)
    return ManySeriesRun(document=document, seen=shown[0].last, store=DirectoryStore(folder / "workspace" / "s3"))


def write_rows(folder: Path, *parts: pa.Table) -> Path:
    """A Parquet file for each part."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(parts):
        pq.write_table(part, folder / f"{number}.parquet")
    return folder
