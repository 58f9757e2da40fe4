"""What is the same in all rows of an item, in a table of its own: `_items.parquet` in the history's folder. The name
begins with `_`, so that no reader of the folder takes it for rows of history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchcast.steps.contract.series import Series
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.history.column_types import role_problem, value_type
from batchcast.steps.history.folders import STATIC_FILE

_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class StaticTable:
    """`rows` has an item's row by the values of its id columns, `columns` those that the contract names."""

    rows: Mapping[tuple[str, ...], int]
    columns: Mapping[str, pa.Array]

    def values(self, column: str, items: Sequence[tuple[str, ...]]) -> pa.Array:
        """The column's value of each of the items, which have a row."""
        return self.columns[column].take(pa.array([self.rows[item] for item in items], pa.int64()))


def read_static_table(directory: Path, series: Series) -> StaticTable | None:
    """The table, None where the contract names no static column. Raises DataError for one that is not there, lacks a
    column, or has an item twice or not named."""
    if not series.static:
        return None
    try:
        stored = pq.ParquetFile(directory / STATIC_FILE)
        schema = stored.schema_arrow
    except (OSError, pa.ArrowException) as error:
        what = f"cannot be read, and static = {list(series.static)} needs it: {error}."
        remedy = f"Put a Parquet file with {', '.join((*series.item_id, *series.static))} there, a row an item."
        raise DataError(Problem("static_table", what, STATIC_FILE, remedy)) from error
    roles = dict.fromkeys(series.static, "value") | dict.fromkeys(series.item_id, "id")
    missing = [name for name in roles if len(schema.get_all_field_indices(name)) != 1]
    if missing:
        what = f"has no column {', '.join(missing)}, or has it twice; it has {', '.join(schema.names)}."
        raise DataError(Problem("missing_column", what, STATIC_FILE, "Correct the name there or in model.toml."))
    found = [role_problem(role, name, schema.field(name).type, STATIC_FILE) for name, role in roles.items()]
    problems = [problem for problem in found if problem is not None]
    if problems:
        raise DataError(*problems)
    table = stored.read(list(roles)).combine_chunks()
    ids = [pc.cast(_plain(table.column(name)), pa.string()).to_pylist() for name in series.item_id]
    items = list(zip(*ids, strict=True))
    rows = {item: row for row, item in enumerate(items)}
    _check_items(items, rows)
    return StaticTable(rows, {name: _plain(table.column(name)) for name in series.static})


def _check_items(items: Sequence[tuple[str | None, ...]], rows: Mapping[tuple[str | None, ...], int]) -> None:
    nameless = sum(None in item for item in rows)
    if nameless:
        raise DataError(Problem("static_table", f"{nameless} rows have no item id.", STATIC_FILE, "Remove them."))
    if len(rows) < len(items):
        twice = [item for row, item in enumerate(items) if rows[item] != row]
        named = ", ".join("/".join(map(str, item)) for item in twice[:_EXAMPLES])
        what = f"{len(twice)} rows are of an item that another row is of: {named}."
        raise DataError(Problem("duplicate_item", what, STATIC_FILE, "Write one row an item."))


def _plain(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    array = array.dictionary_decode() if isinstance(array, pa.DictionaryArray) else array
    return array.cast(value_type(array.type))
