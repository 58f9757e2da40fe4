"""The bytes of an answer as one document, by its content type: JSON, JSON lines, CSV or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["ANSWER_TYPES", "decode_answer"]


def decode_answer(data: bytes, content_type: str) -> Any:
    """The document that paths are evaluated on. Raises ValueError or RecursionError for what cannot be read.

    application/json is the document itself; application/jsonlines is the list of its lines, or the one line; text/csv
    is a list of rows, cells as numbers where they are numbers; application/x-parquet maps each column to its values.
    """
    return ANSWER_TYPES[content_type](data)


def _json_lines(data: bytes) -> Any:
    lines = [json.loads(line) for line in data.decode("utf-8").split("\n") if line.strip()]
    return lines[0] if len(lines) == 1 else lines


def _csv(data: bytes) -> list[list[Any]]:
    rows = csv.reader(io.StringIO(data.decode("utf-8"), newline=""))
    return [[_cell(cell) for cell in row] for row in rows if row]


def _cell(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _parquet(data: bytes) -> dict[str, list[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(io.BytesIO(data), page_checksum_verification=True).read()
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"not Parquet: {error}") from error
    columns = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("us")).cast(pa.string())
        elif pa.types.is_date(column.type):
            column = column.cast(pa.string())
        columns[name] = column.to_pylist()
    return columns


ANSWER_TYPES: Mapping[str, Callable[[bytes], Any]] = {
    "application/json": lambda data: json.loads(data.decode("utf-8")),
    "application/jsonlines": _json_lines,
    "text/csv": _csv,
    "application/x-parquet": _parquet,
}
"""Content types that can be read."""
