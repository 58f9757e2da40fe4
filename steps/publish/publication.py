"""Publish a run's forecasts: data first, its manifest after it, and the pointer last.

    <PublishUri>/forecasts/run_date=2026-11-22/run_id=<run_id>/part-00000.parquet …
    <PublishUri>/forecasts/run_date=2026-11-22/run_id=<run_id>/_MANIFEST.json
    <PublishUri>/latest.json

Whoever follows the pointer sees one whole run. A publication is stopped at any point without harm: what lies there
without a manifest is no publication, and the next attempt of the same run writes the same bytes again.
"""

import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from batchcast.steps.arguments import parse_moment
from batchcast.steps.errors import DataError, Problem, ServiceError
from batchcast.steps.publish.forecast_table import Rows, write_forecasts
from batchcast.steps.publish.lock import superseded_by
from batchcast.steps.publish.stored_json import to_json
from batchcast.steps.store.documents import Types, parse_document
from batchcast.steps.store.objects import ConflictError, ObjectMissingError, ObjectStore, join_uri

MANIFEST_NAME = "_MANIFEST.json"
_HISTORY = 20
_MAX_ATTEMPTS = 50
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PUBLISHED = re.compile(r"/forecasts/run_date=([^/]+)/run_id=([A-Za-z0-9][A-Za-z0-9._-]*)/[^/]*$")
_FILE_NAME = re.compile(r"part-\d{5,}\.parquet")
_POINTER = {"run_id": str, "run_date": str, "replaced": list}
_MANIFEST: Types = {
    "run_id": str,
    "run_date": str,
    "outcome": str,
    "counts": {"ok": int},
    "files": [{"name": str, "rows": int, "bytes": int, "sha256": str}],
    "previous": dict | None,
    "parameters?": {"forecast_horizon": int, "items_uri": str},
    "without_forecast?": [{"item_id": str, "status": str}],
    "approved?": {"by": str, "at": str, "reason": str, "as_reference": bool},
    "outputs?": [{"name": str}],
    "merged?": {"run_id": str},
    # Of a target, in comparison with the last run, the history and so on.
    "measured?": {"*": {"*": {"*": float}}},
    "scores?": [{"run_date": str, "lead": int, "items": str, "cells": int, "actual": float, "error": float,
                 "naive_error": float, "bias": float, "pinball": float, "naive_pinball": float,
                 "scaled_cells?": int, "scaled_error?": float, "scaled_naive_error?": float}],
}  # fmt: skip
_UNSAID: dict[str, Any] = {
    "parameters": {"forecast_horizon": 0, "items_uri": "all"},
    "without_forecast": [],
    "outputs": [],
    "scores": [],
    "measured": None,
}
"""What the manifests of older versions do not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """What `latest.json` says: the published run, and the runs it named before, newest first."""

    run_id: str
    run_date: date
    replaced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What publishing did: where the data is, whether the pointer names it now, and why or why not.

    `merged` is there for a run of a few items in the midst of another's: `run_id` of that one, how many items are
    `replaced` and how many there are now.
    """

    uri: str
    pointer_moved: bool
    pointer_note: str
    merged: Mapping[str, Any] | None = None


def publication_uri(publish_uri: str, run_date: date, run_id: str) -> str:
    """The prefix a run's forecasts lie under, ending in `/`."""
    # Without colons, which object stores and shells quote: run_date=2026-11-22T140000.
    moment = run_date.isoformat().replace(":", "")
    return join_uri(publish_uri, "forecasts", f"run_date={moment}", f"run_id={run_id}") + "/"


def pointer_uri(publish_uri: str) -> str:
    return join_uri(publish_uri, "latest.json")


def read_pointer(store: ObjectStore, publish_uri: str) -> tuple[Pointer | None, str | None]:
    """The pointer and its etag; (None, None) before the first publication."""
    try:
        data, etag = store.read_tagged(pointer_uri(publish_uri))
    except ObjectMissingError:
        return None, None
    remedy = "Roll back to a published run by its id."
    found = parse_document(data, _POINTER, code="pointer", where=pointer_uri(publish_uri), remedy=remedy)
    try:
        run_date = parse_moment(found["run_date"])
        replaced = tuple(str(other) for other in found["replaced"])
        # A run id is the last part of a prefix: one that is none would lead elsewhere.
        _check_run_id(found["run_id"])
        return Pointer(run_id=found["run_id"], run_date=run_date, replaced=replaced), etag
    except ValueError as error:
        raise DataError(Problem("pointer", f"is damaged: {error}.", pointer_uri(publish_uri), remedy)) from error


def read_publication(store: ObjectStore, publish_uri: str, run_date: date, run_id: str) -> dict[str, Any]:
    """The manifest of a published run. Raises ObjectMissingError when the run is not published, and DataError when
    what lies there is no manifest of it."""
    uri = publication_uri(publish_uri, run_date, run_id) + MANIFEST_NAME
    return parse_publication(store.read(uri), uri)


def parse_publication(data: bytes, uri: str) -> dict[str, Any]:
    """The manifest of a published run that lies at `uri`. Raises DataError for anything else."""
    remedy = "`prune` removes it, running the same run's publishing step again writes it anew."
    manifest = parse_document(data, _MANIFEST, code="publication", where=uri, remedy=remedy)
    wrong = _contradiction(manifest, uri)
    if wrong:
        raise DataError(Problem("publication", f"is damaged: {wrong}.", uri, remedy))
    return manifest | {key: unsaid for key, unsaid in _UNSAID.items() if manifest.get(key) is None}


def publication_identity(uri: str) -> tuple[date, str] | None:
    """Run date and run id of an object that lies under a publication's prefix, by its path; None for any other."""
    found = _PUBLISHED.search(uri)
    try:
        if found is None:
            return None
        # The path has no colons, which ISO 8601 knows as its basic form.
        moment = datetime.fromisoformat(found[1]) if "T" in found[1] else date.fromisoformat(found[1])
        return moment, found[2]
    except ValueError:
        return None


def _contradiction(manifest: Mapping[str, Any], uri: str) -> str:
    """What of the manifest cannot be, or is not what its place says; empty when all is well."""
    identity = publication_identity(uri)
    named = manifest["run_date"], manifest["run_id"]
    if identity is None or named != (identity[0].isoformat(), identity[1]):
        return f"it is of run {named[1]} of {named[0]}"
    if not manifest["files"]:
        return "it names no file"
    for file in manifest["files"]:
        if not _FILE_NAME.fullmatch(file["name"]):
            return f"{file['name']!r} is none of its files"
    previous = manifest["previous"]
    try:
        if previous is not None:
            _check_run_id(previous["run_id"])
            parse_moment(previous["run_date"])
    except (ValueError, KeyError, TypeError):
        return "'previous' names no run"
    return ""


def _check_run_id(run_id: str) -> None:
    if not _RUN_ID.fullmatch(run_id):
        raise ValueError(f"{run_id[:50]!r} is no run id")


def publish(
    store: ObjectStore,
    publish_uri: str,
    forecasts: Rows,
    manifest: Mapping[str, Any],
    *,
    keep_pointer: str = "",
    scratch: Path | None = None,
) -> Publication:
    """Write the forecasts, then `manifest` with the files added to it, then move the pointer. The files are made in the
    directory `scratch`, or in one of the system's.

    `forecasts` is sorted by item and step; `manifest` needs `run_id` and `run_date`. With a reason in `keep_pointer`
    the pointer stays where it is. It also does where the run is merged with another than the one it names.
    Raises DataError when the run was published before with other content: what is published does not change. An account
    lets nobody overwrite and this step delete: the rare attempt that would have to ends with `access_denied`.
    """
    run_id, run_date = manifest["run_id"], parse_moment(manifest["run_date"])
    prefix = publication_uri(publish_uri, run_date, run_id)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        there = _published_before(store, prefix)

        def keep(path: Path) -> None:
            if there is None:
                _write_once(store, prefix + path.name, path.read_bytes())

        files = write_forecasts(forecasts, Path(folder), keep)
    marker = to_json({**manifest, "files": files})
    if there is None:
        kept = {prefix + entry["name"] for entry in files}
        for stray in list(store.list(prefix)):
            if stray.uri not in kept:
                store.delete(stray.uri)
        _write_once(store, prefix + MANIFEST_NAME, marker)
    elif there != marker:
        what = "this run is published with other forecasts, and what is published does not change."
        remedy = "Start a new execution; it publishes under its own run id."
        raise DataError(Problem("already_published", what, prefix + MANIFEST_NAME, remedy))
    moved, note = False, f"latest.json stays where it is: {keep_pointer}"
    if not keep_pointer:
        base = (manifest.get("merged") or {}).get("run_id")
        moved, note = move_pointer(store, publish_uri, run_id, run_date, merged_with=base)
    return Publication(uri=prefix, pointer_moved=moved, pointer_note=note, merged=manifest.get("merged"))


def _write_once(store: ObjectStore, uri: str, data: bytes) -> None:
    """Create the object. What an attempt that was cut off left there is replaced, where the store lets an object be."""
    try:
        store.put_if(uri, data, None)
    except ConflictError:
        store.put_if(uri, data, store.read_tagged(uri)[1])


def move_pointer(
    store: ObjectStore, publish_uri: str, run_id: str, run_date: date, *, merged_with: str | None = None
) -> tuple[bool, str]:
    """Let the pointer name this run, unless it names a later week or has moved on from this run: moved, and why.

    Of two runs of the same date the one that finishes last is named. A run that is `merged_with` another takes the
    place of that one alone: what others have published since would be lost. Raises ServiceError when others keep
    moving it.
    """
    for _ in range(_MAX_ATTEMPTS):
        try:
            pointer, etag = read_pointer(store, publish_uri)
        except DataError as error:
            # The newest run there is takes its place; an older one would hide it.
            sys.stderr.write(f"{error}\n")
            if run_date.isoformat() < _newest_date(store, publish_uri):
                return False, "latest.json is damaged, and a later run date is published"
            pointer, etag = None, store.read_tagged(pointer_uri(publish_uri))[1]
        if pointer is not None and pointer.run_id == run_id:
            return True, "latest.json names this run"
        later = superseded_by(store, publish_uri, run_id, pointer.run_id if pointer else None)
        if later is not None:
            return False, f"latest.json is left to run {later}, which took over this run's lock"
        if pointer is not None:
            if pointer.run_date.isoformat() > run_date.isoformat():
                return False, f"latest.json stays at run {pointer.run_id} of {pointer.run_date}, a later run date"
            if run_id in pointer.replaced:
                return False, f"latest.json stays at run {pointer.run_id}, which replaced this run"
            if merged_with not in (None, pointer.run_id):
                return False, f"latest.json stays at run {pointer.run_id}, and this run is merged with {merged_with}"
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


def _newest_date(store: ObjectStore, publish_uri: str) -> str:
    """The last run date with a manifest, in ISO's form; empty without any."""
    prefix = join_uri(publish_uri, "forecasts") + "/"
    there = [stored.uri for stored in store.list(prefix) if stored.uri.endswith("/" + MANIFEST_NAME)]
    return max((identity[0].isoformat() for uri in there if (identity := publication_identity(uri))), default="")


def _published_before(store: ObjectStore, prefix: str) -> bytes | None:
    """The manifest that is there already; None without any, and where it is damaged."""
    try:
        found = store.read(prefix + MANIFEST_NAME)
        parse_publication(found, prefix + MANIFEST_NAME)
    except ObjectMissingError:
        return None
    except DataError as error:
        sys.stderr.write(f"{error}\nIt is published anew.\n")
        return None
    return found
