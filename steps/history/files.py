"""The Parquet history: which files it has, that they agree, and its rows in pieces of bounded size.

Rows of an item may lie anywhere. Columns may come from `key=value` directories; such values are text, and dates
where the timestamp column is one of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.history.column_types import EMPTY_TYPE, common_type, role_problem, value_type
from batchcast.steps.history.folders import (
    FUTURE_FOLDER,
    find_files,
    other_format,
    path_day,
    read_path_values,
    same_value,
    table_format,
)
from batchcast.steps.reading_note import reading

_UNIT_ROWS = 1 << 20
_INSTANT_REMEDY = 'Declare timezone in [series], "UTC" or as "Europe/Berlin", or write local times without a zone.'


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFile:
    """One Parquet file: rows a row group, values from its path, and those of columns that the file has too.

    `instants` are the INT96 columns; where `timezone` is given, they and zoned timestamps are read in it. A `future`
    file has rows of the steps after the run date only, and no value of what they are not known to be.
    """

    path: Path
    name: str
    rows: tuple[int, ...]
    path_values: Mapping[str, str | None]
    repeated_values: Mapping[str, str | None]
    instants: frozenset[str] = frozenset()
    timezone: str | None = None
    future: bool = False


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
    future = find_files(directory / FUTURE_FOLDER) if contract.series.future else []
    for path in [*find_files(directory), *future]:
        file, stored = _open_file(path, path.relative_to(directory).as_posix(), contract, future=path in future)
        files.append(file)
        for column, role in roles.items():
            if file.path_values.get(column, "") is not None or not file.future:
                problem = _add_type(column, role, file, stored, types)
                problems += [problem] if problem else []
    if contract.series.future and not future:
        what = f"there is no Parquet file, and future = {list(contract.series.future)} needs one."
        raise DataError(Problem("no_future", what, FUTURE_FOLDER, "Put the known rows there."))
    if len(files) == len(future):
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
    with reading(file.name):
        for table in _raw_tables(unit, columns, rows, ids):
            plain = []
            for column in columns:
                target = None if column in ids else types[column]
                there = column in table.schema.names
                stored = table.column(column) if there else _path_column(file, column, table, target)
                plain.append(_checked_column(stored, column, target, file))
            yield pa.table(plain, names=list(columns))


def _raw_tables(unit: Unit, columns: Sequence[str], rows: int, ids: Sequence[str]) -> Iterator[pa.Table]:
    parquet = _open_parquet(unit.file.path, [name for name in ids if name not in unit.file.path_values])
    stored = [name for name in columns if name not in unit.file.path_values] or parquet.schema_arrow.names[:1]
    gathered: list[pa.RecordBatch] = []
    count = total = 0
    for batch in parquet.iter_batches(rows, list(unit.groups), stored, use_threads=False):
        gathered.append(batch)
        count += batch.num_rows
        if count >= rows:
            yield pa.Table.from_batches(gathered)
            gathered, count, total = [], 0, total + count
    if gathered:
        yield pa.Table.from_batches(gathered)
    if total + count != unit.rows:
        # Arrow ends a column early without an error where the head of a damaged page says so.
        raise pa.ArrowInvalid(f"{total + count} rows are there of {unit.rows}")


def _path_column(file: HistoryFile, column: str, table: pa.Table, target: pa.DataType | None) -> pa.ChunkedArray:
    text = file.path_values[column]
    try:
        if text is not None and target is not None and pa.types.is_date(target):
            value = pa.array([path_day(text)], pa.date32())
        else:
            value = pa.array([text], pa.string())
    except ValueError as error:
        what = f"its folder says {column} = {text!r}, which is no day."
        raise DataError(Problem("path_date", what, file.name, f"Name the folder {column}=2026-01-31.")) from error
    return pa.chunked_array([value.take(pa.nulls(table.num_rows, pa.int8()).fill_null(0))])


def _checked_column(
    stored: pa.ChunkedArray, column: str, target: pa.DataType | None, file: HistoryFile
) -> pa.ChunkedArray:
    """The column as `target` (None: as it is stored), its texts known to be UTF-8, which Parquet does not promise."""
    try:
        if target is not None and pa.types.is_dictionary(stored.type):
            stored = stored.cast(stored.type.value_type)
        if pa.types.is_timestamp(stored.type) and (stored.type.tz is not None or column in file.instants):
            stored = _local(stored, file)
        if column in file.repeated_values:
            _check_repeated(stored, column, file)
        plain = stored if target is None else stored.cast(target)
        if target is None or pa.types.is_string(target):
            plain.validate(full=True)
    except pa.ArrowInvalid as error:
        what = f"column {column!r} cannot be read as {target or stored.type}: {error}."
        raise DataError(Problem("unreadable", what, file.name, "Write the file again.")) from error
    return plain


def _local(stored: pa.ChunkedArray, file: HistoryFile) -> pa.ChunkedArray:
    """Instants as the local times of the declared zone."""
    unit = stored.type.unit
    instants = stored if stored.type.tz is not None else stored.cast(pa.timestamp(unit, "UTC"))
    return pc.local_timestamp(instants.cast(pa.timestamp(unit, file.timezone)))


def _check_repeated(stored: pa.ChunkedArray, column: str, file: HistoryFile) -> None:
    """Raises DataError where a row says something else than the folder the file lies in."""
    text = file.repeated_values[column]
    values = stored.cast(pa.date32(), safe=False) if pa.types.is_timestamp(stored.type) else stored
    for value in pc.unique(values).to_pylist():
        if not same_value(text, value):
            what = f"its folder says {column} = {text!r}, and a row says {value!s}."
            raise DataError(Problem("path_contradicts", what, file.name, "Correct the file, or move it."))


def _roles(contract: ModelContract) -> dict[str, str]:
    history = contract.series
    roles = dict.fromkeys(contract.value_columns, "value") | dict.fromkeys(history.targets, "target")
    return roles | dict.fromkeys(history.item_id, "id") | {history.timestamp: "date"}


def _open_file(
    path: Path, name: str, contract: ModelContract, *, future: bool = False
) -> tuple[HistoryFile, pa.Schema]:
    with reading(name):
        try:
            parquet = _open_parquet(path)
            rows = tuple(parquet.metadata.row_group(n).num_rows for n in range(parquet.num_row_groups))
            stored, metadata = parquet.schema_arrow, parquet.metadata.metadata
            instants = _instants(parquet)
        except UnicodeDecodeError as error:
            what = f"has a column whose name is not UTF-8: {error.object!r}."
            raise DataError(Problem("not_parquet", what, name, "Write the file with another column name.")) from error
        except (OSError, pa.ArrowException) as error:
            what, remedy = other_format(path)
            raise DataError(Problem("not_parquet", f"{what}: {error}.", name, remedy)) from error
    table = table_format(metadata)
    if table is not None:
        what = f"is a data file of {table}, a table format: its rows may be deleted or replaced by other files."
        raise DataError(Problem("not_plain_parquet", what, name, "Export the table as plain Parquet files."))
    values = read_path_values(name)
    used = {*_roles(contract)} & {*values} & {*stored.names}
    series = contract.series
    if future:
        told = sorted({*series.targets} & {*stored.names, *values})
        if told:
            what = f"has the target {told[0]!r}: what is forecast is not known in the future."
            raise DataError(Problem("future_target", what, name, "Leave the column out there."))
        known = {*series.item_id, series.timestamp, *series.future}
        values |= dict.fromkeys(column for column in contract.value_columns if column not in known)
    return HistoryFile(
        path=path,
        name=name,
        rows=rows,
        path_values={key: value for key, value in values.items() if key not in stored.names},
        repeated_values={key: values[key] for key in used},
        instants=instants,
        timezone=series.timezone,
        future=future,
    ), stored


def _open_parquet(path: Path, ids: Sequence[str] = ()) -> pq.ParquetFile:
    return pq.ParquetFile(
        path,
        memory_map=True,
        read_dictionary=list(ids),
        coerce_int96_timestamp_unit="us",
        page_checksum_verification=True,
    )


def _instants(parquet: pq.ParquetFile) -> frozenset[str]:
    """The columns of INT96, which Spark and Hive write an instant in UTC as."""
    columns = [parquet.schema.column(n) for n in range(len(parquet.schema.names))]
    return frozenset(column.path for column in columns if column.physical_type == "INT96")


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
    if column in file.instants and file.timezone is None:
        what = f"column {column!r} is INT96, an instant in UTC: the day of a row depends on the reader's zone."
        return Problem("column_type", what, file.name, _INSTANT_REMEDY)
    if pa.types.is_timestamp(stored) and stored.tz is not None and file.timezone is not None:
        stored = pa.timestamp(stored.unit)
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
