"""The answer to a request of its own object, decoded by its content type to what JMESPath reads."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from batchcast.steps.contract.request import Request

__all__ = ["decode_stored_answer"]


def decode_stored_answer(data: bytes, request: Request) -> object:
    """JSON as it is, JSON lines as a list, CSV as a list of rows, Parquet as a list of objects.

    A request of one series whose answer is one line of JSON lines has that for an answer. A row of CSV is an object
    where a line of names comes first, else a list; a list of one is its value. Raises ValueError for what is none.
    """
    match request.accept:
        case "application/jsonlines":
            lines: list[object] = [json.loads(line) for line in data.decode("utf-8").splitlines() if line.strip()]
            return lines[0] if len(lines) == 1 and not request.several else lines
        case "text/csv":
            return _csv_rows(data.decode("utf-8"))
        case "application/x-parquet":
            return _parquet_rows(data)
    return json.loads(data.decode("utf-8"))


def _csv_rows(text: str) -> list[object]:
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    if rows and not any(isinstance(_cell(cell), float | int) for cell in rows[0]):
        return [dict(zip(rows[0], map(_cell, row), strict=True)) for row in rows[1:]]
    cells = [[_cell(cell) for cell in row] for row in rows]
    return [row[0] if len(row) == 1 else row for row in cells]


def _cell(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text or None


def _parquet_rows(data: bytes) -> list[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_table(io.BytesIO(data)).to_pylist())
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error
