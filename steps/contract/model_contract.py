"""What `model.toml` declares: how to read the history, what a record of the model looks like, how to read its answer.

The contract belongs to the model, so it is declared and not coded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "ITEM_ID_KEY",
    "PUBLISHED_COLUMNS",
    "Answer",
    "Checks",
    "Constant",
    "FirstDate",
    "ForecastDays",
    "History",
    "IdColumn",
    "ItemId",
    "ModelContract",
    "Period",
    "RecordField",
    "Rows",
    "Values",
]

ITEM_ID_KEY = "item_id"
"""The key under which every record carries its item id: answers are matched to records by it."""
PUBLISHED_COLUMNS = (ITEM_ID_KEY, "forecast_date", "step", "source", "run_date", "run_id")
"""What is published beside the targets, partition columns included: a target cannot have one of these names."""
Period = Literal["history", "future"]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """How to read the Parquet history: which columns name an item, its dates and what is forecast.

    `date_format` None writes the date column as its type has it: a date as 2026-01-31, a timestamp as
    2026-01-31T00:00:00.
    """

    item_id: tuple[str, ...]
    date: str
    targets: tuple[str, ...]
    min_days: int = 1
    nulls: Literal["null", "quarantine"] = "null"
    date_format: Literal["date", "timestamp"] | None = None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Where the forecast and the error lie in the model's answer.

    Either `rows` names a list of objects with `date` and one key a target (`targets`: target column to key), or
    `arrays` names one array a target whose dates are implied. An answer with the key `error` is a failed record.
    `minimum` and `maximum` bound every forecast value; each list of `quantiles` names keys that must not decrease.
    """

    rows: str | None = None
    date: str | None = None
    targets: Mapping[str, str]
    arrays: Mapping[str, str]
    error: str = "error"
    minimum: float | None = None
    maximum: float | None = None
    quantiles: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What the publishing step does about suspicious and missing forecasts."""

    hold_on_flags: bool = False
    missing_forecasts: Literal["leave_out", "carry_forward"] = "leave_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelContract:
    """The whole file; `sha256` is the digest of its bytes."""

    history: History
    record: tuple[RecordField, ...]
    answer: Answer
    checks: Checks
    sha256: str

    def row_fields(self, period: Period) -> tuple[Rows | Values, ...]:
        """The keys of the record that hold rows of that period."""
        return tuple(field for field in self.record if isinstance(field, Rows | Values) and field.period == period)

    @property
    def value_columns(self) -> tuple[str, ...]:
        """The columns that are read beside the ids and the date: targets, then those of the rows, each once."""
        named = [column for field in self.record if isinstance(field, Rows | Values) for column in field.sources]
        own = {*self.history.item_id, self.history.date}
        return tuple(dict.fromkeys(name for name in (*self.history.targets, *named) if name not in own))
