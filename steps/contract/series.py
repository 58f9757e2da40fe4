"""`[series]` of `model.toml`: which columns of the history name an item, its dates and what is forecast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from batchcast.steps.contract.toml_table import TomlTable

__all__ = ["ITEM_ID_KEY", "PUBLISHED_COLUMNS", "Series", "read_series"]

ITEM_ID_KEY = "item_id"
"""The key under which every record carries its item id: answers are matched to records by it."""
PUBLISHED_COLUMNS = (ITEM_ID_KEY, "forecast_date", "step", "source", "run_date", "run_id")
"""What is published beside the targets, partition columns included: a target cannot have one of these names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """How to read the Parquet history: which columns name an item, its dates and what is forecast.

    `timestamp_format` None writes the date column as its type has it: a date as 2026-01-31, a timestamp as
    2026-01-31T00:00:00.
    """

    item_id: tuple[str, ...]
    timestamp: str
    targets: tuple[str, ...]
    min_history: int = 1
    nulls: Literal["null", "quarantine"] = "null"
    timestamp_format: Literal["date", "timestamp"] | None = None


def read_series(table: TomlTable) -> Series:
    history = Series(
        item_id=table.texts("item_id"),
        timestamp=table.text("timestamp"),
        targets=table.texts("targets"),
        min_history=table.integer("min_history", default=1, minimum=1),
        nulls=table.choice("nulls", ("null", "quarantine"), default="null"),
        timestamp_format=table.choice("timestamp_format", ("date", "timestamp"), default=None),
    )
    columns = [*history.item_id, history.timestamp, *history.targets]
    for column in sorted({name for name in columns if columns.count(name) > 1}):
        table.problem(f"column {column!r} is named twice.", "Name a column as an id, as the timestamp or as a target.")
    for column in sorted({*history.targets} & {*PUBLISHED_COLUMNS}):
        what = f"the target {column!r} has the name of another column of the published forecasts."
        table.problem(what, "Rename the column in the history.")
    return history
