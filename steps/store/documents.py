"""Stored documents and tables, read as what a stranger may have left: empty, cut, foreign, deep, of other types."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any

from batchcast.steps.errors import DataError, Problem
from batchcast.steps.reading_note import reading

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_BYTES = 256 << 20
"""A manifest of a million shards is smaller; what is larger is none of ours, and would take the memory of the step."""

Types = Mapping[str, type | UnionType]


def parse_document(
    data: bytes,
    types: Types,
    *,
    code: str,
    where: str,
    remedy: str,
    shorten: Callable[[dict[str, Any]], Any] | None = None,
) -> dict[str, Any]:
    """The JSON object in `data`, which has a value of its type under each of the keys of `types`.

    A truth value is no number. `shorten` gives what to keep of each object in it, as soon as it is read. Raises
    DataError with `code` that says what is wrong with it.
    """
    wrong = ""
    document: Any = None
    if len(data) > _MOST_BYTES:
        wrong = f"it has {len(data):,} bytes; at most {_MOST_BYTES:,} are read"
    elif not data.strip():
        wrong = "it is empty"
    else:
        try:
            document = json.loads(data, object_hook=shorten)
        except (ValueError, RecursionError) as error:
            wrong = f"it is not JSON ({type(error).__name__}: {str(error)[:200]})"
    wrong = wrong or find_mismatch(document, types)
    if wrong:
        raise DataError(Problem(code, f"is damaged: {wrong}.", where, remedy))
    assert isinstance(document, dict)
    return document


def parse_table(
    source: Path | bytes,
    columns: Sequence[str] | None = None,
    *,
    schema: pa.Schema | None = None,
    code: str = "stored_table",
    where: str,
    remedy: str,
) -> pa.Table:
    """The rows of a Parquet file, some of its columns or those of the schema, all of which it must have.

    Raises DataError with `code` that names `where`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with reading(where, code=code, remedy=remedy):
        opened = io.BytesIO(source) if isinstance(source, bytes) else source
        file = pq.ParquetFile(opened, page_checksum_verification=True)
        if schema is not None and file.schema_arrow.names != schema.names:
            raise ValueError(f"its columns are {', '.join(file.schema_arrow.names)[:200]}")
        names = None if columns is None else list(columns)
        table = file.read(names)
        if table.num_rows != file.metadata.num_rows:
            raise ValueError(f"{table.num_rows} rows are there of {file.metadata.num_rows}")
        if schema is None:
            return table
        return table.cast(pa.schema([schema.field(name) for name in names or schema.names]))


def stream_table(
    path: Path, columns: Sequence[str], *, schema: pa.Schema, texts: Sequence[str], code: str, remedy: str
) -> Iterator[pa.Table]:
    """Some columns of a Parquet file that has this schema, a row group at a time; those in `texts` as dictionaries.

    Raises DataError with `code` that names the file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    where = str(path)
    with reading(where, code=code, remedy=remedy):
        file = pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=list(texts))
        if file.schema_arrow.names != schema.names:
            raise ValueError(f"its columns are {', '.join(file.schema_arrow.names)[:200]}")
    encoded = pa.dictionary(pa.int32(), pa.string())
    fields = [schema.field(name) for name in columns]
    wanted = pa.schema([field.with_type(encoded) if field.name in texts else field for field in fields])
    for number in range(file.num_row_groups):
        with reading(where, code=code, remedy=remedy):
            table = file.read_row_group(number, list(columns)).cast(wanted)
            if table.num_rows != file.metadata.row_group(number).num_rows:
                raise ValueError(f"row group {number} has only {table.num_rows} of its rows")
        yield table


def find_mismatch(document: Any, types: Types) -> str:
    """What of the document is not of these types, empty when all is."""
    if not isinstance(document, dict):
        return f"it is a {type(document).__name__} and no object"
    for key, kind in types.items():
        if key not in document:
            return f"it has no {key!r}"
        value = document[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            return f"{key!r} is {type(value).__name__}"
    return ""
