"""The rows of a few items out of a Parquet history on S3, without reading all of it.

Parts of files are fetched as Parquet's footers point to them: where a history is sorted by item, that is little. They
are fetched here and read in a process of their own.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from batchcast.session.guarded_read import ServedRanges, read_guarded, served_ranges
from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.reading_note import reading
from batchcast.steps.store.objects import DirectoryStore, ObjectStore, StoredObject, key_path, split_uri

_ENDINGS = (".parquet", ".parq", ".pq")


def copy_items(
    store: ObjectStore, s3: Any, prefix: str, target: Path, item_ids: Sequence[str], contract: ModelContract
) -> None:
    """Copy the rows of some items below `prefix` to `target`; every file keeps its name and its schema.

    `s3` is boto3's client. Raises DataError when there is no Parquet file.
    """
    folder = prefix.rstrip("/") + "/"
    found = [stored for stored in store.list(folder) if stored.uri.endswith(_ENDINGS)]
    if not found:
        raise DataError(Problem("no_history", "there is no Parquet file.", prefix, "Check --history."))

    def fetch(uri: str, start: int, end: int) -> bytes:
        if isinstance(store, DirectoryStore):
            with store.open(uri) as stream:
                stream.seek(start)
                return stream.read(end - start)
        bucket, key = split_uri(uri)
        data: bytes = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{end - 1}")["Body"].read()
        return data

    with served_ranges(fetch) as objects:
        read_guarded(_copy_rows, objects, folder, found, target, item_ids, contract)


def _copy_rows(
    objects: ServedRanges,
    folder: str,
    found: Sequence[StoredObject],
    target: Path,
    item_ids: Sequence[str],
    contract: ModelContract,
) -> None:
    import pyarrow.parquet as pq

    columns = contract.series.item_id
    parts = [item.split("/") for item in item_ids]
    # An id with more slashes than columns can be told apart in several ways: then every row may be one of its.
    wanted = None if any(len(part) != len(columns) for part in parts) else list(zip(*parts, strict=True))
    for stored in found:
        name = stored.uri.removeprefix(folder)
        in_path = dict(part.split("=", 1) for part in name.split("/")[:-1] if "=" in part)
        place = key_path(target, name)
        place.parent.mkdir(parents=True, exist_ok=True)
        with io.BufferedReader(_ObjectFile(objects, stored), 1 << 20) as stream, reading(stored.uri):
            schema = pq.read_schema(stream)
            choice = _choice(schema, columns, wanted, in_path)
            # Without `partitioning` the reader would take the values of the path for columns of the file.
            rows = pq.read_table(stream, filters=choice or None, partitioning=None) if choice is not None else None
            pq.write_table(schema.empty_table() if rows is None else rows, place)


def _choice(
    schema: Any, columns: Sequence[str], wanted: Sequence[Sequence[str]] | None, in_path: Mapping[str, str]
) -> list[tuple[str, str, list[Any]]] | None:
    """What the rows of a file must be: empty for any row, None when no row can be an item's."""
    import pyarrow as pa

    choice: list[tuple[str, str, list[Any]]] = []
    for column, values in zip(columns, wanted or (), strict=False):
        if column in in_path:
            if unquote(in_path[column]) not in values:
                return None
        elif pa.types.is_integer(schema.field(column).type):
            choice.append((column, "in", [int(value) for value in values if value.lstrip("-").isdigit()]))
        elif pa.types.is_string(schema.field(column).type) or pa.types.is_large_string(schema.field(column).type):
            choice.append((column, "in", list(values)))
    return choice


class _ObjectFile(io.RawIOBase):
    """An object as a file that can be read from any place."""

    def __init__(self, objects: ServedRanges, stored: StoredObject) -> None:
        self._objects = objects
        self._uri, self._size = stored.uri, stored.size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self._size)
        if self._at >= end:
            return 0
        data = self._objects.read(self._uri, self._at, end)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
