"""The records as a slow, obvious program makes them, from Python rows: what the builder must equal."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from batchcast.steps.contract.model_contract import ModelContract

__all__ = ["plain_records"]

NAME = r"\$(?:(\w+)|\{([^}]+)\})"

Row = dict[str, Any]


def plain_records(
    table: pa.Table, contract: ModelContract, template: str, run_date: dt.date, forecast_horizon: int
) -> tuple[dict[str, str], dict[str, str]]:
    """The text of every record by item id, and quarantine reasons by item id, of rows in any order."""
    history = contract.series
    items: defaultdict[str, list[Row]] = defaultdict(list)
    records: dict[str, str] = {}
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
        reason = _reason(rows, past, later, contract, run_date, forecast_horizon)
        if reason:
            reasons[item] = reason
        else:
            records[item] = _rendered(template, item, past, later, contract, forecast_horizon, table.schema)
    return records, reasons


def _reason(
    rows: list[Row],
    past: list[Row],
    later: list[Row],
    contract: ModelContract,
    run_date: dt.date,
    forecast_horizon: int,
) -> str | None:
    history = contract.series
    if any(row[history.timestamp] is None for row in rows):
        return "null_key"
    if len(past) < history.min_history:
        return "too_short"
    dates = [row[history.timestamp] for row in (*past, *later)]
    if len(set(dates)) < len(dates):
        return "duplicate_date"
    if any(_off_grid(when) for when in dates):
        return "off_grid"
    own = {*history.item_id, "item_id"}
    cells = []
    for period, some in (("history", past), ("future", later)):
        for part in contract.row_lists(period):  # type: ignore[arg-type]
            cells += [row[column] for row in some for column in part.sources if column not in own]
    if any(isinstance(cell, int) and abs(cell) > 2**53 for cell in cells):
        return "out_of_range"
    if history.nulls == "quarantine" and any(_plain(cell) is None for cell in cells):
        return "null_cell"
    sent = past if history.nulls != "drop" else _measured(past, history.targets)
    if len({_day(row, history.timestamp) for row in sent}) < history.min_history:
        return "too_short"
    if contract.row_lists("future") and len({_day(row, history.timestamp) for row in later}) < forecast_horizon:
        return "missing_future"
    if history.fill is None and (run_date - _day(past[0], history.timestamp)).days + 1 != len(past):
        return "gap"
    return None


def _measured(rows: list[Row], targets: Sequence[str]) -> list[Row]:
    return [row for row in rows if all(_plain(row[name]) is not None for name in targets)]


def _off_grid(when: dt.date) -> bool:
    return isinstance(when, dt.datetime) and when.time() != dt.time(0)


def _rendered(
    template: str,
    item: str,
    past: list[Row],
    later: list[Row],
    contract: ModelContract,
    forecast_horizon: int,
    schema: pa.Schema,
) -> str:
    """The template, written without blanks, with every placeholder replaced by text."""
    day = contract.series.timestamp
    if contract.series.nulls == "drop":
        past = _measured(past, contract.series.targets)

    def text(row: Row, column: str) -> str:
        value = "/".join(str(row[name]) for name in contract.series.item_id) if column == "item_id" else row[column]
        if column in contract.series.targets and _plain(value) is None:
            return {"zero": "0.0", "nan": '"NaN"'}.get(contract.series.nulls, "null")
        return _text(value, schema.field(column).type if column in schema.names else pa.string())

    def row_text(row: Row, shape: str) -> str:
        return re.sub(NAME, lambda name: text(row, name[1] or name[2]), shape)

    def rows(match: re.Match[str]) -> str:
        some = {"history": past, "future": later, "both": [*past, *later]}[match[1]]
        return f"[{','.join(row_text(row, match[2]) for row in some)}]"

    def value(match: re.Match[str]) -> str:
        match match[1]:
            case "item_id":
                return json.dumps(item, ensure_ascii=False)
            case "start_time":
                return text(past[0], day)
            case "end_time":
                return text(past[-1], day)
            case "horizon":
                return str(forecast_horizon)
        return text(past[0], match[1] or match[2])

    # Rows hold values, which may look like placeholders, so these go first and the two are put together at the end.
    pieces = re.split(r"(\$(?:history|future|both)\([^()]*\))", template)
    return "".join(
        re.sub(r"\$(history|future|both)\(([^()]*)\)", rows, piece) if number % 2 else re.sub(NAME, value, piece)
        for number, piece in enumerate(pieces)
    )


def _text(value: Any, kind: pa.DataType) -> str:
    """The JSON text of one value."""
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False)
        case bool():
            return str(value).lower()
        case dt.datetime():
            # Nanoseconds are beyond Python; the histories here have none.
            digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[kind.unit]
            fraction = f".{value.microsecond:06d}000"[: digits + 1] if value.microsecond else ""
            return f'"{value.replace(microsecond=0).isoformat()}{fraction}"'
        case dt.date():
            return f'"{value.isoformat()}"'
        case float():
            if not math.isfinite(value):
                return "null"
            # The shortest text, of which a number has one or two; a point or an exponent says that it is a float.
            text = str(pa.array([value], kind).cast(pa.string())[0].as_py())
            assert float(text) == value or float(np.float32(text)) == value
            return text if {*text} & {*".e"} else f"{text}.0"
    return "null" if value is None else str(value)


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
