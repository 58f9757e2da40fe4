"""Records as the contract declares them: one JSON object each, keys in declared order.

The rows of many records are rendered at once into one buffer, each row with its separator in front; the array of one
record is a slice of that buffer. No Python object is made for a row.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.contract.request import Constant, FirstDate, ForecastDays, IdColumn, ItemId, Period, Rows, Values
from batchcast.steps.history.date_axis import DateAxis
from batchcast.steps.shards.chunk import Chunk
from batchcast.steps.shards.json_text import JsonColumn, json_texts

__all__ = ["RecordRenderer", "least_bytes_a_row"]

Periods = Mapping[Period, Chunk]
Texts = Iterable[bytes | memoryview]
"""A piece of JSON a record."""


class RecordRenderer:
    """Renders the records of one run.

    `names` are the values of the id columns of the record at each place of the output, `id_types` these columns'
    types in the history: text stays text and a number a number.
    """

    def __init__(
        self,
        contract: ModelContract,
        axis: DateAxis,
        names: Mapping[int, tuple[str, ...]],
        id_types: Sequence[pa.DataType],
    ) -> None:
        self._history = contract.series
        self._axis = axis
        self._names = names
        self._id_types = id_types
        self._has_future = bool(contract.row_fields("future"))
        # What changes from record to record, and the fixed text before each of it and at the end.
        self._values: list[Callable[[Periods], Texts]] = []
        self._literals: list[bytes] = []
        self._compile(contract)

    def records(self, chunk: Chunk) -> Iterator[bytes]:
        """The JSON text of every record of the chunk, in its order, each with a newline at its end."""
        past = chunk.keys < self._axis.history_end
        periods: dict[Period, Chunk] = {"history": chunk.where(past)}
        if self._has_future:
            periods["future"] = chunk.where(~past)
        pieces: list[Texts] = []
        for literal, value in zip(self._literals, self._values, strict=False):
            pieces += [itertools.repeat(literal), value(periods)]
        pieces.append(itertools.repeat(self._literals[-1]))
        return map(b"".join, zip(*pieces, strict=False))

    def _compile(self, contract: ModelContract) -> None:
        literal = "{"
        for n, field in enumerate(contract.record):
            literal += f"{',' if n else ''}{_quoted(field.key)}:"
            value: Callable[[Periods], Texts]
            after = ""
            match field:
                case Constant():
                    literal += field.json
                    continue
                case ForecastDays():
                    literal += str(self._axis.forecast_horizon)
                    continue
                case ItemId():
                    value = self._item_ids
                case IdColumn():
                    value = self._id_values(field)
                case FirstDate():
                    value = self._first_dates
                case Values():
                    literal, value, after = literal + "[", self._value_arrays(field), "]"
                case Rows():
                    literal, value, after = literal + "[", self._row_arrays(field), "}]"
            self._literals.append(literal.encode())
            self._values.append(value)
            literal = after
        self._literals.append(f"{literal}}}\n".encode())

    def _item_ids(self, periods: Periods) -> Texts:
        return [_quoted("/".join(self._names[place])).encode() for place in periods["history"].places.tolist()]

    def _id_values(self, field: IdColumn) -> Callable[[Periods], Texts]:
        number = self._history.item_id.index(field.column)
        text = str if pa.types.is_integer(self._id_types[number]) else _quoted
        return lambda periods: [
            text(self._names[place][number]).encode() for place in periods["history"].places.tolist()
        ]

    def _first_dates(self, periods: Periods) -> Texts:
        chunk = periods["history"]
        first = self._dates(chunk).take(pa.array(chunk.starts[:-1]))
        return [text.encode() for text in json_texts(first).to_pylist()]

    def _value_arrays(self, field: Values) -> Callable[[Periods], Texts]:
        column = JsonColumn(",")

        def arrays(periods: Periods) -> Texts:
            chunk = periods[field.period]
            return _bodies(_joined(column.texts(self._column(field.column, chunk))), chunk, separator=",")

        return arrays

    def _row_arrays(self, field: Rows) -> Callable[[Periods], Texts]:
        # A row ends where the next begins: "},{" is part of the first column.
        before = ["},{", *[","] * (len(field.columns) - 1)]
        columns = [JsonColumn(f"{text}{_quoted(key)}:") for text, key in zip(before, field.columns, strict=True)]

        def arrays(periods: Periods) -> Texts:
            chunk = periods[field.period]
            sources = [self._column(name, chunk) for name in field.columns.values()]
            texts = [text for column, source in zip(columns, sources, strict=True) for text in column.texts(source)]
            return _bodies(_joined(texts), chunk, separator="},")

        return arrays

    def _column(self, name: str, chunk: Chunk) -> pa.Array:
        if name == self._history.timestamp:
            return self._dates(chunk)
        if name not in self._history.item_id:
            return chunk.columns[name]
        number = self._history.item_id.index(name)
        values = pa.array([self._names[place][number] for place in chunk.places.tolist()], pa.string())
        return values.cast(self._id_types[number]).take(pa.array(chunk.records))

    def _dates(self, chunk: Chunk) -> pa.Array:
        dates = self._axis.array(chunk.keys)
        match self._history.timestamp_format:
            case "date":
                return dates.cast(pa.date32())
            case "timestamp" if pa.types.is_date(dates.type):
                return dates.cast(pa.timestamp("s"))
        return dates


def least_bytes_a_row(contract: ModelContract) -> int:
    """What a row of history adds to a record at the very least: names, separators, and a byte a value."""
    least = 0
    for field in contract.row_fields("history"):
        keys = field.columns if isinstance(field, Rows) else []
        least += sum(len(_quoted(key).encode()) + len(":0,") for key in keys) + len("0,")
    return least


def _bodies(rows: pa.Array, chunk: Chunk, *, separator: str) -> Texts:
    """The rows of each record without the separator in front of the first."""
    _, offsets, data = rows.buffers()
    text = memoryview(data or b"")
    ends = np.frombuffer(offsets, np.int32, len(rows) + 1, rows.offset * 4)[chunk.starts].tolist()
    return (text[begin + len(separator) : end] for begin, end in itertools.pairwise(ends))


def _joined(texts: Sequence[pa.Array | str]) -> pa.Array:
    return pc.binary_join_element_wise(*texts, "") if len(texts) > 1 else texts[0]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
