"""Reads `model.toml`. Nothing unknown is ignored: every problem of the file is found and all are raised together."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

from batchcast.steps.contract.model_contract import (
    ITEM_ID_KEY,
    PUBLISHED_COLUMNS,
    Answer,
    Checks,
    Constant,
    FirstDate,
    ForecastDays,
    History,
    IdColumn,
    ItemId,
    ModelContract,
    Period,
    RecordField,
    Rows,
    Values,
)
from batchcast.steps.contract.toml_table import TomlTable
from batchcast.steps.errors import ConfigError, Problem

__all__ = ["CONTRACT_FILE", "parse_contract", "read_contract"]

CONTRACT_FILE = "model.toml"
SOURCES = ("item_id", "id_column", "first_date", "forecast_days", "history", "future")


def read_contract(path: Path) -> ModelContract:
    """The contract of the file. Raises ConfigError with every problem found in it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        remedy = "Deploy the pipeline with a contract file."
        raise ConfigError(Problem("contract_missing", f"cannot be read: {error}.", str(path), remedy)) from error
    return parse_contract(data, where=path.name)


def parse_contract(data: bytes, *, where: str = CONTRACT_FILE) -> ModelContract:
    """The contract of the file's bytes. Raises ConfigError with every problem found in them."""
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        remedy = "Correct the TOML."
        raise ConfigError(Problem("contract_syntax", f"is not TOML in UTF-8: {error}.", where, remedy)) from error
    root = TomlTable(document, where)
    history = _history(root.table("history"))
    contract = ModelContract(
        history=history,
        record=_record(root.tables("record"), history),
        answer=_answer(root.table("answer"), history),
        checks=_checks(root.table("checks", optional=True)),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    root.finish()
    return contract


def _history(table: TomlTable) -> History:
    history = History(
        item_id=table.texts("item_id"),
        date=table.text("date"),
        targets=table.texts("targets"),
        min_days=table.integer("min_days", default=1, minimum=1),
        nulls=table.choice("nulls", ("null", "quarantine"), default="null"),
        date_format=table.choice("date_format", ("date", "timestamp"), default=None),
    )
    columns = [*history.item_id, history.date, *history.targets]
    for column in sorted({name for name in columns if columns.count(name) > 1}):
        table.problem(f"column {column!r} is named twice.", "Name a column as an id, as the date or as a target.")
    for column in sorted({*history.targets} & {*PUBLISHED_COLUMNS}):
        what = f"the target {column!r} has the name of another column of the published forecasts."
        table.problem(what, "Rename the column in the history.")
    return history


def _record(tables: list[TomlTable], history: History) -> tuple[RecordField, ...]:
    fields: list[RecordField] = []
    for table in tables:
        key = table.text("key")
        if key in [field.key for field in fields]:
            table.problem(f"the key {key!r} is there twice.", "Give every [[record]] its own key.")
        field = _record_field(key, table, history)
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


def _record_field(key: str, table: TomlTable, history: History) -> RecordField | None:
    if "constant" in table:
        return Constant(key=key, json=_constant_json(table))
    source = table.choice("from", SOURCES, default="")
    match source:
        case "item_id":
            return ItemId(key=key)
        case "id_column":
            column = table.text("column")
            if column not in history.item_id:
                table.problem(f"{column!r} is not an id column.", f"Use one of {', '.join(history.item_id)}.")
            return IdColumn(key=key, column=column)
        case "first_date":
            return FirstDate(key=key)
        case "forecast_days":
            return ForecastDays(key=key)
        case "history" | "future":
            return _row_field(key, source, table, history)
    table.problem(f"the key {key!r} has no value.", 'Give it "constant" or "from".')
    return None


def _row_field(key: str, period: Period, table: TomlTable, history: History) -> RecordField:
    field: Rows | Values
    if "column" in table:
        field = Values(key=key, period=period, column=table.text("column"))
    else:
        field = Rows(key=key, period=period, columns=table.mapping("columns"))
    for column in field.sources:
        if period == "future" and column in history.targets:
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


def _answer(table: TomlTable, history: History) -> Answer:
    by_row = "arrays" not in table
    answer = Answer(
        rows=table.text("rows") if by_row else None,
        date=table.text("date") if by_row else None,
        targets=table.mapping("targets") if by_row else {},
        arrays={} if by_row else table.mapping("arrays"),
        error=table.text("error", default="error"),
        minimum=table.number("minimum"),
        maximum=table.number("maximum"),
        quantiles=table.text_lists("quantiles"),
    )
    forecast: dict[str, Any] = dict(answer.targets or answer.arrays)
    for column in history.targets:
        if column not in forecast:
            table.problem(f"nothing says where the forecast of {column!r} is.", "Add it to targets (or arrays).")
    for column in forecast:
        if column not in history.targets:
            table.problem(f"{column!r} is not a target.", f"The targets are {', '.join(history.targets)}.")
    if answer.minimum is not None and answer.maximum is not None and answer.minimum > answer.maximum:
        table.problem(f"minimum {answer.minimum} is above maximum {answer.maximum}.", "Exchange them.")
    return answer


def _checks(table: TomlTable) -> Checks:
    return Checks(
        hold_on_flags=table.flag("hold_on_flags", default=False),
        missing_forecasts=table.choice("missing_forecasts", ("leave_out", "carry_forward"), default="leave_out"),
    )
