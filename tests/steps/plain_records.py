"""The records as a slow, obvious program makes them, from Python rows: what the builder must equal."""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.contract.request import Constant, FirstDate, ForecastDays, IdColumn, ItemId, Rows, Values

__all__ = ["plain_records"]

Row = dict[str, Any]


def plain_records(
    table: pa.Table, contract: ModelContract, run_date: dt.date, forecast_horizon: int
) -> tuple[dict[str, Row], dict[str, str]]:
    """Records by item id, and quarantine reasons by item id, of rows in any order."""
    history = contract.series
    items: defaultdict[str, list[Row]] = defaultdict(list)
    records: dict[str, Row] = {}
    reasons: dict[str, str] = {}
    for row in _python_rows(table):
        names = [row[name] for name in history.item_id]
        if any(name is None or name == "" for name in names):
            reasons["(null)"] = "null_key"
        else:
            items["/".join(str(name) for name in names)].append(row)
    end = run_date + dt.timedelta(days=forecast_horizon)
    for item, rows in items.items():
        dated = [row for row in rows if row[history.timestamp] is not None]
        past = sorted(
            (row for row in dated if _day(row, history.timestamp) <= run_date), key=lambda row: row[history.timestamp]
        )
        later = [row for row in dated if run_date < _day(row, history.timestamp) <= end]
        later.sort(key=lambda row: row[history.timestamp])
        if not past and len(dated) == len(rows):
            continue
        reason = _reason(rows, past, later, contract, forecast_horizon)
        if reason:
            reasons[item] = reason
        else:
            records[item] = {
                field.key: _value(field, item, past, later, contract, forecast_horizon, table.schema)
                for field in contract.record
            }
    return records, reasons


def _reason(
    rows: list[Row], past: list[Row], later: list[Row], contract: ModelContract, forecast_horizon: int
) -> str | None:
    history = contract.series
    if any(row[history.timestamp] is None for row in rows):
        return "null_key"
    if len(past) < history.min_history:
        return "too_short"
    dates = [row[history.timestamp] for row in (*past, *later)]
    if len(set(dates)) < len(dates):
        return "duplicate_date"
    cells = []
    for period, some in (("history", past), ("future", later)):
        for field in contract.row_fields(period):  # type: ignore[arg-type]
            cells += [row[column] for row in some for column in field.sources if column not in history.item_id]
    if any(isinstance(cell, int) and abs(cell) > 2**53 for cell in cells):
        return "out_of_range"
    if history.nulls == "quarantine" and any(_plain(cell) is None for cell in cells):
        return "null_cell"
    if len({_day(row, history.timestamp) for row in past}) < history.min_history:
        return "too_short"
    if contract.row_fields("future") and len({_day(row, history.timestamp) for row in later}) < forecast_horizon:
        return "missing_future"
    return None


def _value(
    field: Any,
    item: str,
    past: list[Row],
    later: list[Row],
    contract: ModelContract,
    forecast_horizon: int,
    schema: pa.Schema,
) -> Any:
    match field:
        case Constant():
            return field.json
        case ItemId():
            return item
        case IdColumn():
            return past[0][field.column]
        case FirstDate():
            return _plain(past[0][contract.series.timestamp])
        case ForecastDays():
            return forecast_horizon
        case Values():
            return [_plain(row[field.column]) for row in (past if field.period == "history" else later)]
        case Rows():
            return [
                {key: _plain(row[column]) for key, column in field.columns.items()}
                for row in (past if field.period == "history" else later)
            ]
    raise AssertionError(field)


def _python_rows(table: pa.Table) -> list[Row]:
    columns = {}
    for name in table.schema.names:
        values = table.column(name).to_pylist()
        if pa.types.is_float32(table.schema.field(name).type):
            # The shortest text of the float32, not of the double it widens to.
            values = [None if value is None else float(str(np.float32(value))) for value in values]
        columns[name] = values
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _plain(value: Any) -> Any:
    """The value as `json.loads` gives it back, floats read as decimals where the column is one."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    return value


def _day(row: Row, column: str) -> dt.date:
    value = row[column]
    return value.date() if isinstance(value, dt.datetime) else value
