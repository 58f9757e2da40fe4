"""Answers carried over from an earlier run: found by that run's ledger, read where they lie, and checked again.

A run whose transform failed, and whose pipeline then ended, was never decided: its ledger is worked out here, from
the manifest and the outputs that are there, just as the step that did not run would have done.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.answers.item_arrays import kept_array, kept_file, kept_rows
from batchcast.steps.answers.item_names import ItemPlaces
from batchcast.steps.contract.answer import Expected
from batchcast.steps.errors import ConfigError, DataError, Problem
from batchcast.steps.outcome.input_records import retry_inputs
from batchcast.steps.outcome.ledger import GOOD, LEDGER_SCHEMA, LedgerRow, ledger_rows, stream_ledger
from batchcast.steps.outcome.reconcile import ReadOutput, Reconciliation, check_records, reconcile
from batchcast.steps.outcome.shard_output import Document, Reading, RecordFault, read_again, read_documents
from batchcast.steps.outcome.stored_report import read_report
from batchcast.steps.shards.layout import ledger_uri, output_uri
from batchcast.steps.shards.manifest import Manifest, read_stored_run
from batchcast.steps.store.objects import ObjectMissingError, ObjectStore, join_uri

_OBJECT = pa.field("object", pa.int64())


def read_carried(
    store: ObjectStore, runs_uri: str, resume_from: str, item_ids: pa.ChunkedArray, expected: Expected
) -> Iterator[tuple[LedgerRow, Reading]]:
    """The answers of these items, which are in order, in the run `resume_from`, which may itself have carried them
    over, one by one, with that run's row of each.

    An answer that is gone, changed or not what this run asks for is a RecordFault, and no reason to stop.
    Raises DataError when an item is not ok in that run's ledger: then the two runs do not belong together.
    """
    wanted, found, objects = ItemPlaces(item_ids), kept_array((len(item_ids),), np.bool_), dict[str, int]()

    def by_object() -> Iterator[pa.Table]:
        for part in earlier_ledger(store, runs_uri, resume_from, expected):
            place, known = wanted.before(part["item_id"].combine_chunks())
            known &= np.asarray(pc.is_in(part["status"], value_set=pa.array(GOOD)))
            found[place[known]] = True
            part = part.filter(pa.array(known))
            names = zip(*(part[name].to_pylist() for name in ("run_id", "round", "shard")), strict=True)
            uris = (output_uri(runs_uri, run_id, sent, str(shard)) for run_id, sent, shard in names)
            codes = np.array([objects.setdefault(uri, len(objects)) for uri in uris], np.int64)
            order = pa.array(np.argsort(codes, kind="stable"))
            yield part.append_column(_OBJECT, pa.array(codes)).take(order)

    parts = kept_rows(by_object(), LEDGER_SCHEMA.append(_OBJECT)).to_batches()
    strangers = np.flatnonzero(~found)
    if len(strangers):
        first = item_ids[int(strangers[0])].as_py()
        what = f"{len(strangers)} items are to be carried over and are not ok there, first {first!r}."
        remedy = "Build the run again; its ResumeFrom does not fit."
        raise DataError(Problem("resume_mismatch", what, ledger_uri(runs_uri, resume_from), remedy))
    numbers = [part[_OBJECT.name].to_numpy() for part in parts]
    for uri, number in sorted(objects.items()):
        rows = list[LedgerRow]()
        for part, each in zip(parts, numbers, strict=True):
            start, stop = np.searchsorted(each, [number, number + 1]).tolist()
            rows += ledger_rows(part.slice(start, stop - start)) if start < stop else ()
        yield from _read(store, uri, rows, expected)


def is_decided(store: ObjectStore, runs_uri: str, run_id: str) -> bool:
    """Whether the run came to an outcome; one that was to send records once more, and ended meanwhile, did not."""
    return _decided_report(store, runs_uri, run_id) is not None


def earlier_ledger(store: ObjectStore, runs_uri: str, run_id: str, expected: Expected) -> Iterator[pa.Table]:
    """The ledger of a run that was decided, or what it would be if that run were decided now, in parts.

    Raises ObjectMissingError when the run did not come so far as to have a manifest, and ConfigError when an answer
    of it is in another item's place: who knows which others are, so none is carried over.
    """
    report = _decided_report(store, runs_uri, run_id)
    if report is not None:
        parts, mismatches = _stored_ledger(store, ledger_uri(runs_uri, run_id)), report["mismatches"]
    else:
        found = _reconcile_now(store, runs_uri, run_id, expected)
        parts, mismatches = found.ledger.parts(), found.mismatches
    if mismatches:
        what = f"run {run_id} has {len(mismatches)} answers in another item's place, first {mismatches[0]}."
        raise ConfigError(Problem("untrusted_run", what, "ResumeFrom", "Fix the model server, then start a new run."))
    return parts


def _stored_ledger(store: ObjectStore, uri: str) -> Iterator[pa.Table]:
    with kept_file() as copy, store.open(uri) as stored:
        shutil.copyfileobj(stored, copy)
        copy.flush()
        yield from stream_ledger(Path(copy.name), where=uri)


def _decided_report(store: ObjectStore, runs_uri: str, run_id: str) -> dict[str, Any] | None:
    report = read_report(store, runs_uri, run_id)
    return report if report is not None and report["outcome"] != "RETRY" else None


def reconcile_run(
    store: ObjectStore,
    runs_uri: str,
    run: tuple[Manifest, pa.Table],
    read_output: ReadOutput,
    expected: Expected,
    **means: Any,
) -> Reconciliation:
    """What became of every item of a run, with those that it carries over; `means` are `reconcile`'s."""
    manifest, records = run
    carried: Iterable[tuple[LedgerRow, Reading]] = ()
    if manifest.resume_from is not None:
        items = records["item_id"].filter(records["carried"])
        carried = read_carried(store, runs_uri, manifest.resume_from, items, expected)
    return reconcile(manifest, records, read_output, carried, expected, **means)


def _reconcile_now(store: ObjectStore, runs_uri: str, run_id: str, expected: Expected) -> Reconciliation:
    run = read_stored_run(store, runs_uri, run_id)
    check_records(*run)
    outputs = _outputs(store, join_uri(runs_uri, run_id, "output"))

    def read_output(number: int, shard: str) -> bytes | None:
        uri = outputs.get((number, f"{shard}.out"))
        return store.read(uri) if uri else None

    again = retry_inputs(store, runs_uri, run_id) or None
    return reconcile_run(store, runs_uri, run, read_output, expected, retry_shards=again)


def _outputs(store: ObjectStore, prefix: str) -> Mapping[tuple[int, str], str]:
    """(round, name of the output object) to its URI."""
    return {
        (number, stored.uri.rsplit("/", 1)[-1]): stored.uri
        for number in (0, 1)
        for stored in store.list(join_uri(prefix, f"r{number}") + "/")
        if stored.uri.endswith(".out")
    }


def _read(
    store: ObjectStore, uri: str, rows: list[LedgerRow], expected: Expected
) -> Iterator[tuple[LedgerRow, Reading]]:
    try:
        documents = read_documents(store.read(uri), expected.request)
    except ObjectMissingError:
        documents = []
    # The first of several that name an item.
    named = {item_id: document for document in reversed(documents) for item_id in document.item_ids}
    for row in rows:
        own = documents[row.line or 0 :][:1]
        document = named.get(row.item_id) if expected.request.enveloped else next(iter(own), None)
        yield row, _reading(row, document, uri, expected)


def _reading(row: LedgerRow, document: Document | None, uri: str, expected: Expected) -> Reading:
    reading = None if document is None else read_again(document, row, uri, expected)
    if document is None or reading is None:
        return RecordFault(reason="answer_changed", detail=f"{uri} no longer holds its answer")
    if document.sha256 != row.answer_sha256:
        return RecordFault(
            reason="answer_changed", detail=f"{uri} line {document.line} is another answer than was accepted"
        )
    return reading
