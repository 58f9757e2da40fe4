"""How much a run will take on disk, before hours go into it: its records, from a look at the values of the history, and
then its answers, with the arrays that they are checked in."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.contract.answer import Expected
from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.contract.series import ITEM_ID_KEY
from batchcast.steps.contract.template import Period
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.history.date_axis import DateAxis
from batchcast.steps.history.files import ParquetHistory, read_unit
from batchcast.steps.shards.baseline import past_steps

_LOOKED_AT_ROWS = 20_000
_STATIC_BYTES = 8.0  # a number or a short text: the table of static columns is not read
_PERIODS: tuple[Period, ...] = ("history", "future")
_FRAME_BYTES = 200
"""Ids, dates of the run and brackets of one record."""
SPILL_SHARE = 0.2
"""Rows in buckets take so much of the records that are made of them; measured at 2 GB of records."""
_VALUE_BYTES = 56
"""A forecast value in an answer, with its date and the names of both; measured with one value a day."""
_ITEM_BYTES = 400
_MERGED_ROW_BYTES = 100
"""A row of another publication beside its values: id, date, step, source and run, and its place among all rows."""
_MARGIN = 1.15
"""The look at the values may be wrong by so much."""
Numbers = npt.NDArray[np.int64]


def check_disk(
    history: ParquetHistory,
    contract: ModelContract,
    rows: Numbers,
    later: Numbers,
    axis: DateAxis,
    directory: Path,
    *,
    hosts: int = 1,
) -> None:
    """Raises ConfigError where the records, and what is written on the way to them, have no room in `directory`, or
    their answers none on a volume of that size.

    The volume of a processing job holds the downloaded history as well; that is there already. Each of several `hosts`
    has a volume, and writes its share.
    """
    steps = past_steps(axis.forecast_horizon, axis.season) + axis.forecast_horizon
    baseline = 8.0 * len(rows) * (steps + 1) * len(contract.series.targets)
    records = json_bytes(history, contract, rows, later) * (1 + SPILL_SHARE) + baseline
    disk = shutil.disk_usage(directory)
    remedy = ", or shorten the history with max_history in model.toml"
    _refuse_without_room(records / hosts, disk.used, disk.free, f"{len(rows):,} records", directory, remedy)
    needed = checked_bytes(contract, len(rows), axis.forecast_horizon, axis.season)
    what = f"the answers of {len(rows):,} records and the arrays that they are checked in"
    _refuse_without_room(needed, 0, disk.total, what, directory)


def checked_bytes(contract: ModelContract, items: int, forecast_horizon: int, season: int) -> float:
    """About the bytes on the volume of the step that checks the answers: these, and the arrays for it."""
    columns, targets = len(contract.outputs.columns), len(contract.series.targets)
    steps = past_steps(forecast_horizon, season) + forecast_horizon
    answers = _VALUE_BYTES * items * forecast_horizon * columns
    return answers + _array_bytes(items, steps, forecast_horizon, columns, targets)


def check_array_space(items: int, steps: int, expected: Expected, directory: Path, merged: int = 0) -> None:
    """Raises ConfigError where the arrays that forecasts are checked in, and as many `merged` rows of an earlier run,
    have no room in `directory`: a disk that is full would end the step without a word. `steps` are those of the
    baseline, before and after the run date."""
    needed = _array_bytes(items, steps, len(expected.dates), len(expected.columns), len(expected.targets))
    # Kept as they are until they are written, and once more as they are published.
    needed += merged * (_MERGED_ROW_BYTES + 16.0 * len(expected.columns))
    disk = shutil.disk_usage(directory)
    _refuse_without_room(needed, disk.used, disk.free, f"the forecasts of {items:,} items", directory)


def _array_bytes(items: int, steps: int, days: int, columns: int, targets: int) -> float:
    """The forecasts, and once more as they are published; history and actual values; the naive, and the last run by
    date and by step; ids, digests and what is worked out of an item."""
    return items * (8.0 * (days * (2 * columns + 3 * targets) + steps * targets) + _ITEM_BYTES)


def volume_gb(needed: float, used: float = 0.0) -> int:
    """The size of a volume with room for so many bytes and those that are used, with a margin."""
    return math.ceil((used + needed * _MARGIN) / 2**30)


def _refuse_without_room(needed: float, used: float, free: float, what: str, directory: Path, remedy: str = "") -> None:
    if needed <= free * _MARGIN:
        return
    whole = volume_gb(needed, used)
    text = f"{what} will take about {needed / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free."
    raise ConfigError(Problem("disk_space", text, str(directory), f"Deploy with --volume-size-in-gb {whole}{remedy}."))


def json_bytes(history: ParquetHistory, contract: ModelContract, rows: Numbers, later: Numbers) -> float:
    """About the bytes of records with so many `rows` of history and `later` ones."""
    a_row = _row_bytes(history, contract)
    most = contract.series.max_history
    sent = rows if most is None else np.minimum(rows, most)
    return float(
        len(rows) * _FRAME_BYTES + sent.sum() * a_row.get("history", 0.0) + later.sum() * a_row.get("future", 0.0)
    )


def _row_bytes(history: ParquetHistory, contract: ModelContract) -> Mapping[Period, float]:
    """Mean JSON bytes of one row, by period, from the first rows of the history."""
    lists = {period: contract.row_lists(period) for period in _PERIODS}
    named = {column for parts in lists.values() for part in parts for column in part.sources}
    wanted = sorted((named - {ITEM_ID_KEY, *contract.series.static}) | set(contract.series.item_id))
    unit = history.units()[0]
    table = next(iter(read_unit(unit, wanted, history.types, rows=_LOOKED_AT_ROWS))).slice(0, _LOOKED_AT_ROWS)
    widths = {name: _mean_width(table.column(name)) for name in wanted}
    widths |= dict.fromkeys(contract.series.static, _STATIC_BYTES)
    widths.setdefault(ITEM_ID_KEY, sum(widths[name] for name in contract.series.item_id))
    return {
        period: sum(part.fixed_bytes + sum(widths[column.name] for column in part.columns) for part in parts)
        for period, parts in lists.items()
    }


def _mean_width(column: pa.ChunkedArray) -> float:
    quotes = 0 if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) else 2
    texts = pc.fill_null(pc.cast(column, pa.string()), "null")
    return quotes + float(pc.mean(pc.utf8_length(texts)).as_py() or 0.0)
