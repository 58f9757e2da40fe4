"""The body of a request or an answer, decoded by its content type to what JMESPath reads."""

import csv
import io
import json
import re
from typing import Any

from batchcast.steps.contract.request import PARQUET, Request

_NUMBER = re.compile(
    r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?:nan|inf|infinity)", re.IGNORECASE
)


def decode_stored_answer(data: bytes, request: Request) -> object:
    """The answer to such a request, decoded. A request of one series whose answer is one line of JSON lines has that
    for an answer. Raises ValueError for what is none."""
    found = decode_body(data, request.accept)
    alone = request.accept == "application/jsonlines" and not request.several
    return found[0] if alone and isinstance(found, list) and len(found) == 1 else found


def decode_body(data: bytes, content_type: str) -> object:
    """JSON as it is, JSON lines as a list, CSV as a list of rows, Parquet as a list of objects.

    A row of CSV is an object where a line of names comes first, else a list; a list of one is its value. Raises
    ValueError for what is none.
    """
    if content_type == PARQUET:
        return _parquet_rows(data)
    text = data.decode("utf-8-sig")
    if content_type == "text/csv":
        try:
            return _csv_rows(text)
        except csv.Error as error:
            raise ValueError(str(error)) from error
    if content_type == "application/jsonlines":
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    return json.loads(text)


def readable_text(data: bytes, content_type: str) -> str:
    """A body as a person reads it: the rows of Parquet as JSON, all else as it is."""
    if content_type != PARQUET:
        return data.decode("utf-8", "replace")
    try:
        return json.dumps(_parquet_rows(data), ensure_ascii=False, default=str)
    except ValueError:
        return repr(data[:200])


def _csv_rows(text: str) -> list[object]:
    rows = [[_cell(cell) for cell in row] for row in csv.reader(io.StringIO(text)) if row]
    if rows and _are_names(rows[0], rows[1:]):
        names = next(row for row in csv.reader(io.StringIO(text)) if row)
        odd = next((row for row in rows if len(row) != len(names)), None)
        if odd is not None:
            raise ValueError(f"a row has {len(odd)} fields, the line of names {len(names)}: {','.join(names)[:200]}")
        return [dict(zip(names, row, strict=True)) for row in rows[1:]]
    return [row[0] if len(row) == 1 else row for row in rows]


def _are_names(first: list[object], others: list[list[object]]) -> bool:
    """Whether the first line holds names: no number, as few rows begin, or a text over a column of numbers."""
    if not any(isinstance(cell, float | int) for cell in first):
        return True
    second = others[0] if others else []
    return any(
        isinstance(cell, str) and isinstance(below, float | int) for cell, below in zip(first, second, strict=False)
    )


def _cell(text: str) -> object:
    """A number as JSON writes it, also without a zero before the point, NaN or infinity; else text: 007 is an id."""
    if _NUMBER.fullmatch(text):
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    return text or None


def _parquet_rows(data: bytes) -> list[Any]:
    import pyarrow.parquet as pq

    try:
        return list(pq.ParquetFile(io.BytesIO(data), page_checksum_verification=True).read().to_pylist())
    except Exception as error:  # Arrow has no one error for a damaged file
        raise ValueError(str(error)) from error
