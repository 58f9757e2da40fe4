"""From a request body to an answer: read the records, forecast day by day, write one line each.

Each forecast day is predicted from the days before it, the forecast days included. A record's answer depends on the
record alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NoReturn, TypeAlias

import numpy as np

from features import KNOWN, Matrix, Panel, Vector, day_features

__all__ = ["BadRequestError", "Predict", "Record", "answer", "forecast", "read_record", "records_in"]

REQUEST_TYPE = "iterative_forecast"
TARGET = "daily_sales"
MAX_FORECAST_DAYS = 366
DECIMALS = 2
LARGEST_CELL = 1e9
Json: TypeAlias = Mapping[str, Any]
Predict: TypeAlias = Callable[[Matrix], Vector]  # features -> share of the level


class BadRequestError(ValueError):
    """The request cannot be answered; `item_id` is that of the record at fault, where it has one."""

    def __init__(self, message: str, item_id: str | None = None) -> None:
        super().__init__(message)
        self.item_id = item_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One series to forecast: a panel of one row whose last `forecast_days` sales are unknown."""

    item_id: str
    panel: Panel
    forecast_days: int


def answer(predict: Predict, body: bytes) -> str:
    """The answers to the records of a body: one JSON object a line, in the order of the records.

    Raises BadRequestError when the body holds no record, or a record that cannot be forecast.
    """
    records = [read_record(value) for value in records_in(body)]
    if not records:
        raise BadRequestError("the body is empty: send one JSON object, or one a line")
    return "\n".join(json.dumps(forecast(predict, record), allow_nan=False) for record in records)


def records_in(body: bytes) -> Iterator[Any]:
    """The JSON values of the body, which follow each other with nothing but white space between them."""
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    try:
        text = body.decode().strip()
        end = 0
        while end < len(text):
            value, end = decoder.raw_decode(text, end)
            yield value
            while end < len(text) and text[end].isspace():
                end += 1
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"the body is not JSON: {error}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value; send null where a number is unknown")


def read_record(value: Any) -> Record:
    """The record of one JSON value. Raises BadRequestError naming the key that is missing or wrong."""
    if not isinstance(value, dict):
        raise BadRequestError(f"a record must be a JSON object, not a {type(value).__name__}")
    item_id = value.get("item_id")
    if not isinstance(item_id, str) or not item_id:
        raise BadRequestError("item_id: a text is needed")
    try:
        _check_constant(value, "request_type", REQUEST_TYPE)
        _check_constant(value, "target_cols", [TARGET])
        return _read_series(item_id, value)
    except BadRequestError as error:
        raise BadRequestError(str(error), item_id) from error


def forecast(predict: Predict, record: Record) -> dict[str, Any]:
    """The answer to one record: sales of each forecast day, in pieces, rounded and never negative."""
    panel = record.panel
    sales = panel.sales.copy()
    growing = Panel(first_day=panel.first_day, sales=sales, known=panel.known)
    end = sales.shape[1]
    rows = []
    for day in range(end - record.forecast_days, end):
        features, level = day_features(growing, day)
        sales[:, day] = np.maximum(predict(features) * level, 0.0)
        when = panel.first_day + timedelta(days=day)
        rows.append({"date": when.isoformat(), TARGET: round(float(sales[0, day]), DECIMALS)})
    return {"item_id": record.item_id, "forecast": rows}


def _check_constant(value: Json, key: str, expected: object) -> None:
    if value.get(key) != expected:
        found = json.dumps(value[key])[:80] if key in value else "nothing"
        raise BadRequestError(f"{key}: this model serves {json.dumps(expected)}, not {found}")


def _read_series(item_id: str, value: Json) -> Record:
    days = value.get("forecast_days")
    if type(days) is not int or not 1 <= days <= MAX_FORECAST_DAYS:
        raise BadRequestError(f"forecast_days: a whole number from 1 to {MAX_FORECAST_DAYS} is needed, not {days!r}")
    history = _by_date(value, "historical_rows")
    future = _by_date(value, "future_rows")
    start = min(future)
    if start <= max(history):
        raise BadRequestError(f"future_rows: begin {start}, but the history ends {max(history)}")
    if len(future) != days or (max(future) - start).days != days - 1:
        found = f"{len(future)} from {start} to {max(future)}"
        raise BadRequestError(f"future_rows: {days} consecutive days are needed, a row each; found {found}")
    panel = Panel(
        first_day=min(history),
        sales=_matrix(history, "sales", min(history), max(future)),
        known={name: _matrix(history | future, name, min(history), max(future)) for name in KNOWN},
    )
    if np.isnan(panel.sales).all():
        raise BadRequestError("historical_rows: no row has a sales value")
    return Record(item_id=item_id, panel=panel, forecast_days=days)


def _by_date(value: Json, key: str) -> dict[date, Json]:
    rows = value.get(key)
    if not isinstance(rows, list) or not rows:
        raise BadRequestError(f"{key}: at least one row is needed")
    try:
        by_date = {date.fromisoformat(row["date"]): row for row in rows}
    except (TypeError, KeyError, ValueError) as error:
        raise BadRequestError(f'{key}: each row needs a "date" such as "2019-03-31" ({error})') from error
    if len(by_date) != len(rows):
        raise BadRequestError(f"{key}: {len(rows) - len(by_date)} of {len(rows)} rows repeat a date")
    return by_date


def _matrix(rows: Mapping[date, Json], name: str, first: date, last: date) -> Matrix:
    """One series: the cells called `name` in the columns of their days, NaN where there is none."""
    matrix = np.full((1, (last - first).days + 1), np.nan)
    for day, row in rows.items():
        if name not in row:
            raise BadRequestError(f"the row of {day} has no {name}")
        cell = row[name]
        if cell is not None:
            if not isinstance(cell, (int, float)) or not abs(cell) <= LARGEST_CELL:
                raise BadRequestError(f"{name} of {day}: a number up to {LARGEST_CELL:g}, a boolean or null is needed")
            matrix[0, (day - first).days] = cell
    return matrix
