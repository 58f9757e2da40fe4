"""The ledger: one row an item, and what became of it. Every item is ok, quarantined, failed or missing."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchcast.steps.store.documents import table_parts

REASONS: Mapping[str, str] = {
    "no_output": "the shard of this record has no output",
    "short_output": "the output of its shard ends without an answer for this record",
    "long_output": "the output of its shard holds more answers than requests, and nothing says whose they are",
    "spoiled_request": "the answer to its request, which held other items too, is an error or not one answer an item",
    "unparsable": "its output line is not a JSON document with an item id and an answer",
    "answered_twice": "its shard's output holds more than one answer for it",
    "wrong_id": "its place in the output is taken by another item's answer",
    "error_answer": "the model answered with an error",
    "wrong_shape": "the answer does not have the form the contract file declares",
    "wrong_days": "the answer does not have one row a forecast day",
    "wrong_dates": "the dates do not follow the run date day by day",
    "not_a_number": "a forecast value is missing, null, text or a truth value",
    "not_finite": "a forecast value is NaN or infinite",
    "out_of_bounds": "a forecast value is outside the declared bounds",
    "quantile_order": "a higher quantile is below a lower one",
    "no_answer_after_retry": "it had no answer when it was sent alone either",
    "answer_changed": "the answer of the run it is carried over from is no longer what that run accepted",
    "too_large": "quarantined: its record is larger than MaxPayloadInMB",
    "too_short": "quarantined: its history has fewer steps than min_history",
    "duplicate_date": "quarantined: its history has a date twice",
    "off_grid": "quarantined: a row of its history is not on the grid of the frequency",
    "implausible_date": "quarantined: a row of its history is dated beyond what can be",
    "gap": "quarantined: steps of its history are missing",
    "null_key": "quarantined: rows of its history have no date, or rows have no item id",
    "out_of_range": "quarantined: its history has a value that JSON or the model cannot take",
    "null_cell": "quarantined: its history has an empty or non-finite cell",
    "missing_future": "quarantined: its known future does not cover the forecast days",
    "no_static": "quarantined: it has no row in the table of static columns",
    "no_answer": "quarantined: it had no answer twice, the second time sent alone",
}
"""Why a record has no forecast, in the words of the report."""

_ROWS_A_GROUP = 1 << 16
Status = Literal["ok", "carried", "quarantined", "failed", "missing"]
GOOD: tuple[Status, ...] = ("ok", "carried")
"""What an item with a forecast of the model is."""

RETRYABLE = frozenset({"no_output", "short_output", "long_output", "spoiled_request", "unparsable", "answered_twice"})
"""Reasons that say nothing about the record itself: sent alone it may well be answered."""
SILENT = RETRYABLE | {"no_answer_after_retry"}
"""Reasons of records whose model gave no answer that could be read, before or after the retry round."""

MISREAD = frozenset({"wrong_shape", "wrong_days", "not_a_number"})
"""Reasons that speak of the contract where no item has a forecast: the answers are not as `model.toml` declares."""

CORRECTIONS: Mapping[str, str] = {
    **dict.fromkeys(MISREAD, "Correct [outputs] in model.toml, or the model"),
    "wrong_dates": "Correct the model, which has to forecast the steps after the run date, or timestamps in [answer]",
    "not_finite": "Correct the model, which has to answer with finite numbers",
    "out_of_bounds": "Correct the model, or minimum and maximum in [answer]",
    "quantile_order": "Correct the model, or the quantiles in [outputs]",
}
"""What to do for answers that were read and are wrong: sent again, the same will be answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """What became of one item.

    ok           its forecast is good
    carried      so it is, and it comes from an earlier run: run_id, round, shard and line are that run's
    quarantined  it was not sent to the model
    failed       the model's answer cannot be used, or there was none when it was sent alone either
    missing      there is no answer
    `shard`, `line` and `position` (from 0) say where its record lies under `<run_id>/input/r<round>/`: in which
    request, and where in it; the first two are None when it was not sent. So the requests that the retry round spent
    are the different lines of round 1. `answer_sha256` is the digest of its output
    line, "" when there is none.
    """

    item_id: str
    status: Status
    reason: str = ""
    detail: str = ""
    run_id: str
    round: int = 0
    shard: str | None = None
    line: int | None = None
    position: int = 0
    answer_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The ledger in items: expected = ok + quarantined + failed + missing; the carried are among the ok."""

    expected: int
    ok: int
    quarantined: int
    failed: int
    missing: int
    carried: int

    def __post_init__(self) -> None:
        if self.expected != self.ok + self.quarantined + self.failed + self.missing:
            raise AssertionError(f"items are unaccounted for: {self}")


LEDGER_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("round", pa.int32(), nullable=False),
        pa.field("shard", pa.string()),
        pa.field("line", pa.int32()),
        pa.field("position", pa.int32(), nullable=False),
        pa.field("answer_sha256", pa.string(), nullable=False),
    ]
)

_REPEATED = [name for name in LEDGER_SCHEMA.names if name not in ("item_id", "line", "answer_sha256")]
"""What is worth a dictionary: one of what differs in every row is larger than that, and takes time and memory."""


class Ledger:
    """A row an item in the order of records.parquet: by column those whose first answer is good, with the `digests` of
    these, each other one in `others`, by its row number."""

    def __init__(self, records: pa.Table, run_id: str, digests: npt.NDArray[np.uint8]) -> None:
        self.others: dict[int, LedgerRow] = {}
        self.digests = digests
        self._records = records.select(["item_id", "shard", "line", "position"])
        self._run_id = run_id

    def __len__(self) -> int:
        return len(self._records)

    @property
    def odd(self) -> list[LedgerRow]:
        """The rows of `others`, in order."""
        return [self.others[index] for index in sorted(self.others)]

    @property
    def rows(self) -> list[LedgerRow]:
        """All rows, one by one."""
        return [row for part in self.parts() for row in ledger_rows(part)]

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        """Which items have a forecast of the model."""
        found = np.ones(len(self), bool)
        lost = [index for index, row in self.others.items() if row.status not in GOOD]
        found[lost] = False
        return found

    def table(self, some: slice = slice(None)) -> pa.Table:
        """The rows as they are stored."""
        start, stop, _ = some.indices(len(self))
        part = self._records.slice(start, stop - start)
        size = len(part)
        texts = {"status": "ok", "reason": "", "detail": "", "run_id": self._run_id}
        columns = {name: pa.array([text]).take(pa.array(np.zeros(size, np.int8))) for name, text in texts.items()}
        columns |= {name: part[name].combine_chunks() for name in part.column_names}
        columns["position"] = columns["position"].fill_null(0)
        columns["round"] = pa.array(np.zeros(size, np.int32))
        columns["answer_sha256"] = _hexadecimal(self.digests[start:stop])
        places = sorted(index for index in self.others if start <= index < stop)
        if places:
            mask = np.zeros(size, bool)
            mask[np.array(places) - start] = True
            for field in LEDGER_SCHEMA:
                mine = pa.array([getattr(self.others[index], field.name) for index in places], field.type)
                columns[field.name] = pc.replace_with_mask(columns[field.name], pa.array(mask), mine)
        return pa.table(columns).select(LEDGER_SCHEMA.names).cast(LEDGER_SCHEMA)

    def parts(self) -> Iterator[pa.Table]:
        """The table, at least one part of it."""
        starts = range(0, max(len(self), 1), _ROWS_A_GROUP)
        return (self.table(slice(start, start + _ROWS_A_GROUP)) for start in starts)

    def tally(self) -> Tally:
        """Count the rows. Raises AssertionError when they do not add up to the items of the manifest."""
        counts = Counter(row.status for row in self.others.values())
        return Tally(
            expected=len(self),
            ok=len(self) - len(self.others) + counts["ok"] + counts["carried"],
            quarantined=counts["quarantined"],
            failed=counts["failed"],
            missing=counts["missing"],
            carried=counts["carried"],
        )


def _hexadecimal(digests: npt.NDArray[np.uint8]) -> pa.Array:
    size, width = digests.shape
    offsets = pa.py_buffer(np.arange(0, size + 1, dtype=np.int32) * 2 * width)
    return pa.Array.from_buffers(pa.string(), size, [None, offsets, pa.py_buffer(digests.tobytes().hex().encode())])


def write_ledger(rows: Ledger | Sequence[LedgerRow], path: Path) -> None:
    """The rows as Parquet, in the order given."""
    if not isinstance(rows, Ledger):
        table = pa.table(
            {name: [getattr(row, name) for row in rows] for name in LEDGER_SCHEMA.names}, schema=LEDGER_SCHEMA
        )
        pq.write_table(table, path, compression="zstd")
        return
    with pq.ParquetWriter(path, LEDGER_SCHEMA, compression="zstd", use_dictionary=_REPEATED) as writer:
        for part in rows.parts():
            writer.write_table(part)


_REMEDY = "Delete report.json beside it and `rerun` the run: its records are then accounted for anew."


def read_ledger(path: Path) -> list[LedgerRow]:
    """The rows `write_ledger` wrote. Raises DataError for a damaged file."""
    return [row for part in stream_ledger(path, where=str(path)) for row in ledger_rows(part)]


def ledger_rows(part: pa.Table | pa.RecordBatch) -> Iterator[LedgerRow]:
    """The rows of a part of the table; a text that many have is there once."""
    known: dict[Any, Any] = {}
    columns = ([known.setdefault(value, value) for value in part[name].to_pylist()] for name in LEDGER_SCHEMA.names)
    return (LedgerRow(**dict(zip(LEDGER_SCHEMA.names, row, strict=True))) for row in zip(*columns, strict=True))


def stream_ledger(path: Path, columns: Sequence[str] = LEDGER_SCHEMA.names, *, where: str) -> Iterator[pa.Table]:
    """Those columns of the same in parts."""
    parts = table_parts(path, columns, schema=LEDGER_SCHEMA, texts=(), code="ledger", remedy=_REMEDY, where=where)
    return (read() for read in parts)
