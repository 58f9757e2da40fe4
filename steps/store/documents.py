"""Stored documents and tables, read as what a stranger may have left: empty, cut, foreign, deep, of other types."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeAlias

from batchcast.steps.errors import ConfigError, DataError, Problem
from batchcast.steps.reading_note import reading

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_BYTES = 256 << 20
"""A manifest of a million shards is smaller; what is larger is none of ours, and would take the memory of the step."""

Kind: TypeAlias = "type | UnionType | Mapping[str, Kind] | list[Kind]"
"""A type, the keys of an object, or the one kind that all values of a list have. A key that ends with `?` may be
missing or null, and `*` is any other key."""
Types = Mapping[str, Kind]


def read_file(path: Path, code: str, remedy: str = "") -> bytes:
    """The bytes of a user's file. Raises ConfigError with `code` for one that cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(Problem(code, f"cannot be read: {error.strerror}.", str(path), remedy)) from error


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
    wrong, document = "", None
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


def table_parts(
    path: Path,
    columns: Sequence[str],
    *,
    schema: pa.Schema,
    texts: Sequence[str],
    code: str,
    remedy: str,
    where: str = "",
) -> Iterator[Callable[[], pa.Table]]:
    """What reads each row group of a Parquet file that has this schema: some columns, those in `texts` as dictionaries.

    Threads may read at once: each opens the file for itself, as Arrow reads from an open one with one thread at a time
    (pyarrow 25, 2026-11-29). Raises DataError with `code` that names `where`, or the file; so does each of them.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    where = where or str(path)
    with reading(where, code=code, remedy=remedy), pq.ParquetFile(path) as file:
        if file.schema_arrow.names != schema.names:
            raise ValueError(f"its columns are {', '.join(file.schema_arrow.names)[:200]}")
        known = file.metadata
    encoded = pa.dictionary(pa.int32(), pa.string())
    fields = [schema.field(name) for name in columns]
    wanted = pa.schema([field.with_type(encoded) if field.name in texts else field for field in fields])

    def read(number: int) -> pa.Table:
        with (
            reading(where, code=code, remedy=remedy),
            pq.ParquetFile(path, metadata=known, page_checksum_verification=True, read_dictionary=list(texts)) as file,
        ):
            table = file.read_row_group(number, list(columns), use_threads=False).cast(wanted)
            if table.num_rows != known.row_group(number).num_rows:
                raise ValueError(f"row group {number} has only {table.num_rows} of its rows")
        return table

    return (partial(read, number) for number in range(known.num_row_groups))


def find_mismatch(value: Any, kind: Kind) -> str:
    """What of the value is not of this kind, empty when all is; a truth value is no number."""
    return next(_mismatches(value, kind, ""), "")


def _mismatches(value: Any, kind: Kind, path: str) -> Iterator[str]:
    if isinstance(kind, Mapping):
        if isinstance(value, dict):
            yield from _wrong_keys(value, kind, f"{path}." if path else "")
        else:
            yield f"{repr(path) if path else 'it'} is a {type(value).__name__} and no object"
    elif isinstance(kind, list):
        if isinstance(value, list):
            for at, one in enumerate(value):
                yield from _mismatches(one, kind[0], f"{path}[{at}]")
        else:
            yield f"{path!r} is {type(value).__name__}"
    # A number without a fraction is written without one.
    elif not isinstance(value, (kind | int) if kind is float else kind) or (
        isinstance(value, bool) and kind is not bool
    ):
        yield f"{path!r} is {type(value).__name__}"


def _wrong_keys(document: Mapping[str, Any], kinds: Types, inside: str) -> Iterator[str]:
    for key, kind in kinds.items():
        if key in document and type(document[key]) is kind:
            continue  # what nearly all are, of which there may be millions
        name = key.removesuffix("?")
        if key == "*":
            for other in [other for other in document if other not in kinds and f"{other}?" not in kinds]:
                yield from _mismatches(document[other], kind, inside + other)
        elif name not in document:
            if name == key:
                yield f"it has no {inside + name!r}"
        elif name == key or document[name] is not None:
            yield from _mismatches(document[name], kind, inside + name)
