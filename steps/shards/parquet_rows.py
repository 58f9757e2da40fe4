"""Records as Parquet files, and a request of several as one file with a row group each. The bytes follow from the rows
and from pyarrow's version alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

# Without statistics and Arrow's schema a file of a hundred rows is half as long.
_OPTIONS: dict[str, Any] = {"compression": "snappy", "write_statistics": False, "store_schema": False}


def write_rows(*tables: pa.Table) -> bytes:
    """A Parquet file with a row group a table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, tables[0].schema, **_OPTIONS) as writer:
        for table in tables:
            writer.write_table(table, row_group_size=max(len(table), 1))
    return bytes(sink.getvalue().to_pybytes())


def join_files(files: Sequence[bytes]) -> bytes:
    """One file with the row group of each of the files, which have one schema."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if len(files) == 1:
        return files[0]
    return write_rows(*(pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False) for data in files))


def cut_file(file: bytes, place: int) -> bytes:
    """The row group at that place as a file of its own, as it was before it was joined."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    return write_rows(pq.ParquetFile(pa.BufferReader(file)).read_row_group(place, use_threads=False))
