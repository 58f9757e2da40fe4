"""How much there is to forecast: items, rows and bytes a record, from the ids, the dates and a look at the values."""

import tempfile
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from batchcast.engine.limits import SMALLEST_MB_BYTES
from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.history.disk_space import json_bytes
from batchcast.steps.history.files import open_history
from batchcast.steps.history.items import count_rows, merge_items, survey_items
from batchcast.steps.history.run_date import find_axis


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySize:
    """`rows` of history and `later` rows of the forecast days, by item; `record_mb` is the mean of the records."""

    rows: npt.NDArray[np.int64]
    later: npt.NDArray[np.int64]
    record_mb: float

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
        counts = count_rows(lambda _: None, units, len(survey.last), column, history, axis, scratch)
    items = merge_items([survey], [counts])
    enough = items.rows >= max(1, contract.series.min_history)
    rows, later = items.rows[enough], items.later[enough]
    size = json_bytes(history, contract, rows, later) / max(len(rows), 1)
    return HistorySize(rows=rows, later=later, record_mb=size / SMALLEST_MB_BYTES)
