"""What is the same in all rows of an item, in a table of its own: `_items.parquet` in the history's folder. The name
begins with `_`, so that no reader of the folder takes it for rows of history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchcast.steps.contract.series import Series
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.history.column_types import item_keys, join_ids, role_problem, value_type
from batchcast.steps.history.folders import STATIC_FILE

_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class StaticTable:
    """`keys` has the item of each row, `columns` those that the contract names."""

    keys: pa.Array
    columns: Mapping[str, pa.Array]

    def rows(self, ids: Sequence[pa.Array]) -> pa.Array:
        """The row of each of the items with these id columns, null where it has none."""
        return pc.index_in(item_keys(ids), value_set=self.keys)


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
    ids = [pc.cast(_plain(table.column(name)), pa.string()) for name in series.item_id]
    keys = item_keys(ids)
    _check_items(keys, ids)
    return StaticTable(keys, {name: _plain(table.column(name)) for name in series.static})


def _check_items(keys: pa.Array, ids: Sequence[pa.Array]) -> None:
    if keys.null_count:
        what = f"{keys.null_count} rows have no item id."
        raise DataError(Problem("static_table", what, STATIC_FILE, "Remove them."))
    codes = np.asarray(keys.dictionary_encode().indices)
    twice = np.flatnonzero(np.diff(np.maximum.accumulate(codes), prepend=-1) == 0)
    if len(twice):
        named = ", ".join(join_ids(ids).take(pa.array(twice[:_EXAMPLES])).to_pylist())
        what = f"{len(twice)} rows are of an item that another row is of: {named}."
        raise DataError(Problem("duplicate_item", what, STATIC_FILE, "Write one row an item."))


def _plain(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    array = array.dictionary_decode() if isinstance(array, pa.DictionaryArray) else array
    return array.cast(value_type(array.type))
