"""Publish a run's forecasts: data first, its manifest after it, and the pointer last.

    <PublishUri>/forecasts/run_date=2026-11-22/run_id=<run_id>/part-00000.parquet …
    <PublishUri>/forecasts/run_date=2026-11-22/run_id=<run_id>/_MANIFEST.json
    <PublishUri>/latest.json

Whoever follows the pointer sees one whole run. A publication is stopped at any point without harm: what lies there
without a manifest is no publication, and the next attempt of the same run writes the same bytes again.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batchcast.steps.arguments import parse_moment
from batchcast.steps.errors import DataError, Problem, ServiceError
from batchcast.steps.store.objects import ConflictError, ObjectMissingError, ObjectStore, join_uri

__all__ = [
    "MANIFEST_NAME",
    "Pointer",
    "Publication",
    "move_pointer",
    "point_at",
    "pointer_uri",
    "publication_uri",
    "publish",
    "read_pointer",
    "read_publication",
    "to_json",
]

MANIFEST_NAME = "_MANIFEST.json"
ROWS_PER_FILE = 1_000_000
_ROWS_PER_GROUP = 131_072
_HISTORY = 20
_MAX_ATTEMPTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """What `latest.json` says: the published run, and the runs it named before, newest first."""

    run_id: str
    run_date: date
    replaced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What publishing did: where the data is, whether the pointer names it now, and why or why not."""

    uri: str
    pointer_moved: bool
    pointer_note: str


def publication_uri(publish_uri: str, run_date: date, run_id: str) -> str:
    """The prefix a run's forecasts lie under, ending in `/`."""
    # Without colons, which object stores and shells quote: run_date=2026-11-22T140000.
    moment = run_date.isoformat().replace(":", "")
    return join_uri(publish_uri, "forecasts", f"run_date={moment}", f"run_id={run_id}") + "/"


def pointer_uri(publish_uri: str) -> str:
    """Where the pointer lies."""
    return join_uri(publish_uri, "latest.json")


def read_pointer(store: ObjectStore, publish_uri: str) -> tuple[Pointer | None, str | None]:
    """The pointer and its etag; (None, None) before the first publication."""
    try:
        data, etag = store.read_tagged(pointer_uri(publish_uri))
    except ObjectMissingError:
        return None, None
    try:
        found = json.loads(data)
        run_date = parse_moment(found["run_date"])
        return Pointer(run_id=found["run_id"], run_date=run_date, replaced=tuple(found["replaced"])), etag
    except (ValueError, KeyError, TypeError) as error:
        remedy = "Roll back to a published run by its id."
        raise DataError(Problem("pointer", f"not a pointer: {error!r}.", pointer_uri(publish_uri), remedy)) from error


def read_publication(store: ObjectStore, publish_uri: str, run_date: date, run_id: str) -> dict[str, Any]:
    """The manifest of a published run. Raises ObjectMissingError when the run is not published."""
    manifest: dict[str, Any] = json.loads(store.read(publication_uri(publish_uri, run_date, run_id) + MANIFEST_NAME))
    return manifest


def publish(
    store: ObjectStore,
    publish_uri: str,
    forecasts: pa.Table,
    manifest: Mapping[str, Any],
    *,
    keep_pointer: str = "",
) -> Publication:
    """Write the forecasts, then `manifest` with the files added to it, then move the pointer.

    `forecasts` is sorted by item and step; `manifest` needs `run_id` and `run_date`. With a reason in `keep_pointer`
    the pointer stays where it is.
    Raises DataError when the run was published before with other content: what is published does not change.
    """
    run_id, run_date = manifest["run_id"], parse_moment(manifest["run_date"])
    prefix = publication_uri(publish_uri, run_date, run_id)
    files = list(_files(forecasts))
    listing = [{"name": name, "rows": rows, "bytes": len(data), "sha256": _sha256(data)} for name, rows, data in files]
    marker = to_json({**manifest, "files": listing})
    if not _published_already(store, prefix, marker):
        kept = {prefix + name for name, _, _ in files}
        for name, _, data in files:
            store.write(prefix + name, data)
        for stray in list(store.list(prefix)):
            if stray.uri not in kept:
                store.delete(stray.uri)
        store.write(prefix + MANIFEST_NAME, marker)
    moved, note = False, f"latest.json stays where it is: {keep_pointer}"
    if not keep_pointer:
        moved, note = move_pointer(store, publish_uri, run_id, run_date)
    return Publication(uri=prefix, pointer_moved=moved, pointer_note=note)


def move_pointer(store: ObjectStore, publish_uri: str, run_id: str, run_date: date) -> tuple[bool, str]:
    """Let the pointer name this run, unless it names a later week or has moved on from this run: moved, and why.

    Of two runs of the same date the one that finishes last is named. Raises ServiceError when others keep moving it.
    """
    for _ in range(_MAX_ATTEMPTS):
        pointer, etag = read_pointer(store, publish_uri)
        if pointer is not None:
            if pointer.run_id == run_id:
                return True, "latest.json names this run"
            if pointer.run_date.isoformat() > run_date.isoformat():
                return False, f"latest.json stays at run {pointer.run_id} of {pointer.run_date}, a later run date"
            if run_id in pointer.replaced:
                return False, f"latest.json stays at run {pointer.run_id}, which replaced this run"
        try:
            point_at(store, publish_uri, run_id, run_date, pointer, etag)
        except ConflictError:
            continue
        return True, "latest.json names this run"
    what = f"another run moved it {_MAX_ATTEMPTS} times in a row."
    raise ServiceError(Problem("pointer_busy", what, pointer_uri(publish_uri), "Run the step again."))


def point_at(
    store: ObjectStore, publish_uri: str, run_id: str, run_date: date, pointer: Pointer | None, etag: str | None
) -> None:
    """Replace the pointer that was read with `etag`. Raises ConflictError when it is no longer that one."""
    before = [pointer.run_id, *pointer.replaced] if pointer else []
    replaced = [other for other in dict.fromkeys(before) if other != run_id][:_HISTORY]
    body = {
        "schema": 1,
        "run_id": run_id,
        "run_date": run_date.isoformat(),
        "manifest": publication_uri(publish_uri, run_date, run_id) + MANIFEST_NAME,
        "replaced": replaced,
    }
    store.put_if(pointer_uri(publish_uri), to_json(body), etag)


def _published_already(store: ObjectStore, prefix: str, marker: bytes) -> bool:
    try:
        found = store.read(prefix + MANIFEST_NAME)
    except ObjectMissingError:
        return False
    if found != marker:
        what = "this run is published with other forecasts, and what is published does not change."
        remedy = "Start a new execution; it publishes under its own run id."
        raise DataError(Problem("already_published", what, prefix + MANIFEST_NAME, remedy))
    return True


def _files(forecasts: pa.Table) -> Iterator[tuple[str, int, bytes]]:
    for number, start in enumerate(range(0, max(1, forecasts.num_rows), ROWS_PER_FILE)):
        part = forecasts.slice(start, ROWS_PER_FILE)
        sink = io.BytesIO()
        pq.write_table(part, sink, compression="zstd", row_group_size=_ROWS_PER_GROUP)
        yield f"part-{number:05d}.parquet", part.num_rows, sink.getvalue()


def to_json(value: Mapping[str, Any]) -> bytes:
    """The one form of the project's JSON files: sorted keys, so that equal content is equal bytes."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
