"""Read what was published, go back to an earlier run, and remove old ones: everything follows `latest.json`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from batchcast.steps.arguments import parse_moment
from batchcast.steps.errors import ConfigError, DataError, Problem
from batchcast.steps.publish.publication import (
    MANIFEST_NAME,
    Pointer,
    parse_publication,
    point_at,
    pointer_uri,
    publication_identity,
    publication_uri,
    read_pointer,
    read_publication,
)
from batchcast.steps.store.environment import open_store
from batchcast.steps.store.objects import ObjectMissingError, ObjectStore, join_uri

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

PRUNED_NAME = "_PRUNED.json"  # a run with this object is being removed; whoever prunes next finishes it


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRun:
    """One published run; `current` when `latest.json` names it, `uri` is the prefix of its files.

    `flagged_items` look wrong; `approved` is the reason why it was published although it was held, or empty."""

    run_id: str
    run_date: date
    outcome: str
    items: int
    rows: int
    uri: str
    current: bool
    flagged_items: int = 0
    approved: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedRun:
    """A publication without a readable manifest: `what` is wrong with it; `current` when `latest.json` names it."""

    run_id: str
    run_date: date
    what: str
    uri: str
    current: bool


def read_forecasts(
    publish_uri: str,
    *,
    run_id: str | None = None,
    run_date: date | None = None,
    columns: Sequence[str] | None = None,
    items: Iterable[str] | None = None,
    dates: Iterable[date] | None = None,
    store: ObjectStore | None = None,
) -> pd.DataFrame:
    """The forecasts of the run `latest.json` names, or of `run_id`, or the current ones of `run_date`.

    A row an item and step, sorted by item_id and step: item_id, forecast_date (datetime64), step (1 = one step after
    the run date), the targets, source ("model", or "carried_forward" for what an earlier run forecast), source_run_id
    (of a row that is taken from an earlier publication). `columns`, `items` and `dates`, those forecast, choose some of
    them; only the parts of the files that have these items are read. `attrs` of the frame say run_id, run_date,
    outcome, counts and uri.
    Raises DataError when there is no such run or its files are not what its manifest says.
    """
    store = store or open_store(os.environ)
    wanted = None if items is None else sorted({*items})
    days = None if dates is None else list(dates)
    while True:
        found = _find(store, publish_uri, run_id, run_date)
        try:
            manifest = read_publication(store, publish_uri, found.run_date, found.run_id)
            prefix = publication_uri(publish_uri, found.run_date, found.run_id)
            return _read(store, prefix, manifest, columns, wanted, days)
        except ObjectMissingError:
            # It was pruned between the look at the pointer and the reading; then the pointer has moved on.
            if run_id is not None or _find(store, publish_uri, run_id, run_date).run_id == found.run_id:
                raise


def stream_forecasts(publish_uri: str, run_id: str, store: ObjectStore) -> Iterator[pa.Table]:
    """The same of one run, in parts. Raises DataError when there is no such run, or a file of it is another."""
    from batchcast.steps.publish.published_file import chosen_rows

    run = _listed(store, publish_uri, run_id)
    yield from chosen_rows(store, run.uri, read_publication(store, publish_uri, run.run_date, run_id)["files"])


def list_published(publish_uri: str, *, store: ObjectStore | None = None) -> list[PublishedRun]:
    """Every published run, oldest run date first; `list_publications` has those whose manifest cannot be read too."""
    return list_publications(publish_uri, store or open_store(os.environ))[0]


def list_publications(publish_uri: str, store: ObjectStore) -> tuple[list[PublishedRun], list[DamagedRun]]:
    """Every published run, and every publication whose manifest is damaged, which `prune` removes unless readers are
    sent there."""
    pointer, _ = _pointer_or_corrupt(store, publish_uri)
    current = pointer.run_id if pointer else None
    runs, damaged = [], []
    for stored in store.list(join_uri(publish_uri, "forecasts") + "/"):
        identity = publication_identity(stored.uri)
        if identity is None or not stored.uri.endswith("/" + MANIFEST_NAME):
            continue
        uri = stored.uri.removesuffix(MANIFEST_NAME)
        try:
            runs.append(_run(parse_publication(store.read(stored.uri), stored.uri), uri, current))
        except ObjectMissingError:  # pruned meanwhile
            continue
        except DataError as error:
            (run_date, run_id), what = identity, error.problems[0].what
            damaged.append(DamagedRun(run_id=run_id, run_date=run_date, what=what, uri=uri, current=run_id == current))
    return sorted(runs, key=lambda run: (run.run_date.isoformat(), run.run_id)), damaged


def rollback(publish_uri: str, *, to: str | None = None, store: ObjectStore | None = None) -> PublishedRun:
    """Let `latest.json` name the run `to`, or the one the current run replaced; the run it names now.

    Raises DataError when that run is not published, ConflictError when the pointer moves meanwhile.
    """
    store = store or open_store(os.environ)
    pointer, etag = _pointer_or_corrupt(store, publish_uri)
    target = to or _replaced(store, publish_uri, pointer)
    run = _listed(store, publish_uri, target)
    point_at(store, publish_uri, run.run_id, run.run_date, pointer, etag)
    if not store.exists(run.uri + MANIFEST_NAME):
        # It was pruned just then: back to the run that is whole.
        if pointer is not None:
            now, now_etag = read_pointer(store, publish_uri)
            point_at(store, publish_uri, pointer.run_id, pointer.run_date, now, now_etag)
        raise _not_published(store, publish_uri, target)
    return _listed(store, publish_uri, target)


def prune(
    publish_uri: str, *, keep: int, store: ObjectStore | None = None, dry_run: bool = False
) -> list[PublishedRun | DamagedRun]:
    """Remove all published runs but the `keep` (at least 1) newest, and what is damaged. Stopped half-way, the next
    call finishes it.

    The current run stays, and so does every run whose date is not before its: one of those may become current any
    moment. Without a readable pointer nothing is removed. Returns the removed runs, with `dry_run` those that would be.
    """
    if keep < 1:
        raise ConfigError(Problem("keep", f"keep is {keep}; at least 1 run has to stay.", remedy="Use 1 or more."))
    store = store or open_store(os.environ)
    pointer, _ = read_pointer(store, publish_uri)
    if not dry_run:
        _finish_removals(store, publish_uri)
    runs, damaged = list_publications(publish_uri, store)
    before = pointer.run_date.isoformat() if pointer else ""
    old = [run for run in runs[:-keep] if run.run_date.isoformat() < before]
    chosen: list[PublishedRun | DamagedRun] = [*old, *(run for run in damaged if not run.current)]
    if dry_run:
        return chosen
    removed = []
    for run in chosen:
        with suppress(ObjectMissingError):  # another prune was faster
            store.put_if(run.uri + PRUNED_NAME, store.read(run.uri + MANIFEST_NAME), None)
            if _remove(store, publish_uri, run.uri):
                removed.append(run)
    return removed


def _finish_removals(store: ObjectStore, publish_uri: str) -> None:
    """Remove what a prune that was stopped has marked."""
    for stored in list(store.list(join_uri(publish_uri, "forecasts") + "/")):
        if stored.uri.endswith("/" + PRUNED_NAME) and publication_identity(stored.uri):
            with suppress(ObjectMissingError):
                _remove(store, publish_uri, stored.uri.removesuffix(PRUNED_NAME))


def _remove(store: ObjectStore, publish_uri: str, prefix: str) -> bool:
    """Remove a run that is marked for it: its manifest first, so that nobody takes the rest for a whole run."""
    manifest = store.read(prefix + PRUNED_NAME)
    store.delete(prefix + MANIFEST_NAME)
    pointer, _ = read_pointer(store, publish_uri)
    identity = publication_identity(prefix + MANIFEST_NAME)
    if pointer is not None and identity is not None and pointer.run_id == identity[1]:
        # A rollback chose it just then; it looks for the manifest after it moved the pointer.
        store.put_if(prefix + MANIFEST_NAME, manifest, None)
        store.delete(prefix + PRUNED_NAME)
        return False
    for stored in list(store.list(prefix)):
        if stored.uri != prefix + PRUNED_NAME:
            store.delete(stored.uri)
    store.delete(prefix + PRUNED_NAME)
    return True


def _find(store: ObjectStore, publish_uri: str, run_id: str | None, run_date: date | None) -> Pointer | PublishedRun:
    if run_id is not None:
        return _listed(store, publish_uri, run_id)
    pointer, _ = read_pointer(store, publish_uri)
    if run_date is None or (pointer is not None and pointer.run_date == run_date):
        if pointer is None:
            remedy = "Publish a run first, or check PublishUri."
            raise DataError(Problem("nothing_published", "nothing was published.", pointer_uri(publish_uri), remedy))
        return pointer
    runs = [run for run in list_published(publish_uri, store=store) if run.run_date == run_date]
    before = [] if pointer is None else [name for name in pointer.replaced if name in {run.run_id for run in runs}]
    if len(runs) == 1 or before:
        return next(run for run in runs if run.run_id == (before or [runs[0].run_id])[0])
    if not runs:
        raise _not_published(store, publish_uri, f"of {run_date}")
    what = f"{len(runs)} runs of {run_date} are published: {', '.join(run.run_id for run in runs)}."
    raise DataError(Problem("several_runs", what, publish_uri, "Name one by its run id."))


def _read(
    store: ObjectStore,
    prefix: str,
    manifest: dict[str, Any],
    columns: Sequence[str] | None,
    items: list[str] | None,
    dates: list[date] | None,
) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    from batchcast.steps.publish.published_file import chosen_rows

    days = None if dates is None else pa.array(pd.to_datetime(dates).to_numpy()).cast(pa.timestamp("us"))
    table = pa.concat_tables(chosen_rows(store, prefix, manifest["files"], columns, items, days))
    # A column at a time, which is then gone from the table: both of all of them need twice the memory.
    frame: pd.DataFrame = table.to_pandas(date_as_object=False, split_blocks=True, self_destruct=True)
    for name in ("run_id", "run_date", "outcome", "counts"):
        frame.attrs[name] = manifest[name]
    frame.attrs["uri"] = prefix
    return frame


def _run(manifest: dict[str, Any], uri: str, current: str | None) -> PublishedRun:
    return PublishedRun(
        run_id=manifest["run_id"],
        run_date=parse_moment(manifest["run_date"]),
        outcome=manifest["outcome"],
        items=manifest["counts"]["ok"],
        rows=sum(file["rows"] for file in manifest["files"]),
        uri=uri,
        current=manifest["run_id"] == current,
        flagged_items=manifest.get("flagged_items", 0),
        approved=(manifest.get("approved") or {}).get("reason", ""),
    )


def _listed(store: ObjectStore, publish_uri: str, run_id: str) -> PublishedRun:
    found = next((run for run in list_published(publish_uri, store=store) if run.run_id == run_id), None)
    if found is None:
        raise _not_published(store, publish_uri, run_id)
    return found


def _not_published(store: ObjectStore, publish_uri: str, run: str) -> DataError:
    names = [f"{run.run_id} of {run.run_date}" for run in list_published(publish_uri, store=store)]
    what = f"no run {run} is published; there are {', '.join(names[-10:]) or 'none'}."
    return DataError(Problem("not_published", what, publish_uri, "Name one of them."))


def _replaced(store: ObjectStore, publish_uri: str, pointer: Pointer | None) -> str:
    previous = None
    if pointer is not None:
        try:
            previous = read_publication(store, publish_uri, pointer.run_date, pointer.run_id)["previous"]
        except DataError:  # it is damaged or gone: the pointer knows which runs it named before
            there = {run.run_id for run in list_published(publish_uri, store=store)}
            previous = next(({"run_id": other} for other in pointer.replaced if other in there), None)
    if previous is None:
        what = "the current run replaced none."
        raise DataError(Problem("no_previous", what, pointer_uri(publish_uri), "Name the run to go back to."))
    return str(previous["run_id"])


def _pointer_or_corrupt(store: ObjectStore, publish_uri: str) -> tuple[Pointer | None, str | None]:
    """The pointer, or (None, its etag) when what lies there is none: naming a run fixes it."""
    try:
        return read_pointer(store, publish_uri)
    except DataError:
        return None, store.read_tagged(pointer_uri(publish_uri))[1]
