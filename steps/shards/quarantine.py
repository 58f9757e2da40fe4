"""Why a record cannot be sent: found in its rows, one reason a record, the same whatever order they were read in."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.contract.template import Period
from batchcast.steps.history.date_axis import DateAxis, key_limits, key_seconds
from batchcast.steps.shards.chunk import Chunk, is_known
from batchcast.steps.shards.manifest import QuarantineReason

REMEDIES = {
    QuarantineReason.TOO_LARGE: "Raise MaxPayloadInMB, or leave columns or old rows out.",
    QuarantineReason.TOO_SHORT: "Lower min_history, or leave these items out with ItemsUri.",
    QuarantineReason.DUPLICATE_DATE: "Write one row an item and date.",
    QuarantineReason.OFF_GRID: "Correct frequency in [series], or declare timezone or aggregate there.",
    QuarantineReason.GAP: "Declare fill in [series], write the missing rows, or pass an earlier RunDate.",
    QuarantineReason.IMPLAUSIBLE_DATE: "Correct the date of that row, or remove it.",
    QuarantineReason.NULL_KEY: "Write the id columns and the date in every row.",
    QuarantineReason.OUT_OF_RANGE: "Write such values as floats or as text, or correct them.",
    QuarantineReason.NULL_CELL: 'Fill the cells, or set nulls = "null" in model.toml.',
    QuarantineReason.MISSING_FUTURE: "Write the rows of the forecast days, name the columns of _future in future, "
    "or pass an earlier RunDate.",
    QuarantineReason.NO_STATIC: "Write a row of these items into _items.parquet.",
    QuarantineReason.NO_ANSWER: "Fix the model or these records, then resume the run before that one.",
}
"""What to do about each reason."""
_DAY = 86_400
_EXACT = 2**53
"""Beyond it JSON numbers differ between readers (RFC 7493, 2.2)."""
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Quarantine:
    """The reason, what was found against which limit, and the key of the first row to blame, where there is one."""

    reason: QuarantineReason
    detail: str
    key: int | None = None


def too_short(steps: int, contract: ModelContract) -> Quarantine:
    """The quarantine of an item with so few steps of history."""
    detail = f"{steps} steps of history; min_history is {contract.series.min_history}"
    return Quarantine(QuarantineReason.TOO_SHORT, detail)


def too_large(size: str, limit: int) -> Quarantine:
    """The quarantine of a record of that size against the limit in bytes."""
    detail = f"the record has {size} bytes; MaxPayloadInMB less 5 % are {limit:,}"
    return Quarantine(QuarantineReason.TOO_LARGE, detail)


def find_quarantined(chunk: Chunk, contract: ModelContract, axis: DateAxis, max_bytes: int) -> dict[int, Quarantine]:
    """The records of the chunk, counted from 0, that cannot be sent.

    Of several reasons the first counts: duplicate date, out of range, off grid, null cell, too short, missing future.
    Records whose texts alone have more than `max_bytes` are found here too, before they are rendered.
    """
    found: dict[int, Quarantine] = {}
    records = chunk.records
    past = chunk.keys < axis.history_end
    for bad, reason, detail in _bad_rows(chunk, past, contract, axis):
        hits = np.flatnonzero(bad)
        for record, first, rows in zip(*np.unique(records[hits], return_index=True, return_counts=True), strict=True):
            key = int(chunk.keys[hits[first]])
            text = f"{detail} on {axis.text(key)}"
            if reason == QuarantineReason.OFF_GRID:
                text = f"{rows} rows are not {detail}, the first on {axis.text(key)}"
            found.setdefault(int(record), Quarantine(reason, text, key))
    # A row that is dropped is no step that the model gets.
    sent = past & chunk.measured(contract.series.targets) if contract.series.nulls == "drop" else past
    steps = _steps(chunk, sent)
    for record in np.flatnonzero(steps < contract.series.min_history):
        found.setdefault(int(record), too_short(int(steps[record]), contract))
    if contract.row_lists("future"):
        steps = _steps(chunk, ~past)
        for record in np.flatnonzero(steps < axis.forecast_horizon):
            detail = (
                f"{steps[record]} of the {axis.forecast_horizon} steps after {axis.run_date.isoformat()} have a row"
            )
            found.setdefault(int(record), Quarantine(QuarantineReason.MISSING_FUTURE, detail))
    for record, size in _long_texts(chunk, past, contract, max_bytes):
        found.setdefault(record, too_large(f"texts of {size:,}", max_bytes))
    return found


def _bad_rows(
    chunk: Chunk, past: Mask, contract: ModelContract, axis: DateAxis
) -> Iterator[tuple[Mask, QuarantineReason, str]]:
    """Rows that spoil their record, reason by reason."""
    records = chunk.records
    same = (np.diff(chunk.keys) == 0) & (np.diff(records) == 0)
    yield np.append(same, False), QuarantineReason.DUPLICATE_DATE, "there are several rows"
    low, high = key_limits(axis.type)
    outside = (chunk.keys < low) | (chunk.keys >= high)
    yield outside, QuarantineReason.OUT_OF_RANGE, "the date is outside the years 1 to 9999"
    if contract.series.timestamp_format == "date":
        time = key_seconds(chunk.keys, axis.type) % _DAY != 0
        yield time, QuarantineReason.OUT_OF_RANGE, 'timestamp_format is "date" and there is a time of day'
    off_grid = ~outside & ~axis.on_grid(chunk.keys)
    yield off_grid, QuarantineReason.OFF_GRID, f"on the grid of the frequency {axis.frequency.alias}"
    used = _used(chunk, past, contract)
    for column, rows in used.items():
        wrong, why = _out_of_range(chunk.columns[column])
        if why:
            yield rows & wrong, QuarantineReason.OUT_OF_RANGE, f"{column} {why}"
    if contract.series.nulls == "quarantine":
        for column, rows in used.items():
            empty = np.asarray(pc.invert(is_known(chunk.columns[column])))
            yield rows & empty, QuarantineReason.NULL_CELL, f"{column} is null, NaN or infinite"


def _long_texts(chunk: Chunk, past: Mask, contract: ModelContract, max_bytes: int) -> Iterator[tuple[int, int]]:
    texts = {name: column for name, column in chunk.columns.items() if pa.types.is_string(column.type)}
    if sum(column.nbytes for column in texts.values()) <= max_bytes:
        return
    row_bytes = np.zeros(len(chunk.keys), np.int64)
    for name, rows in _used(chunk, past, contract).items():
        if name in texts:
            row_bytes += np.where(rows, np.asarray(pc.binary_length(texts[name]).fill_null(0)), 0)
    sizes = np.bincount(chunk.records, weights=row_bytes, minlength=len(chunk.places))
    for record in np.flatnonzero(sizes > max_bytes).tolist():
        yield record, int(sizes[record])


def _used(chunk: Chunk, past: Mask, contract: ModelContract) -> dict[str, Mask]:
    """By column the rows whose value is part of the record, where there are any."""
    periods: tuple[tuple[Period, Mask], ...] = (("history", past), ("future", ~past))
    named = [
        ({name for part in contract.row_lists(period) for name in part.sources}, mask)
        for period, mask in periods
        if mask.any()
    ]
    rows = {column: [mask for names, mask in named if column in names] for column in chunk.columns}
    return {column: np.logical_or.reduce(masks) for column, masks in rows.items() if masks}


def _out_of_range(values: pa.Array) -> tuple[Mask, str]:
    """The values that JSON cannot carry exactly, and why; "" for a type that has none."""
    kind = values.type
    if kind in (pa.int64(), pa.uint64()):
        numbers = np.asarray(values.fill_null(0))
        beyond = numbers > _EXACT
        return beyond if kind == pa.uint64() else beyond | (numbers < -_EXACT), "is beyond 2^53"
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        whole = pa.int32() if pa.types.is_date(kind) else pa.int64()
        low, high = key_limits(kind)
        keys = np.asarray(values.cast(whole).fill_null(0)).astype(np.int64)
        return (keys < low) | (keys >= high), "is outside the years 1 to 9999"
    return np.zeros(1, bool), ""


def _steps(chunk: Chunk, rows: Mask) -> npt.NDArray[np.int64]:
    """Steps of each record among some of its rows: they have different moments, or it is quarantined for that."""
    return np.bincount(chunk.records[rows], minlength=len(chunk.places))
