"""The run that was published last: what this run's forecasts are compared with, and may be filled up from."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchcast.steps.answers.item_arrays import kept_array
from batchcast.steps.answers.item_names import ItemPlaces
from batchcast.steps.arguments import parse_moment
from batchcast.steps.errors import DataError
from batchcast.steps.outcome.comparison import Array
from batchcast.steps.publish.forecast_table import SOURCE_RUN, moment_array
from batchcast.steps.publish.publication import Pointer, publication_uri, read_pointer, read_publication
from batchcast.steps.publish.published_file import open_published, read_group
from batchcast.steps.reading_note import reading
from batchcast.steps.store.objects import ObjectMissingError, ObjectStore

GATE_PAIRS = 12
"""How many earlier runs say what is usual, at most."""
_LONGEST_CHAIN = 3 * GATE_PAIRS


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """An earlier publication: its run, how many items it has, what it forecasts, and the URIs of its Parquet files in
    item order."""

    run_id: str
    run_date: date
    items: int
    columns: tuple[str, ...]
    files: tuple[str, ...]
    manifest: Mapping[str, Any]


def read_last_run(store: ObjectStore, publish_uri: str, run_id: str, run_date: date) -> LastRun | None:
    """The publication that `latest.json` named when `run_id` was published, or names now; None without any.

    A run that is decided again is thus compared with the same run as before. A publication that has been removed is
    none. Neither is one of a later run date: it was made with days that this run forecasts.
    """
    try:
        previous = read_publication(store, publish_uri, run_date, run_id)["previous"]
    except DataError:  # not published, or a manifest that is written anew
        pointer = _readable_pointer(store, publish_uri)
        earlier = (
            pointer is not None and pointer.run_date.isoformat() <= run_date.isoformat() and pointer.run_id != run_id
        )
        previous = {"run_id": pointer.run_id, "run_date": pointer.run_date.isoformat()} if pointer and earlier else None
    return _published(store, publish_uri, previous)


def current_run(store: ObjectStore, publish_uri: str) -> LastRun | None:
    """The publication that readers see; None without any that is readable."""
    pointer = _readable_pointer(store, publish_uri)
    named = {"run_id": pointer.run_id, "run_date": pointer.run_date.isoformat()} if pointer else None
    return _published(store, publish_uri, named)


def _published(store: ObjectStore, publish_uri: str, named: Mapping[str, str] | None) -> LastRun | None:
    """The publication of the run that a manifest or the pointer names; None without one, and when it was removed."""
    if named is None:
        return None
    last_date, last_id = parse_moment(named["run_date"]), named["run_id"]
    try:
        manifest = read_publication(store, publish_uri, last_date, last_id)
    except ObjectMissingError:
        return None
    except DataError as error:
        sys.stderr.write(f"the last run is not compared with: {error}\n")
        return None
    prefix = publication_uri(publish_uri, last_date, last_id)
    return LastRun(
        run_id=last_id,
        run_date=last_date,
        items=manifest["counts"]["ok"],
        columns=tuple(output["name"] for output in manifest["outputs"]),
        files=tuple(prefix + file["name"] for file in manifest["files"]),
        manifest=manifest,
    )


def _readable_pointer(store: ObjectStore, publish_uri: str) -> Pointer | None:
    try:
        return read_pointer(store, publish_uri)[0]
    except DataError as error:
        sys.stderr.write(f"there is no run to compare with: {error}\n")
        return None


def values_of(
    store: ObjectStore,
    last_run: LastRun | None,
    item_ids: pa.ChunkedArray,
    columns: Sequence[str],
    dates: Sequence[str],
) -> tuple[Array, Array]:
    """The last run's values on these dates, and at its first steps, as many; both items x dates x columns.

    NaN where it has none, and all of them if it forecast other columns.
    """
    shape = len(item_ids), len(dates), len(columns)
    nothing = np.broadcast_to(np.nan, shape), np.broadcast_to(np.nan, shape)
    if last_run is None or not {*columns} <= {*last_run.columns}:
        return nothing
    by_date, by_step = kept_array(shape), kept_array(shape)
    items = ItemPlaces(item_ids)
    moments, steps = moment_array(dates), pa.array(range(1, len(dates) + 1), pa.int32())
    try:
        for table in _parts(store, last_run, ["item_id", "forecast_date", "step"], columns):
            item = items.of(table["item_id"].dictionary_encode())
            for values, column, wanted in (
                (by_date, table["forecast_date"].cast(moments.type), moments),
                (by_step, table["step"], steps),
            ):
                place = pc.index_in(column, value_set=wanted)
                known = (item >= 0) & pc.is_valid(place).to_numpy()
                at = (item[known], pc.fill_null(place, 0).to_numpy()[known])
                for number, name in enumerate(columns):
                    values[(*at, number)] = table[name].to_numpy()[known]
    except DataError as error:
        not_compared(last_run, error)
        return nothing
    return by_date, by_step


def reference_run(store: ObjectStore, publish_uri: str, last_run: LastRun | None) -> tuple[LastRun | None, list[Any]]:
    """The run that a new one is compared with, and what the runs up to it measured, the newest first.

    A run that was published by an approval is passed over, and says nothing of what is usual, unless the approval
    makes it the reference.
    """
    reference: LastRun | None = None
    measured: list[Any] = []
    for run in earlier_runs(store, publish_uri, last_run):
        approved = run.manifest.get("approved")
        if approved is None or approved["as_reference"]:
            reference = reference or run
            if run.manifest["measured"] is not None:
                measured.append(run.manifest["measured"])
        if len(measured) == GATE_PAIRS:
            break
    return reference, measured


def earlier_runs(store: ObjectStore, publish_uri: str, last_run: LastRun | None) -> Iterator[LastRun]:
    """The run, the one that was published last before it, and so on."""
    for _ in range(_LONGEST_CHAIN):
        if last_run is None:
            return
        yield last_run
        last_run = _published(store, publish_uri, last_run.manifest["previous"])


def forecasts_of(
    store: ObjectStore, last_run: LastRun | None, item_ids: Sequence[str], targets: Sequence[str], dates: Sequence[str]
) -> pa.Table | None:
    """The last run's rows of these items on these dates: item_id, forecast_date, source_run_id and the targets; None
    without any, or if it had other targets."""
    if last_run is None or not {*targets} <= {*last_run.columns}:
        return None
    wanted = pa.array(list(item_ids), pa.string())
    days = moment_array(dates)
    found = []
    try:
        for table in _parts(store, last_run, ["item_id", "forecast_date", SOURCE_RUN], targets):
            both = pc.and_(pc.is_in(table["item_id"], wanted), pc.is_in(table["forecast_date"].cast(days.type), days))
            found.append(table.filter(both))
    except DataError as error:
        not_compared(last_run, error)
        return None
    rows = pa.concat_tables(found) if found else None
    return rows if rows is not None and rows.num_rows else None


def published_parts(store: ObjectStore, last_run: LastRun, targets: Sequence[str]) -> Iterator[pa.Table]:
    """All rows that the last run has published, a part at a time. Raises DataError where a file cannot be read."""
    return _parts(store, last_run, ["item_id", "forecast_date", "step", "source", SOURCE_RUN], targets)


def items_beside(
    store: ObjectStore, last_run: LastRun, item_ids: pa.ChunkedArray
) -> tuple[npt.NDArray[np.bool_], list[str]] | None:
    """Which of these items the last run has published, and the others that it has; None where it cannot be read."""
    shared, others, items = kept_array((len(item_ids),), np.bool_), dict[str, None](), ItemPlaces(item_ids)
    try:
        for table in _parts(store, last_run, ["item_id"], ()):
            names = pa.chunked_array([pc.unique(table["item_id"].cast(pa.string()))]).dictionary_encode()
            place = items.of(names)
            shared[place[place >= 0]] = True
            others |= dict.fromkeys(names.filter(pa.array(place < 0)).to_pylist())
    except DataError as error:
        not_compared(last_run, error)
        return None
    return shared, list(others)


def not_compared(last_run: LastRun, error: DataError) -> None:
    """Say it in the log."""
    sys.stderr.write(f"run {last_run.run_id} is not compared with, a file of it cannot be read: {error}\n")


def _parts(store: ObjectStore, last_run: LastRun, columns: Sequence[str], targets: Sequence[str]) -> Iterator[pa.Table]:
    """Its row groups, in order, after all files were found to be what the manifest promises."""
    promised = zip(last_run.files, last_run.manifest["files"], strict=True)
    files = [(uri, open_published(store, uri, file)) for uri, file in promised]
    names = [name for name in (*columns, *targets) if name != SOURCE_RUN]
    for uri, file in files:
        runs = _runs(last_run, file, uri) if SOURCE_RUN in columns else None
        start = 0
        for number in range(file.num_row_groups):
            table = read_group(file, number, names, uri).select(names)
            yield table if runs is None else table.append_column(SOURCE_RUN, runs.slice(start, len(table)))
            start += len(table)


def _runs(last_run: LastRun, file: pq.ParquetFile, uri: str) -> pa.ChunkedArray:
    """Of each row of the file the run that it is taken from: what it published of its own, or an older version did,
    does not name it."""
    with reading(uri):
        table = file.read([SOURCE_RUN])
        none = pa.chunked_array([pa.nulls(file.metadata.num_rows, pa.string())])
        runs = table[SOURCE_RUN].cast(pa.string()) if table.num_columns else none
        return pc.fill_null(runs, pa.scalar(last_run.run_id)).dictionary_encode()
