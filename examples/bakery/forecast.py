"""From a request body to an answer: read the records, forecast day by day, write one line each.

Each forecast day is predicted from the days before it, the forecast days included. A record's answer depends on the
record alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from features import KNOWN, Panel, day_features

__all__ = ["BadRequestError", "Model", "Record", "answer", "forecast", "read_record", "records_in"]

REQUEST_TYPE = "iterative_forecast"
TARGET = "daily_sales"
MAX_FORECAST_DAYS = 366
DECIMALS = 2
Json = Mapping[str, Any]


class Model(Protocol):
    """What is used of a LightGBM Booster."""

    def predict(self, data: NDArray[np.float64], *, num_threads: int) -> NDArray[np.float64]: ...


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


def answer(model: Model, body: bytes) -> str:
    """The answers to the records of a body: one JSON object a line, in the order of the records.

    Raises BadRequestError when the body holds no record, or a record that cannot be forecast.
    """
    records = [read_record(value) for value in records_in(body)]
    if not records:
        raise BadRequestError("the body is empty: send one JSON object, or one a line")
    return "\n".join(json.dumps(forecast(model, record), allow_nan=False) for record in records)


def records_in(body: bytes) -> Iterator[Any]:
    """The JSON values of the body, which follow each other with nothing but white space between them."""

    def refuse(constant: str) -> float:
        raise BadRequestError(f"the body holds {constant}, which is not JSON: send null where a value is unknown")

    decoder = json.JSONDecoder(parse_constant=refuse)
    try:
        text = body.decode().strip()
        end = 0
        while end < len(text):
            value, end = decoder.raw_decode(text, end)
            yield value
            while end < len(text) and text[end].isspace():
                end += 1
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise BadRequestError(f"the body is not JSON: {error}") from error


def read_record(value: Any) -> Record:
    """The record of one JSON value. Raises BadRequestError naming the key that is missing or wrong."""
    if not isinstance(value, dict):
        raise BadRequestError(f"a record must be a JSON object, not {json.dumps(value)[:40]}")
    item_id = value.get("item_id")
    if not isinstance(item_id, str) or not item_id:
        raise BadRequestError("item_id: a text is needed")
    try:
        _check_constant(value, "request_type", REQUEST_TYPE)
        _check_constant(value, "target_cols", [TARGET])
        return _read_series(item_id, value)
    except BadRequestError as error:
        raise BadRequestError(str(error), item_id) from error


def forecast(model: Model, record: Record) -> dict[str, Any]:
    """The answer to one record: sales of each forecast day, in pieces, rounded and never negative."""
    panel = record.panel
    sales = panel.sales.copy()
    growing = Panel(first_day=panel.first_day, sales=sales, known=panel.known)
    end = sales.shape[1]
    rows = []
    for day in range(end - record.forecast_days, end):
        features, level = day_features(growing, day)
        share = model.predict(features, num_threads=1)
        sales[:, day] = np.maximum(share * level, 0.0)
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
    wanted = {start + timedelta(days=step) for step in range(days)}
    if wanted != future.keys():
        raise BadRequestError(
            f"future_rows: {days} consecutive days are needed, one row each; found {len(future)} from {start} to {max(future)}"
        )
    first_day = min(history)
    length = (max(future) - first_day).days + 1
    sales = _column(history, "historical_rows", "sales", first_day, length)
    if np.isnan(sales).all():
        raise BadRequestError("historical_rows: no row has a sales value")
    known = {
        name: np.fmax(
            _column(history, "historical_rows", name, first_day, length),
            _column(future, "future_rows", name, first_day, length),
        )
        for name in KNOWN
    }
    return Record(item_id=item_id, panel=Panel(first_day=first_day, sales=sales, known=known), forecast_days=days)


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


def _column(rows: Mapping[date, Json], key: str, name: str, first_day: date, length: int) -> NDArray[np.float64]:
    column = np.full((1, length), np.nan)
    try:
        for day, row in rows.items():
            column[0, (day - first_day).days] = _number(row[name])
    except KeyError as error:
        raise BadRequestError(f"{key}: the row of {day} has no {error}") from error
    except TypeError as error:
        raise BadRequestError(f"{key}: {name} of {day} must be a number, true, false or null") from error
    return column


def _number(cell: Any) -> float:
    if cell is None:
        return math.nan
    if not isinstance(cell, (int, float)):
        raise TypeError
    return float(cell)
