"""What a run expects: `manifest.json` (written last), `records.parquet` and `baseline.parquet`.

Every item of the run is in `records.parquet`: in a shard, carried over from an earlier run, or quarantined with a
reason. Nothing in the three files depends on the clock or on how the history was split, so they can be compared.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.resources
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from batchcast.steps.arguments import parse_moment
from batchcast.steps.contract.answer import Expected
from batchcast.steps.contract.frequency import DAILY, parse_frequency
from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.reading_note import reading
from batchcast.steps.shards.request_text import PLAIN_TEXT, RequestText
from batchcast.steps.store.documents import Types, find_mismatch, parse_document, parse_table, table_parts
from batchcast.steps.store.objects import ObjectStore, atomic_write, join_uri, write_file

SCHEMA = 1
MANIFEST_FILE = "manifest.json"
RECORDS_FILE = "records.parquet"
BASELINE_FILE = "baseline.parquet"
_REMEDY = "Build the run again, with this version."
NULL_ITEM = "(null)"
"""The item that rows without an item id are counted under."""

# Null where an item has none: a quarantined or carried item has no shard, line, position, bytes and sha256.
RECORDS_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("shard", pa.string()),
        pa.field("line", pa.int32()),
        pa.field("position", pa.int32()),
        pa.field("bytes", pa.int64()),
        pa.field("sha256", pa.string()),
        pa.field("rows", pa.int32(), nullable=False),
        pa.field("first_date", pa.date32()),
        pa.field("last_date", pa.date32()),
        pa.field("quarantine_reason", pa.string()),
        pa.field("quarantine_detail", pa.string()),
        pa.field("carried", pa.bool_(), nullable=False),
    ]
)
# A row a record (in a shard or carried), step and target; the run date is step 0, and the steps before it are there
# for what is compared with the history. `naive` is null there and where the history has no such day, `actual` where
# the history has no value of that day, `scale` where the last 28 days are empty.
BASELINE_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("step", pa.int32(), nullable=False),
        pa.field("target", pa.string(), nullable=False),
        pa.field("naive", pa.float64()),
        pa.field("actual", pa.float64()),
        pa.field("scale", pa.float64()),
    ]
)
ROWS_A_GROUP = 1 << 17


class QuarantineReason(StrEnum):
    """Why an item was left out of the shards."""

    TOO_LARGE = "too_large"
    TOO_SHORT = "too_short"
    DUPLICATE_DATE = "duplicate_date"
    OFF_GRID = "off_grid"
    GAP = "gap"
    IMPLAUSIBLE_DATE = "implausible_date"
    NULL_KEY = "null_key"
    OUT_OF_RANGE = "out_of_range"
    NULL_CELL = "null_cell"
    MISSING_FUTURE = "missing_future"
    NO_STATIC = "no_static"
    NO_ANSWER = "no_answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One input object of the transform: `records` lines, `bytes` with their newlines; first and last line's item."""

    name: str
    records: int
    bytes: int
    first_item: str
    last_item: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """items = records + quarantined + carried. `bytes` and `rows` (history and future) are those of the shards.

    The records are sent in so many `requests`. `later_items` begin after the run date; they are no items of this run.
    """

    items: int
    records: int
    quarantined: int
    carried: int
    bytes: int
    rows: int
    later_items: int
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`run_date` is the last moment of history used, a date-time where the frequency is below a day; `frequency` is a
    pandas alias and `season` in steps. `parameters` are the step's arguments as they were given. `notes` say, a
    sentence each, what a person should know of how the history was read."""

    run_id: str
    run_date: date
    run_label: str
    forecast_horizon: int
    resume_from: str | None
    parameters: Mapping[str, str | int | float]
    contract_sha256: str
    code_version: str
    totals: Totals
    quarantined_by_reason: Mapping[str, int]
    shards: tuple[Shard, ...]
    frequency: str = DAILY.alias
    frequency_inferred: bool = False
    season: int = DAILY.season
    notes: tuple[str, ...] = ()
    request_text: RequestText = PLAIN_TEXT

    def expected(self, contract: ModelContract) -> Expected:
        """What every answer of the run must be."""
        frequency = parse_frequency(self.frequency)
        return Expected.of(contract.outputs, self.run_date, self.forecast_horizon, frequency, contract.request)

    def to_json(self) -> bytes:
        """Sorted keys and no clock: the same run has the same bytes."""
        rest = dataclasses.asdict(dataclasses.replace(self, shards=()))
        document = {"schema": SCHEMA, **rest, "run_date": self.run_date.isoformat(), "shards": []}
        text = json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True)
        if self.shards:
            # Indented JSON is written in Python, slowly, and there may be tens of thousands of shards.
            text = text.replace('"shards": []', f'"shards": [{",".join(map(_shard_json, self.shards))}\n  ]', 1)
        return text.encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes, *, where: str = MANIFEST_FILE) -> Manifest:
        """Raises DataError for a manifest of another schema or a damaged one."""
        try:
            document = parse_document(data, {"schema": int}, code="manifest", where=where, remedy=_REMEDY)
            schema = document.pop("schema")
            if schema == SCHEMA:
                if wrong := find_mismatch(document, _TYPES):
                    raise TypeError(wrong)
                document["run_date"] = parse_moment(document["run_date"])
                parse_frequency(document.get("frequency", DAILY.alias))
                if min(document["forecast_horizon"], document.get("season", DAILY.season)) < 1:
                    raise ValueError("its horizon and its season are at least one step")
                totals = document["totals"]
                document["totals"] = Totals(**totals | {"requests": totals.get("requests") or totals["records"]})
                document["request_text"] = RequestText(**document.get("request_text", {}))
                for shard in document["shards"]:
                    shard.pop("sha256", None)  # Of 0.1: nothing read it, and the records have digests of their own.
                document["notes"] = tuple(document.get("notes", ()))
                document["shards"] = tuple(Shard(**shard) for shard in document["shards"])
                return cls(**document)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            what = f"is not a manifest: {type(error).__name__} {error}."
            raise DataError(Problem("manifest", what, where, _REMEDY)) from error
        what = f"has schema {schema!r}; this version reads schema {SCHEMA}."
        raise DataError(Problem("manifest", what, where, "Build the run again with this version."))


_TYPES: Types = {
    "run_id": str,
    "run_date": str,
    "run_label": str,
    "forecast_horizon": int,
    "resume_from": str | None,
    "parameters": {"items_uri": str},
    "contract_sha256": str,
    "quarantined_by_reason": {"*": int},
    "notes?": [str],
    "totals": {("requests?" if name == "requests" else name): kind for name, kind in get_type_hints(Totals).items()},
    "shards": [get_type_hints(Shard)],
}


def _shard_json(shard: Shard) -> str:
    values = {field.name: getattr(shard, field.name) for field in dataclasses.fields(Shard)}
    flat = json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",\n      ", ": "))
    return f"\n    {{\n      {flat[1:-1]}\n    }}"


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write `manifest.json`: the commit marker, after everything it speaks of is there."""
    write_file(directory / MANIFEST_FILE, manifest.to_json())


def write_table(path: Path, batches: Iterable[pa.Table], schema: pa.Schema) -> None:
    """Write a Parquet file that appears whole; the same rows give the same bytes when cut into the same tables."""
    with atomic_write(path, path.parent) as stream, pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        for table in batches:
            writer.write_table(table.cast(schema), row_group_size=ROWS_A_GROUP)


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a run's local copy. Raises DataError when it is missing, damaged or of another schema."""
    path = directory / MANIFEST_FILE
    if not path.is_file():
        remedy = "The build did not finish: run it again."
        raise DataError(Problem("manifest", "there is no manifest, which is written last.", str(path), remedy))
    return Manifest.from_json(path.read_bytes(), where=str(path))


def read_records(directory: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A row an item, sorted by item id, with RECORDS_SCHEMA or some columns of it."""
    path = directory / RECORDS_FILE
    return parse_records(path, columns, where=str(path))


def stream_records(directory: Path, columns: Sequence[str], *, where: str = "") -> Iterator[pa.Table]:
    """The same in parts. Raises DataError for a damaged file."""
    path = directory / RECORDS_FILE
    parts = table_parts(path, columns, schema=RECORDS_SCHEMA, texts=(), code="manifest", remedy=_REMEDY, where=where)
    return (read() for read in parts)


def read_stored_run(store: ObjectStore, runs_uri: str, run_id: str) -> tuple[Manifest, pa.Table]:
    """The manifest of a run and its records. Raises ObjectMissingError, and DataError for damaged ones."""
    folder = join_uri(runs_uri, run_id, "manifest")
    manifest = Manifest.from_json(store.read(join_uri(folder, MANIFEST_FILE)), where=run_id)
    uri = join_uri(folder, RECORDS_FILE)
    return manifest, parse_records(store.read(uri), where=uri)


def parse_records(source: Path | bytes, columns: Sequence[str] | None = None, *, where: str) -> pa.Table:
    """A row an item, sorted by item id, with RECORDS_SCHEMA or some columns of it. Raises DataError for a damaged
    file."""
    return parse_table(source, columns, schema=RECORDS_SCHEMA, code="manifest", where=where, remedy=_REMEDY)


def read_baseline(directory: Path) -> pa.Table:
    """A row a record, step and target, sorted so, with BASELINE_SCHEMA."""
    path = directory / BASELINE_FILE
    return parse_table(path, schema=BASELINE_SCHEMA, code="manifest", where=str(path), remedy=_REMEDY)


def baseline_parts(directory: Path) -> Iterator[Callable[[], pa.Table]]:
    """What reads each part of it, with item_id and target as dictionaries. Raises DataError for a damaged file."""
    path, schema, texts = directory / BASELINE_FILE, BASELINE_SCHEMA, ("item_id", "target")
    return table_parts(path, schema.names, schema=schema, texts=texts, code="manifest", remedy=_REMEDY)


def count_baseline(directory: Path) -> int:
    """How many rows it has. Raises DataError for a damaged file."""
    path = directory / BASELINE_FILE
    with reading(str(path), code="manifest", remedy=_REMEDY):
        return int(pq.ParquetFile(path).metadata.num_rows)


def first_step(directory: Path) -> int:
    """The least of its steps, by what the file says of its row groups; 1 without any. Raises DataError for a damaged
    file."""
    path, at = directory / BASELINE_FILE, BASELINE_SCHEMA.get_field_index("step")
    with reading(str(path), code="manifest", remedy=_REMEDY):
        found = pq.ParquetFile(path).metadata
        columns = [found.row_group(number).column(at) for number in range(found.num_row_groups)]
        return min([1, *(int(column.statistics.min) for column in columns if column.num_values)])


def code_version() -> str:
    """A digest of this package's own source, the same from a directory and from a zipapp."""
    digest = hashlib.sha256()
    for name, source in sorted(_sources(importlib.resources.files("batchcast.steps"), ""), key=lambda pair: pair[0]):
        digest.update(name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _sources(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.name.startswith((".", "__pycache__")):
            continue
        if entry.is_dir():
            yield from _sources(entry, f"{prefix}{entry.name}/")
        elif not entry.name.endswith((".pyc", ".pyo")):
            yield prefix + entry.name, entry
