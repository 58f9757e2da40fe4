"""The run that was published last: what this run's forecasts are compared with, and may be filled up from."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchcast.steps.arguments import parse_moment
from batchcast.steps.outcome.comparison import Array
from batchcast.steps.publish.forecast_table import moment_array
from batchcast.steps.publish.publication import publication_uri, read_pointer, read_publication
from batchcast.steps.store.objects import ObjectMissingError, ObjectStore

__all__ = ["LastRun", "forecasts_of", "levels_of", "read_last_run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """An earlier publication: its run, how many items it has, what it forecasts, and the URIs of its Parquet files in
    item order."""

    run_id: str
    run_date: date
    items: int
    columns: tuple[str, ...]
    files: tuple[str, ...]


def read_last_run(store: ObjectStore, publish_uri: str, run_id: str, run_date: date) -> LastRun | None:
    """The publication that `latest.json` named when `run_id` was published, or names now; None without any.

    A run that is decided again is thus compared with the same run as before. A publication that has been removed is
    none. Neither is one of a later run date: it was made with days that this run forecasts.
    """
    try:
        previous = read_publication(store, publish_uri, run_date, run_id)["previous"]
    except ObjectMissingError:
        pointer, _ = read_pointer(store, publish_uri)
        earlier = pointer is not None and pointer.run_date.isoformat() <= run_date.isoformat()
        previous = {"run_id": pointer.run_id, "run_date": pointer.run_date.isoformat()} if pointer and earlier else None
    if previous is None:
        return None
    last_date, last_id = parse_moment(previous["run_date"]), previous["run_id"]
    try:
        manifest = read_publication(store, publish_uri, last_date, last_id)
    except ObjectMissingError:
        return None
    prefix = publication_uri(publish_uri, last_date, last_id)
    return LastRun(
        run_id=last_id,
        run_date=last_date,
        items=manifest["counts"]["ok"],
        columns=tuple(output["name"] for output in manifest["outputs"]),
        files=tuple(prefix + file["name"] for file in manifest["files"]),
    )


def levels_of(store: ObjectStore, last_run: LastRun | None, item_ids: pa.ChunkedArray, targets: Sequence[str]) -> Array:
    """The mean absolute forecast of the last run, items x targets; NaN for items it did not have, and if it had
    other targets."""
    sums = np.zeros((len(item_ids), len(targets)))
    days = np.zeros(len(item_ids))
    for table in _tables(store, last_run, ["item_id"], targets):
        at = pc.index_in(table["item_id"], value_set=item_ids.combine_chunks())
        known = pc.is_valid(at).to_numpy()
        index = pc.fill_null(at, 0).to_numpy()[known]
        days += np.bincount(index, minlength=len(days))
        for number, target in enumerate(targets):
            weights = np.abs(table[target].to_numpy()[known])
            sums[:, number] += np.bincount(index, weights=weights, minlength=len(days))
    means: Array = np.divide(sums, days[:, None], out=np.full(sums.shape, np.nan), where=days[:, None] > 0)
    return means


def forecasts_of(
    store: ObjectStore, last_run: LastRun | None, item_ids: Sequence[str], targets: Sequence[str], dates: Sequence[str]
) -> pa.Table | None:
    """The last run's rows of these items on these dates: item_id, forecast_date and the targets; None without any, or
    if it had other targets."""
    wanted = pa.array(list(item_ids), pa.string())
    days = moment_array(dates)
    found = []
    for table in _tables(store, last_run, ["item_id", "forecast_date"], targets):
        both = pc.and_(pc.is_in(table["item_id"], wanted), pc.is_in(table["forecast_date"].cast(days.type), days))
        found.append(table.filter(both))
    rows = pa.concat_tables(found) if found else None
    return rows if rows is not None and rows.num_rows else None


def _tables(
    store: ObjectStore, last_run: LastRun | None, columns: Sequence[str], targets: Sequence[str]
) -> Iterator[pa.Table]:
    if last_run is not None and {*targets} <= {*last_run.columns}:
        for uri in last_run.files:
            yield pq.read_table(io.BytesIO(store.read(uri)), columns=[*columns, *targets])
