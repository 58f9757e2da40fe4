"""The files of the history's directory, and what their folders say of them.

Columns may come from `key=value` folders; such values are text. Names that begin with `_` or `.` are no data, as
everywhere in a data lake. What would be read twice, never end or belong to a table format is refused.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, unquote_to_bytes

from batchcast.steps.errors import ConfigError, DataError, Problem

STATIC_FILE = "_items.parquet"
"""The table of what is the same in all rows of an item."""
FUTURE_FOLDER = "_future"
"""The folder in the history's with what is known of the steps after the run date."""
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
_PARTS = {
    "_delta_log": "is a Delta table, whose files also hold deleted rows.",
    ".hoodie": "is a Hudi table, whose files also hold replaced rows.",
    "_temporary": "holds the unfinished output of a Spark job.",
}
_ICEBERG = "is an Iceberg table, whose files also hold deleted rows."
_FORMATS = {
    "iceberg": "Iceberg",
    "hoodie": "Hudi",
    "hudi": "Hudi",
    "delta": "Delta",
    "paimon": "Paimon",
    "lakesoul": "LakeSoul",
}
_DAY = re.compile(r"(\d{4})(-?)(\d\d)\2(\d\d)(?:[ T]00:00:00(?:\.0+)?)?")
_EXPORT = "Export it as plain Parquet files: spark.table(…).write.parquet(…), or SELECT through a query engine."
_PANDAS = "python -c \"import pandas as pd; pd.{read}.to_parquet('{to}')\""


def find_files(directory: Path) -> list[Path]:
    """Every data file, in the order of the names' bytes. Raises DataError with what cannot be history."""
    files = list(_walk(directory))
    named = [path for path in files if not _is_utf8(path)]
    if named:
        what = f"the name {os.fsencode(named[0].relative_to(directory))!r} is not UTF-8, as an object's key is."
        raise DataError(Problem("file_name", what, str(directory), "Rename it."))
    return sorted(files, key=lambda path: os.fsencode(path.relative_to(directory)))


def history_folder(history: str, folder: Path) -> Path:
    """The directory of a history on this machine: itself, or `folder` with a link to the one Parquet file it is.

    Raises ConfigError for a file of another format, with the line that converts it, and where there is nothing.
    """
    path = Path(history).resolve()
    if path.is_dir():
        return path
    if not path.is_file():
        what = "there is no such directory or file."
        raise ConfigError(Problem("history", what, history, "Name Parquet files or their directory, or s3://…"))
    if path.suffix != ".parquet":
        what, remedy = other_format(path)
        raise ConfigError(Problem("history", f"{what}.", history, remedy))
    folder.mkdir(parents=True, exist_ok=True)
    for file in (path, path.with_name(STATIC_FILE), path.with_name(FUTURE_FOLDER)):
        link = folder / file.name
        if link.is_symlink() and link.resolve() == file and file.exists():
            continue
        link.unlink(missing_ok=True)
        if file.exists():
            link.symlink_to(file)
    return folder


def read_path_values(name: str) -> dict[str, str | None]:
    """The `key=value` folders of a file. Raises DataError where one key has two values, or one is no UTF-8."""
    values: dict[str, str | None] = {}
    for part in name.split("/")[:-1]:
        key, equals, text = part.partition("=")
        if not equals:
            continue
        _check_utf8(name, part)
        key, value = unquote(key), None if text == _HIVE_NULL else unquote(text)
        if values.setdefault(key, value) != value:
            what = f"its folders say {key} = {values[key]!r} and {key} = {value!r}."
            raise DataError(Problem("path_contradicts", what, name, "Move the file, or name one of the folders else."))
    return values


def _check_utf8(name: str, folder: str) -> None:
    """Each byte that is none would be read as the same sign: two items could become one."""
    raw = unquote_to_bytes(folder)
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        what = f"the folder {folder} is not percent-encoded UTF-8."
        named = quote(raw.decode("latin-1"), safe="= ")
        raise DataError(Problem("folder_name", what, name, f"Rename it; if that is Latin-1, to {named}.")) from error


def path_day(text: str) -> date:
    """The day of a folder `date=2026-01-31`, also as 20260131 or with a midnight, as Hive and pandas write it. Raises
    ValueError for any other text."""
    found = _DAY.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return date(int(found[1]), int(found[3]), int(found[4]))


def same_value(text: str | None, value: Any) -> bool:
    """Whether a folder's text says the value of a row."""
    if text is None or value is None:
        return text is None and value is None
    if isinstance(value, bool):
        return text.lower() == str(value).lower()
    try:
        if isinstance(value, datetime | date):
            day = value.date() if isinstance(value, datetime) else value
            return datetime.fromisoformat(text).date() == day
        return text == value if isinstance(value, str) else type(value)(text) == value
    except (ValueError, ArithmeticError):
        return False


def table_format(metadata: Mapping[bytes, bytes] | None) -> str | None:
    """The table format that a Parquet footer names, None for none."""
    for key in metadata or {}:
        name = key.lower().decode("utf-8", "replace")
        for word, called in _FORMATS.items():
            # "delta" alone is a common word; a format's keys have its name in front.
            if name.startswith((f"{word}.", f"{word}_", f"org.apache.{word}")):
                return called
    return None


def other_format(path: Path) -> tuple[str, str]:
    """What a file that is not Parquet is, and the line that converts it."""
    with path.open("rb") as stream:
        start = stream.read(8)
    target = path.with_suffix(".parquet").name
    if start.startswith((b"ARROW1", b"FEA1")):
        return "is an Arrow file, not Parquet", _PANDAS.format(read=f"read_feather('{path.name}')", to=target)
    if start.startswith(b"ORC"):
        return "is an ORC file, not Parquet", _PANDAS.format(read=f"read_orc('{path.name}')", to=target)
    if any(suffix in (".csv", ".tsv", ".txt") for suffix in path.suffixes):
        read = f"read_csv('{path.name}', parse_dates=['date'])"
        return "is a CSV file, not Parquet", _PANDAS.format(read=read, to=target)
    if any(suffix in (".json", ".jsonl", ".ndjson") for suffix in path.suffixes):
        return "is a JSON file, not Parquet", _PANDAS.format(read=f"read_json('{path.name}', lines=True)", to=target)
    return "is not a Parquet file", "Remove it from HistoryUri or write it again."


def _walk(directory: Path) -> Iterator[Path]:
    seen: dict[tuple[int, int], str] = {}
    for folder, folders, names in os.walk(directory, followlinks=True):
        _check_once(folder, seen)
        _check_plain(folder, folders, names)
        folders[:] = [name for name in folders if not name.startswith(("_", "."))]
        for name in names:
            if not name.startswith(("_", ".")):
                path = Path(folder, name)
                _check_regular(path)
                yield path


def _check_once(folder: str, seen: dict[tuple[int, int], str]) -> None:
    """A folder that a link leads to a second time would count its rows twice, or never end."""
    status = Path(folder).stat()
    first = seen.setdefault((status.st_dev, status.st_ino), folder)
    if first != folder:
        what = f"a link leads to {_printable(first)} a second time: its rows would count twice."
        raise DataError(Problem("link_loop", what, _printable(folder), "Remove the link."))


def _check_plain(folder: str, folders: list[str], names: list[str]) -> None:
    for name in folders:
        if name in _PARTS:
            raise DataError(Problem("not_plain_parquet", _PARTS[name], _printable(folder), _EXPORT))
    if any(name.endswith(".metadata.json") or name == "version-hint.text" for name in names):
        raise DataError(Problem("not_plain_parquet", _ICEBERG, _printable(folder), _EXPORT))


def _check_regular(path: Path) -> None:
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        what = f"cannot be read: {error.strerror}."
        raise DataError(Problem("unreadable", what, _printable(str(path)), "Remove it from HistoryUri.")) from error
    if not regular:
        what = "is a pipe, socket or device, not a file."
        raise DataError(Problem("not_parquet", what, _printable(str(path)), "Remove it from HistoryUri."))


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _printable(path: str) -> str:
    return path.encode(errors="backslashreplace").decode()
