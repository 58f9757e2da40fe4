"""How much the records of a history will take on disk, from a look at its values, before hours go into writing them."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.contract.series import ITEM_ID_KEY
from batchcast.steps.contract.template import Period
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.history.files import ParquetHistory, read_unit

_LOOKED_AT_ROWS = 20_000
_STATIC_BYTES = 8.0  # a number or a short text: the table of static columns is not read
_PERIODS: tuple[Period, ...] = ("history", "future")
_FRAME_BYTES = 200
"""Ids, dates of the run and brackets of one record."""
SPILL_SHARE = 0.2
"""Rows in buckets take so much of the records that are made of them; measured at 2 GB of records."""
_MARGIN = 1.15
"""The look at the values may be wrong by so much."""
Numbers = npt.NDArray[np.int64]


def check_disk(
    history: ParquetHistory,
    contract: ModelContract,
    rows: Numbers,
    later: Numbers,
    directory: Path,
    *,
    hosts: int = 1,
) -> None:
    """Raises ConfigError where the records, and the rows in buckets before them, have no room in `directory`.

    The volume of a processing job holds the downloaded history as well; that is there already. Each of several `hosts`
    has a volume, and writes its share.
    """
    needed = json_bytes(history, contract, rows, later) * (1 + SPILL_SHARE) / hosts
    disk = shutil.disk_usage(directory)
    if needed <= disk.free * _MARGIN:
        return
    whole = math.ceil((disk.used + needed * _MARGIN) / 2**30)
    what = f"{len(rows):,} records will take about {needed / 1e9:,.1f} GB, and {disk.free / 1e9:,.1f} GB are free."
    remedy = f"Deploy with --volume-size-in-gb {whole}, or shorten the history with max_history in model.toml."
    raise ConfigError(Problem("disk_space", what, str(directory), remedy))


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
