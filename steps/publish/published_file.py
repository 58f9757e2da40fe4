"""A published Parquet file, read row group by row group from a copy that is what its manifest promises."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batchcast.steps.answers.item_arrays import kept_file
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.reading_note import reading
from batchcast.steps.store.objects import ObjectStore

_CODE, _REMEDY = "published_file", "Roll back to another run, or publish this one again."
_COPIED_BYTES = 1 << 20


def open_published(store: ObjectStore, uri: str, promised: Mapping[str, Any]) -> pq.ParquetFile:
    """The file that lies at `uri`, copied to disk, from where it goes with what is returned.

    Raises DataError for another than the manifest has `promised`, ObjectMissingError for none.
    """
    digest, size = hashlib.sha256(), 0
    with kept_file() as copy, store.open(uri) as source:
        while data := source.read(_COPIED_BYTES):
            digest.update(data)
            size += copy.write(data)
        copy.flush()
        if digest.hexdigest() != promised["sha256"]:
            what = f"its {size} bytes are not the {promised['bytes']} bytes its manifest promises the digest of."
            raise DataError(Problem(_CODE, f"is not what its manifest promises: {what}", uri, _REMEDY))
        with reading(uri, code=_CODE, remedy=_REMEDY):
            return pq.ParquetFile(pa.memory_map(copy.name), page_checksum_verification=True)


def read_group(file: pq.ParquetFile, number: int, columns: Sequence[str] | None, uri: str) -> pa.Table:
    """Those of the columns that the file has, of one of its row groups. Raises DataError that names `uri`."""
    with reading(uri, code=_CODE, remedy=_REMEDY):
        return file.read_row_group(number, None if columns is None else list(columns))
