"""`[[record]]` of `model.toml`: what one request to the model looks like."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from batchcast.steps.contract.series import ITEM_ID_KEY, Series
from batchcast.steps.contract.toml_table import TomlTable

__all__ = [
    "Constant",
    "FirstDate",
    "ForecastDays",
    "IdColumn",
    "ItemId",
    "Period",
    "RecordField",
    "Rows",
    "Values",
    "read_record",
]

SOURCES = ("item_id", "id_column", "first_date", "forecast_days", "history", "future")
Period = Literal["history", "future"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """A key with the same JSON value in every record; `json` is that value's text."""

    key: str
    json: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemId:
    """A key with the item id, always a JSON string."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdColumn:
    """A key with the item's value of one of the id columns."""

    key: str
    column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstDate:
    """A key with the first date of the item's history."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastDays:
    """A key with the number of days to forecast."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A key with an array of objects, one a row, oldest first; `columns` maps JSON key to Parquet column, in order."""

    key: str
    period: Period
    columns: Mapping[str, str]

    @property
    def sources(self) -> tuple[str, ...]:
        """The Parquet columns."""
        return tuple(self.columns.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """A key with a flat array of one column, oldest first."""

    key: str
    period: Period
    column: str

    @property
    def sources(self) -> tuple[str, ...]:
        """The Parquet column."""
        return (self.column,)


RecordField = Constant | ItemId | IdColumn | FirstDate | ForecastDays | Rows | Values


def read_record(tables: list[TomlTable], series: Series) -> tuple[RecordField, ...]:
    fields: list[RecordField] = []
    for table in tables:
        key = table.text("key")
        if key in [field.key for field in fields]:
            table.problem(f"the key {key!r} is there twice.", "Give every [[record]] its own key.")
        field = _record_field(key, table, series)
        if field is not None:
            fields.append(field)
    if tables:
        _check_record(fields, tables[0])
    return tuple(fields)


def _check_record(fields: list[RecordField], table: TomlTable) -> None:
    if not any(isinstance(field, ItemId) and field.key == ITEM_ID_KEY for field in fields):
        remedy = f'Add a [[record]] with key = "{ITEM_ID_KEY}" and from = "item_id".'
        table.problem("no key carries the item id, so answers could not be matched to records.", remedy)
    if not any(isinstance(field, Rows | Values) and field.period == "history" for field in fields):
        table.problem("no key carries the history.", 'Add a [[record]] with from = "history".')


def _record_field(key: str, table: TomlTable, series: Series) -> RecordField | None:
    if "constant" in table:
        return Constant(key=key, json=_constant_json(table))
    source = table.choice("from", SOURCES, default="")
    match source:
        case "item_id":
            return ItemId(key=key)
        case "id_column":
            column = table.text("column")
            if column not in series.item_id:
                table.problem(f"{column!r} is not an id column.", f"Use one of {', '.join(series.item_id)}.")
            return IdColumn(key=key, column=column)
        case "first_date":
            return FirstDate(key=key)
        case "forecast_days":
            return ForecastDays(key=key)
        case "history" | "future":
            return _row_field(key, source, table, series)
    table.problem(f"the key {key!r} has no value.", 'Give it "constant" or "from".')
    return None


def _row_field(key: str, period: Period, table: TomlTable, series: Series) -> RecordField:
    field: Rows | Values
    if "column" in table:
        field = Values(key=key, period=period, column=table.text("column"))
    else:
        field = Rows(key=key, period=period, columns=table.mapping("columns"))
    for column in field.sources:
        if period == "future" and column in series.targets:
            remedy = "Leave it out: what is forecast is not known in the future."
            table.problem(f"the target {column!r} cannot be read from the future.", remedy)
    return field


def _constant_json(table: TomlTable) -> str:
    value = table.anything("constant")
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError):
        table.problem(f"constant = {value!r} has no JSON form.", "Use text, finite numbers, booleans, arrays, tables.")
        return "null"
