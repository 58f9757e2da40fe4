"""Records as the template of the contract has them, compiled to columns.

The rows of many records are rendered at once into one buffer, each row with its separator in front; the array of one
record is a slice of that buffer. No Python object is made for a row.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from json.encoder import encode_basestring
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.contract.request import PARQUET, Request
from batchcast.steps.contract.series import ITEM_ID_KEY
from batchcast.steps.contract.table import Table, csv_field, read_table
from batchcast.steps.contract.template import Part, Period, RowList, Value
from batchcast.steps.history.column_types import join_ids
from batchcast.steps.history.date_axis import DateAxis
from batchcast.steps.shards.chunk import Chunk
from batchcast.steps.shards.json_text import JsonColumn, json_texts
from batchcast.steps.shards.parquet_rows import write_rows
from batchcast.steps.shards.request_text import RequestText

_SPLIT = "\0"
"""Where the records go; no JSON text holds it."""
Periods = Mapping[Period, Chunk]
Texts = Iterable[bytes | memoryview]
"""A piece of JSON a record."""


class RecordRenderer:
    """Renders the records of one run.

    `attributes` are the values of id and static columns of the records at the places from `first` on; the ids are
    texts, `id_types` their columns' types in the history: text stays text and a number a number.
    """

    def __init__(
        self,
        contract: ModelContract,
        axis: DateAxis,
        attributes: Mapping[str, pa.Array],
        id_types: Sequence[pa.DataType],
        first: int = 0,
    ) -> None:
        self._history = contract.series
        self._table: Table | None = read_table(contract.request.series) if contract.request.tabular else None
        self._parquet = contract.request.content_type == PARQUET
        self._csv = self._table is not None
        self._quoted = csv_field if self._csv else encode_basestring
        self._axis = axis
        self._attributes = attributes
        self._id_types = dict(zip(contract.series.item_id, id_types, strict=False))
        self._first = first
        self._has_future = any(part.period == "future" for part in contract.request.row_lists)
        self._of_the_run = self._texts_of_the_run()
        # What changes from record to record, and the fixed text before each of it and at the end.
        self._values: list[Callable[[Periods], Texts]] = []
        self._literals: list[bytes] = []
        self._compile(contract.request.series if self._table is None else self._table.csv_parts())

    def records(self, chunk: Chunk) -> Iterator[bytes]:
        """The text of every record of the chunk, in its order, without a newline; or its Parquet file."""
        past = chunk.keys < self._axis.history_end
        if self._history.nulls == "drop":
            kept = ~past | chunk.measured(self._history.targets)
            chunk, past = chunk.where(kept), past[kept]
        periods: dict[Period, Chunk] = {"history": chunk.where(past), "both": chunk}
        if self._has_future:
            periods["future"] = chunk.where(~past)
        if self._table is not None and self._table.rows is not None and self._parquet:
            return self._files(self._table, periods[self._table.rows.period])
        pieces: list[Texts] = []
        for literal, value in zip(self._literals, self._values, strict=False):
            pieces += [itertools.repeat(literal), value(periods)]
        pieces.append(itertools.repeat(self._literals[-1]))
        return map(b"".join, zip(*pieces, strict=False))

    def _files(self, table: Table, chunk: Chunk) -> Iterator[bytes]:
        columns = [
            pa.repeat(cell[0], len(chunk.keys)) if isinstance(cell, tuple) else self._column(cell.name, chunk)
            for cell in table.cells
            if not isinstance(cell, RowList)
        ]
        rows = pa.table(columns, names=list(table.names or ()))
        return (write_rows(rows.slice(begin, end - begin)) for begin, end in itertools.pairwise(chunk.starts.tolist()))

    def request_text(self, request: Request) -> RequestText:
        """How these records become requests."""
        if self._table is not None:
            return RequestText(
                suffix=".parquet" if self._parquet else ".csv",
                enveloped=False,
                several=request.several,
                by_object=True,
                parquet=self._parquet,
                head="" if self._parquet else self._table.header,
                separator="",
            )
        head, tail = "", ""
        for part in request.body if request.record is not None else ():
            text = part if isinstance(part, str) else ""
            if isinstance(part, Value):
                text = self._of_the_run.get(part.name, _SPLIT if part.name == "record" else f"[{_SPLIT}]")
            head += text
        head, _, tail = head.partition(_SPLIT)
        return RequestText(
            suffix=".jsonl" if request.mode == "line" else ".json",
            enveloped=request.enveloped,
            several=request.several,
            by_object=request.mode == "object",
            head=head,
            tail=tail,
        )

    def _compile(self, parts: Sequence[Part]) -> None:
        literal = ""
        for part in parts:
            value: Callable[[Periods], Texts]
            after = ""
            match part:
                case str():
                    literal += part
                    continue
                case Value() if part.name in self._of_the_run:
                    literal += self._of_the_run[part.name]
                    continue
                case Value():
                    value = self._values_of(part.name)
                case RowList():
                    opening, comma, closing = self._frame(part)
                    literal, after = f"{literal}{opening}{part.row[0]}", f"{part.row[-1]}{closing}"
                    value = self._arrays(part, f"{part.row[-1]}{comma}{part.row[0]}")
            self._literals.append(literal.encode())
            self._values.append(value)
            literal = after
        self._literals.append(literal.encode())

    def _frame(self, part: RowList) -> tuple[str, str, str]:
        """What stands around and between the rows."""
        if not self._csv:
            return "[", ",", "]"
        return "", "" if part.row[-1] else ",", ""

    def _values_of(self, name: str) -> Callable[[Periods], Texts]:
        match name:
            case "item_id":
                return lambda periods: self._written(self.item_ids(periods["history"]))
            case "start_time":
                return lambda periods: self._moments(periods["history"], periods["history"].starts[:-1])
            case "end_time":
                return lambda periods: self._moments(periods["history"], periods["history"].starts[1:] - 1)
        whole = name in self._id_types and pa.types.is_integer(self._id_types[name])
        return lambda periods: self._written(self._attribute(name, periods["history"]), whole=whole)

    def item_ids(self, chunk: Chunk) -> pa.Array:
        """The item id of every record of the chunk."""
        return join_ids([self._attribute(name, chunk) for name in self._history.item_id])

    def _attribute(self, name: str, chunk: Chunk) -> pa.Array:
        return self._attributes[name].take(pa.array(chunk.places - self._first))

    def _moments(self, chunk: Chunk, rows: npt.NDArray[np.int64]) -> Texts:
        return self._written(self._dates(chunk).take(pa.array(rows)))

    def _written(self, values: pa.Array, *, whole: bool = False) -> Texts:
        texts = values if whole else json_texts(values, "" if self._csv else "null", csv=self._csv)
        return cast(list[bytes], texts.cast(pa.binary()).to_pylist())

    def _arrays(self, part: RowList, separator: str) -> Callable[[Periods], Texts]:
        # A row's end, the comma and the next one's beginning are part of the first column.
        before = [separator, *part.row[2:-1:2]]
        columns = [
            JsonColumn(str(text), self._null_text(column.name), csv=self._csv)
            for text, column in zip(before, part.columns, strict=True)
        ]

        def arrays(periods: Periods) -> Texts:
            chunk = periods[part.period]
            sources = [self._column(column.name, chunk) for column in part.columns]
            texts = [text for column, source in zip(columns, sources, strict=True) for text in column.texts(source)]
            return _bodies(_joined(texts), chunk, separator=separator)

        return arrays

    def _column(self, name: str, chunk: Chunk) -> pa.Array:
        if name == self._history.timestamp:
            return self._dates(chunk)
        if name == ITEM_ID_KEY:
            return self.item_ids(chunk).take(pa.array(chunk.records))
        if name in self._attributes:
            values = self._attribute(name, chunk).cast(self._id_types.get(name, self._attributes[name].type))
            return values.take(pa.array(chunk.records))
        column = chunk.columns[name]
        target = name in self._history.targets
        if (self._parquet or (target and self._history.nulls == "zero")) and pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))
        if target and self._history.nulls == "zero":
            column = column.fill_null(0)
        elif target and self._history.nulls == "nan" and self._parquet and pa.types.is_floating(column.type):
            column = column.fill_null(np.nan)
        if self._csv and target:
            # A table of history and future has no target in the future, whatever the history knows of it.
            column = pc.if_else(pa.array(chunk.keys < self._axis.history_end), column, pa.scalar(None, column.type))
        return column

    def _null_text(self, name: str) -> str:
        if self._history.nulls == "nan" and name in self._history.targets:
            return "NaN" if self._csv else '"NaN"'
        if self._table is None:
            return "null"
        # A line with nothing in it is no row to most readers.
        return '""' if len(self._table.cells) == 1 and self._table.rows else ""

    def _dates(self, chunk: Chunk) -> pa.Array:
        return self._formatted(self._axis.array(chunk.keys))

    def _formatted(self, dates: pa.Array) -> pa.Array:
        match self._history.timestamp_format:
            case "date":
                return dates.cast(pa.date32())
            case "timestamp" if pa.types.is_date(dates.type):
                return dates.cast(pa.timestamp("s"))
            case "epoch_ms":
                return dates.cast(pa.timestamp("ms")).cast(pa.int64())
            case str(pattern) if "%" in pattern:
                # Moments recur from item to item: each is written once.
                encoded = dates.dictionary_encode()
                texts = pc.strftime(encoded.dictionary.cast(pa.timestamp("s")), pattern)
                return texts.take(encoded.indices)
        return dates

    def _texts_of_the_run(self) -> dict[str, str]:
        """What is the same in every record, by its placeholder."""
        axis = self._axis
        keys = axis.keys(np.arange(axis.forecast_horizon + 1))
        run_date, *later = json_texts(self._formatted(axis.array(keys)), csv=self._csv).to_pylist()
        return {
            "run_date": run_date,
            "future_timestamps": f"[{','.join(later)}]",
            "horizon": str(axis.forecast_horizon),
            "frequency": self._quoted(axis.frequency.alias),
        }


def least_bytes_a_row(contract: ModelContract) -> int:
    """What a row of history adds to a record at the very least: names, separators, and a byte a value."""
    if contract.request.tabular:  # Parquet packs a row into less than a byte; a cell of CSV has a comma or a line's end
        per_cell = 0 if contract.request.content_type == PARQUET else 1
        return per_cell * sum(len(part.columns) for part in contract.row_lists("history"))
    return sum(part.fixed_bytes + len(part.columns) for part in contract.row_lists("history"))


def _bodies(rows: pa.Array, chunk: Chunk, *, separator: str) -> Texts:
    """The rows of each record without the separator in front of the first."""
    _, offsets, data = rows.buffers()
    text = memoryview(data or b"")
    ends = np.frombuffer(offsets, np.int32, len(rows) + 1, rows.offset * 4)[chunk.starts].tolist()
    skipped = len(separator.encode())
    return (text[begin + skipped : end] for begin, end in itertools.pairwise(ends))


def _joined(texts: Sequence[pa.Array | str]) -> pa.Array:
    return pc.binary_join_element_wise(*texts, "") if len(texts) > 1 else texts[0]
