"""The Parquet history: which files it has, that they agree, and its rows in pieces of bounded size.

Rows of an item may lie anywhere. Columns may come from `key=value` directories; such values are text, and dates
where the date column is one of them. Names that begin with `_` or `.` are no data, as everywhere in a data lake.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.history.column_types import EMPTY_TYPE, common_type, role_problem, value_type

__all__ = ["HistoryFile", "ParquetHistory", "Unit", "open_history", "read_unit"]

_UNIT_ROWS = 1 << 20
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
_NOT_PLAIN = {
    "_delta_log": "is a Delta table, whose files also hold deleted rows.",
    ".hoodie": "is a Hudi table, whose files also hold replaced rows.",
    "_temporary": "holds the unfinished output of a Spark job.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFile:
    """One Parquet file: rows a row group, the latest date a row group (None: no statistics), values from its path."""

    path: Path
    name: str
    rows: tuple[int, ...]
    latest: tuple[date | None, ...]
    path_values: Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Consecutive row groups of one file, about a million rows: what is counted or partitioned in one go."""

    number: int
    file: HistoryFile
    groups: range

    @property
    def rows(self) -> int:
        """Rows in the unit."""
        return sum(self.file.rows[group] for group in self.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetHistory:
    """All files, and the type every column the contract names is read as."""

    files: tuple[HistoryFile, ...]
    types: Mapping[str, pa.DataType]

    @property
    def rows(self) -> int:
        """Rows in all files."""
        return sum(sum(file.rows) for file in self.files)

    def units(self) -> list[Unit]:
        """Every row group, in exactly one unit."""
        found: list[Unit] = []
        for file in self.files:
            start = rows = 0
            for group, group_rows in enumerate(file.rows):
                rows += group_rows
                if rows >= _UNIT_ROWS or group + 1 == len(file.rows):
                    found.append(Unit(number=len(found), file=file, groups=range(start, group + 1)))
                    start, rows = group + 1, 0
        return found


def open_history(directory: Path, contract: ModelContract) -> ParquetHistory:
    """Find the files and compare their footers. Raises DataError with everything that does not fit the contract."""
    roles = _roles(contract)
    files: list[HistoryFile] = []
    types: dict[str, tuple[pa.DataType, str]] = {}
    problems: list[Problem] = []
    for path in _find_files(directory):
        file, stored = _open_file(path, path.relative_to(directory).as_posix(), contract.series.timestamp)
        files.append(file)
        for column, role in roles.items():
            problem = _add_type(column, role, file, stored, types)
            if problem:
                problems.append(problem)
    if not files:
        remedy = "Check HistoryUri."
        raise DataError(Problem("no_history", "there is no Parquet file.", str(directory), remedy))
    if problems:
        raise DataError(*problems)
    plain = {name: EMPTY_TYPE if pa.types.is_null(found) else found for name, (found, _) in types.items()}
    if plain[contract.series.timestamp] == EMPTY_TYPE:
        what = f"column {contract.series.timestamp!r} is null in every file."
        raise DataError(Problem("column_type", what, str(directory), "Write the dates."))
    return ParquetHistory(files=tuple(files), types=plain)


def read_unit(
    unit: Unit, columns: Sequence[str], types: Mapping[str, pa.DataType], *, rows: int, ids: Sequence[str] = ()
) -> Iterator[pa.Table]:
    """The unit's rows in file order, in tables of about `rows` rows. Columns in `ids` stay dictionary-encoded.

    Raises DataError naming the file and, where one is to blame, the column.
    """
    file = unit.file
    try:
        for table in _raw_tables(unit, columns, rows, ids):
            plain = []
            for column in columns:
                stored = table.column(column) if column in table.schema.names else _path_column(file, column, table)
                target = None if column in ids else types[column]
                plain.append(_checked_column(stored, column, target, file))
            yield pa.table(plain, names=list(columns))
    except (OSError, pa.ArrowInvalid) as error:
        what = f"cannot be read: {error}."
        raise DataError(Problem("unreadable", what, file.name, "Write the file again.")) from error


def _raw_tables(unit: Unit, columns: Sequence[str], rows: int, ids: Sequence[str]) -> Iterator[pa.Table]:
    parquet = pq.ParquetFile(
        unit.file.path,
        memory_map=True,
        read_dictionary=[name for name in ids if name not in unit.file.path_values],
        coerce_int96_timestamp_unit="us",
    )
    stored = [name for name in columns if name not in unit.file.path_values] or parquet.schema_arrow.names[:1]
    gathered: list[pa.RecordBatch] = []
    count = 0
    for batch in parquet.iter_batches(rows, list(unit.groups), stored, use_threads=False):
        gathered.append(batch)
        count += batch.num_rows
        if count >= rows:
            yield pa.Table.from_batches(gathered)
            gathered, count = [], 0
    if gathered:
        yield pa.Table.from_batches(gathered)


def _path_column(file: HistoryFile, column: str, table: pa.Table) -> pa.ChunkedArray:
    value = pa.array([file.path_values[column]], pa.string())
    return pa.chunked_array([value.take(pa.nulls(table.num_rows, pa.int8()).fill_null(0))])


def _checked_column(
    stored: pa.ChunkedArray, column: str, target: pa.DataType | None, file: HistoryFile
) -> pa.ChunkedArray:
    """The column as `target` (None: as it is stored), its texts known to be UTF-8, which Parquet does not promise."""
    try:
        if target is not None and pa.types.is_dictionary(stored.type):
            stored = stored.cast(stored.type.value_type)
        plain = stored if target is None else stored.cast(target)
        if target is None or pa.types.is_string(target):
            plain.validate(full=True)
    except pa.ArrowInvalid as error:
        what = f"column {column!r} cannot be read as {target or stored.type}: {error}."
        raise DataError(Problem("unreadable", what, file.name, "Write the file again.")) from error
    return plain


def _roles(contract: ModelContract) -> dict[str, str]:
    history = contract.series
    roles = dict.fromkeys(contract.value_columns, "value") | dict.fromkeys(history.targets, "target")
    return roles | dict.fromkeys(history.item_id, "id") | {history.timestamp: "date"}


def _find_files(directory: Path) -> list[Path]:
    found: list[Path] = []
    for folder, folders, names in os.walk(directory, followlinks=True):
        for name in folders:
            if name in _NOT_PLAIN:
                remedy = "Export it as plain Parquet files."
                raise DataError(Problem("not_plain_parquet", _NOT_PLAIN[name], folder, remedy))
        folders[:] = [name for name in folders if not name.startswith(("_", "."))]
        found.extend(Path(folder, name) for name in names if not name.startswith(("_", ".")))
    return sorted(found, key=lambda path: path.relative_to(directory).as_posix().encode())


def _open_file(path: Path, name: str, date_column: str) -> tuple[HistoryFile, pa.Schema]:
    try:
        parquet = pq.ParquetFile(path, memory_map=True, coerce_int96_timestamp_unit="us")
    except (OSError, pa.ArrowInvalid) as error:
        what = f"is not a Parquet file: {error}."
        raise DataError(Problem("not_parquet", what, name, "Remove it from HistoryUri or write it again.")) from error
    stored = parquet.schema_arrow
    path_values = {key: value for key, value in _path_values(name).items() if key not in stored.names}
    groups = [parquet.metadata.row_group(n) for n in range(parquet.num_row_groups)]
    latest = tuple(_latest(group, date_column, path_values) for group in groups)
    rows = tuple(group.num_rows for group in groups)
    return HistoryFile(path=path, name=name, rows=rows, latest=latest, path_values=path_values), stored


def _path_values(name: str) -> dict[str, str | None]:
    values: dict[str, str | None] = {}
    for part in name.split("/")[:-1]:
        key, equals, value = part.partition("=")
        if equals:
            values[unquote(key)] = None if value == _HIVE_NULL else unquote(value)
    return values


def _latest(group: pq.RowGroupMetaData, column: str, path_values: Mapping[str, str | None]) -> date | None:
    if column in path_values:
        return _iso_date(path_values[column])
    for n in range(group.num_columns):
        chunk = group.column(n)
        if chunk.path_in_schema == column and chunk.statistics is not None and chunk.statistics.has_min_max:
            try:
                latest = chunk.statistics.max
            except (OverflowError, ValueError):
                return None  # Beyond the years Python knows.
            return latest.date() if hasattr(latest, "date") else latest if isinstance(latest, date) else None
    return None


def _iso_date(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None  # Reading the column names the file.


def _add_type(
    column: str, role: str, file: HistoryFile, schema: pa.Schema, types: dict[str, tuple[pa.DataType, str]]
) -> Problem | None:
    """Bring one file's type of a column into `types` (type, and the first file that has it)."""
    if column in file.path_values:
        stored = pa.date32() if role == "date" else pa.string()
    elif len(schema.get_all_field_indices(column)) == 1:
        stored = schema.field(column).type
    else:
        there = ", ".join(schema.names)
        what = f"has no column {column!r}, or has it twice; it has {there}."
        return Problem("missing_column", what, file.name, "Correct the column's name in model.toml or in the file.")
    problem = role_problem(role, column, stored, file.name)
    if problem:
        return problem
    known, first = types.get(column, (pa.null(), file.name))
    plain = value_type(stored)
    common = common_type(known, plain)
    if common is None:
        what = f"column {column!r} is {plain} here and {known} in {first}."
        return Problem("schema_drift", what, file.name, "Write both files with the same type.")
    types[column] = (common, file.name if pa.types.is_null(known) else first)
    return None
