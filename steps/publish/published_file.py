"""A published Parquet file, read row group by row group from a copy that is what its manifest promises."""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchcast.steps.answers.item_arrays import kept_file
from batchcast.steps.errors import ConfigError, DataError, Problem
from batchcast.steps.reading_note import reading
from batchcast.steps.store.objects import ObjectStore

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
            remedy = "Roll back to another run, or publish this one again."
            raise DataError(Problem("published_file", f"is not what its manifest promises: {what}", uri, remedy))
        with reading(uri):
            return pq.ParquetFile(pa.memory_map(copy.name), page_checksum_verification=True)


def read_group(file: pq.ParquetFile, number: int, columns: Sequence[str] | None, uri: str) -> pa.Table:
    """Those of the columns that the file has, of one of its row groups. Raises DataError that names `uri`."""
    with reading(uri):
        return file.read_row_group(number, None if columns is None else list(columns))


def chosen_rows(
    store: ObjectStore,
    prefix: str,
    files: Sequence[Mapping[str, Any]],
    columns: Sequence[str] | None = None,
    items: Sequence[str] | None = None,
    dates: pa.Array | None = None,
) -> Iterator[pa.Table]:
    """The rows of these items, which are in order, on these dates: parts in order, at least one, which may be empty.

    `files` are what the manifest says of those below `prefix`. Of a few items only the files and row groups are read
    that may have them. Raises ConfigError for a column that there is not.
    """
    if items is None and len(files) > 1:
        for each in files:
            yield from chosen_rows(store, prefix, [each], columns, None, dates)
        return
    middle = len(files) // 2
    uri = prefix + files[middle]["name"]
    file = open_published(store, uri, files[middle])
    if unknown := sorted({*(columns or ())} - {*file.schema_arrow.names}):
        remedy = f"Choose from {', '.join(file.schema_arrow.names)}."
        raise ConfigError(Problem("columns", f"there is no column {', '.join(unknown)}.", uri, remedy))
    names = file.schema_arrow.names if columns is None else list(columns)
    bounds = [_bounds(file, number) for number in range(file.num_row_groups)]
    before, after = files[:middle], files[middle + 1 :]
    # An item may begin in one file and end in the next.
    if before and items and (some := _between(items, None, bounds[0][0])):
        yield from chosen_rows(store, prefix, before, columns, some, dates)
    yield file.schema_arrow.empty_table().select(names)
    for number, (first, last) in enumerate(bounds):
        some = _between(items or (), first, last)
        if some or items is None:
            read = {*names, *(["item_id"] if some else []), *([] if dates is None else ["forecast_date"])}
            table = read_group(file, number, [*read], uri)
            if some:
                table = table.filter(pc.is_in(table["item_id"], value_set=pa.array(some, pa.string())))
            if dates is not None:
                table = table.filter(pc.is_in(table["forecast_date"].cast(dates.type), value_set=dates))
            yield table.select(names)
    if after and items and (some := _between(items, bounds[-1][1], None)):
        yield from chosen_rows(store, prefix, after, columns, some, dates)


def _bounds(file: pq.ParquetFile, number: int) -> tuple[str | None, str | None]:
    """The first and the last item of a row group; None where it does not say."""
    group = file.metadata.row_group(number)
    column = group.column(file.schema_arrow.get_field_index("item_id")).statistics
    return (column.min, column.max) if column is not None and column.has_min_max else (None, None)


def _between(items: Sequence[str], first: str | None, last: str | None) -> Sequence[str]:
    start = 0 if first is None else bisect_left(items, first)
    return items[start : len(items) if last is None else bisect_right(items, last)]
