"""`[series]` of `model.toml`: which columns of the history name an item, its moments and what is forecast, and how far
apart its rows lie."""

from dataclasses import dataclass
from typing import Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from batchcast.steps.contract.frequency import Frequency, parse_frequency
from batchcast.steps.contract.toml_table import TomlTable

ITEM_ID_KEY = "item_id"
"""The key under which every record carries its item id: answers are matched to records by it."""
PUBLISHED_COLUMNS = (ITEM_ID_KEY, "forecast_date", "step", "source", "source_run_id", "run_date", "run_id")
"""What is published beside the targets, partition columns included: a target cannot have one of these names."""

Fill = Literal["none", "null", "zero", "last"]
Aggregate = Literal["sum", "mean", "last"]
Nulls = Literal["null", "quarantine", "zero", "nan", "drop"]
OffGrid = Literal["quarantine", "refuse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """How to read the Parquet history: which columns name an item, its moments and what is forecast.

    `static` columns are the same in all rows of an item, and stand in a table of their own; so do the `future` ones,
    whose values are known for the steps after the run date.

    `timestamp_format` None writes the timestamp as its type has it: a date as 2026-01-31, a timestamp as
    2026-01-31T00:00:00; else it is "date", "timestamp", "epoch_ms" or a text for strftime. `nulls` says how a missing
    value of a target is written, or that its item is quarantined. `frequency` None is inferred, `season` None follows
    from it. `timezone` is the zone that instants are read in. `min_history`, `max_history` and `largest_gap` are in
    steps; `largest_gap` None is a year. `fill` None makes a missing step a fault, `aggregate` None several rows a step;
    `off_grid` says what a fault of the grid does. `run_date_share` is the share of the items that RunDate `auto` must
    reach.
    """

    item_id: tuple[str, ...]
    timestamp: str
    targets: tuple[str, ...]
    static: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    frequency: Frequency | None = None
    season: int | None = None
    timezone: str | None = None
    min_history: int = 1
    max_history: int | None = None
    nulls: Nulls = "null"
    fill: Fill | None = None
    aggregate: Aggregate | None = None
    off_grid: OffGrid = "quarantine"
    largest_gap: int | None = None
    run_date_share: float = 0.5
    timestamp_format: str | None = None


def read_series(table: TomlTable) -> Series:
    history = Series(
        item_id=table.texts("item_id"),
        timestamp=table.text("timestamp"),
        targets=table.texts("targets"),
        static=table.texts("static", optional=True),
        future=table.texts("future", optional=True),
        frequency=table.parsed("frequency", parse_frequency),
        season=table.integer("season") if "season" in table else None,
        timezone=table.parsed("timezone", _timezone),
        min_history=table.integer("min_history"),
        max_history=table.integer("max_history") if "max_history" in table else None,
        nulls=table.choice("nulls", get_args(Nulls), default="null"),
        fill=table.choice("fill", get_args(Fill), default=None),
        aggregate=table.choice("aggregate", get_args(Aggregate), default=None),
        off_grid=table.choice("off_grid", get_args(OffGrid), default="quarantine"),
        largest_gap=table.integer("largest_gap") if "largest_gap" in table else None,
        run_date_share=table.number("run_date_share", 0.5),
        timestamp_format=table.parsed("timestamp_format", _timestamp_format),
    )
    if not 0 < history.run_date_share <= 1:
        what = f"run_date_share = {history.run_date_share} is not above 0 and at most 1."
        table.problem(what, "Write a share such as 0.5.")
    columns = [*history.item_id, history.timestamp, *history.targets, *history.static, *history.future]
    for column in sorted({name for name in columns if columns.count(name) > 1}):
        remedy = "Name a column as an id, as the timestamp, as a target, as static or as future."
        table.problem(f"column {column!r} is named twice.", remedy)
    for column in sorted({*history.targets} & {*PUBLISHED_COLUMNS}):
        what = f"the target {column!r} has the name of another column of the published forecasts."
        table.problem(what, "Rename the column in the history.")
    _check_together(history, table)
    return history


def _check_together(history: Series, table: TomlTable) -> None:
    if history.max_history is not None and history.max_history < history.min_history:
        what = f"max_history = {history.max_history} is below min_history = {history.min_history}."
        table.problem(what, "Raise max_history or lower min_history.")
    if history.timestamp_format == "date" and history.frequency is not None and history.frequency.below_day:
        what = f'timestamp_format = "date" drops the time of day, and the frequency is {history.frequency.alias}.'
        table.problem(what, 'Write "timestamp".')


def _timestamp_format(text: str) -> str:
    if text not in ("date", "timestamp", "epoch_ms") and "%" not in text:
        remedy = 'use date, timestamp, epoch_ms, or a text for strftime such as "%Y-%m-%d %H:%M:%S"'
        raise ValueError(f"is not known; {remedy}")
    return text


def _timezone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("is not known; write a name of the IANA database, as Europe/Berlin") from error
