"""How much there is to forecast: items, rows and bytes a record, from the ids, the dates and a look at the values."""

import tempfile
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.engine.limits import SMALLEST_MB_BYTES
from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.contract.series import ITEM_ID_KEY
from batchcast.steps.contract.template import Period
from batchcast.steps.history.files import ParquetHistory, open_history, read_unit
from batchcast.steps.history.items import count_rows, merge_items, survey_items
from batchcast.steps.history.run_date import find_axis

_LOOKED_AT_ROWS = 20_000
_STATIC_BYTES = 8.0  # a number or a short text: the table of static columns is not read
_PERIODS: tuple[Period, ...] = ("history", "future")
# Ids, dates of the run and brackets of one record.
_FRAME_BYTES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySize:
    """`rows` of history and `later` rows of the forecast days, by item; `record_mb` is the mean of the records."""

    rows: npt.NDArray[np.int64]
    later: npt.NDArray[np.int64]
    record_mb: float
    run_date: date

    @property
    def items(self) -> int:
        """Items with enough history to be forecast."""
        return len(self.rows)


def measure_history(
    directory: Path, contract: ModelContract, *, forecast_horizon: int, run_date: date | None = None
) -> HistorySize:
    """Read the ids and dates of all rows and the values of some. Raises DataError as BuildShards does."""
    history = open_history(directory, contract)
    with tempfile.TemporaryDirectory(prefix="plan-") as folder:
        units, scratch = history.units(), Path(folder)
        survey = survey_items(lambda _: None, units, contract, history, scratch)
        column = contract.series.timestamp
        kind, now = history.types[column], datetime.now(UTC)
        axis = find_axis([survey], contract.series, kind, run_date=run_date, horizon=forecast_horizon, now=now)
        counts = count_rows(lambda _: None, units, len(survey.names), column, history, axis, scratch)
    items = merge_items([survey], [counts])
    enough = items.rows >= max(1, contract.series.min_history)
    rows, later = items.rows[enough], items.later[enough]
    a_row = _row_bytes(history, contract)
    total = float(rows.sum()) * a_row.get("history", 0.0) + float(later.sum()) * a_row.get("future", 0.0)
    size = _FRAME_BYTES + (total / len(rows) if len(rows) else 0.0)
    return HistorySize(rows=rows, later=later, record_mb=size / SMALLEST_MB_BYTES, run_date=axis.run_date)


def _row_bytes(history: ParquetHistory, contract: ModelContract) -> dict[str, float]:
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
