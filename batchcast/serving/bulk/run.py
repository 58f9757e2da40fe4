"""The records of a run on their way through an asynchronous endpoint: which there are, and what was sent when.

    <RunsUri>/<run_id>/async/input/part-00000/000012.json     records that are too long to be sent inline
    <RunsUri>/<run_id>/async/sent/00000000.json               the journal: what was sent, a batch an object

The journal is written after its batch was sent. A batch that was sent and not written down is sent again; its answers
take the place of the first ones.
"""

from __future__ import annotations

import io
import json
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batchcast.steps.answers.item_arrays import arrays_in, kept_table
from batchcast.steps.answers.item_names import ItemNames
from batchcast.steps.errors import ConfigError, DataError, Problem, ServiceError
from batchcast.steps.outcome.reconcile import check_records
from batchcast.steps.shards.layout import output_uri, shard_uri
from batchcast.steps.shards.manifest import MANIFEST_FILE, RECORDS_FILE, RECORDS_SCHEMA, Manifest, stream_records
from batchcast.steps.store.objects import ConflictError, ObjectStore, join_uri

_DIGITS = 8
_LOOKED_FOR = 10_000
"""So many requests are read before it is looked which of them have an answer."""


@dataclass(frozen=True, slots=True)
class BulkRecord:
    """A record that is to be answered: its row in records.parquet and its place in the shards."""

    index: int
    item_id: str
    shard: str
    line: int


@dataclass(frozen=True, slots=True)
class Sent:
    """A request for a record: where its answer or its failure will lie, and until when one of them must (seconds)."""

    index: int
    attempt: int
    output: str
    failure: str
    deadline: float
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncRun:
    """A run whose shards are built. `records` are those of shards that have no output yet, in the order of lines."""

    run_id: str
    runs_uri: str
    manifest: Manifest
    records: Sequence[BulkRecord]

    def inference_id(self, record: BulkRecord) -> str:
        """What the request is called, in the endpoint's notifications and logs too."""
        return f"{self.run_id}-{record.index:06d}"

    def input_uri(self, record: BulkRecord) -> str:
        """Where a record lies that is too long to be sent inline."""
        return join_uri(self.runs_uri, self.run_id, "async", "input", _stem(record.shard), f"{record.line:06d}.json")

    def folder(self, record: BulkRecord) -> str:
        """Below which folder of the endpoint's answers its answer is put."""
        return f"{self.run_id}/{_stem(record.shard)}"

    def journal(self, store: ObjectStore) -> Journal:
        return Journal(store, join_uri(self.runs_uri, self.run_id, "async", "sent") + "/")


def open_async_run(store: ObjectStore, runs_uri: str, run_id: str) -> AsyncRun:
    """Raises ObjectMissingError when the run has no shards, DataError when they are not what its manifest says."""
    folder = join_uri(runs_uri, run_id, "manifest")
    manifest = Manifest.from_json(store.read(join_uri(folder, MANIFEST_FILE)), where=run_id)
    names = ["item_id", "shard", "line"]
    with tempfile.TemporaryDirectory() as scratch, arrays_in(Path(scratch)):
        store.download(uri := join_uri(folder, RECORDS_FILE), Path(scratch) / RECORDS_FILE)
        schema = pa.schema([RECORDS_SCHEMA.field(name) for name in names])
        table = kept_table(stream_records(Path(scratch), names, where=uri), schema, "item_id")
    check_records(manifest, table)
    text = manifest.request_text
    if text.several or text.by_object:
        what = "its requests hold several items, or are objects of their own; the endpoint is asked record by record."
        remedy = 'Build it with items_per_request = 1 and mode = "line".'
        raise ConfigError(Problem("bulk_request", what, run_id, remedy))
    answered = {each.name for each in manifest.shards if store.exists(output_uri(runs_uri, run_id, 0, each.name))}
    return AsyncRun(run_id=run_id, runs_uri=runs_uri, manifest=manifest, records=_Records(table, answered))


class _Records(Sequence[BulkRecord]):
    """Those of the table whose shard is not among the answered, in the order of shards and lines, each made when it is
    asked for."""

    def __init__(self, table: pa.Table, answered: set[str]) -> None:
        shards = table["shard"].dictionary_encode()
        self._shards = shards.chunk(0).dictionary.to_pylist() if shards.num_chunks else []
        rank = np.argsort(np.argsort(self._shards)) if self._shards else np.empty(0, np.int64)
        rank[[place for place, name in enumerate(self._shards) if name in answered]] = -1
        codes = [chunk.indices.fill_null(len(rank)).to_numpy() for chunk in shards.chunks]
        self._codes = np.concatenate([*codes, np.empty(0, np.int32)])
        self._names, self._lines = ItemNames(table["item_id"]), table["line"].fill_null(0).to_numpy()
        ranks = np.append(rank, -1)[self._codes]
        order = np.lexsort((self._lines, ranks))
        self._order = order[np.count_nonzero(ranks < 0) :]

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, place: int) -> BulkRecord:  # type: ignore[override]  # nobody asks for a part of them
        index = int(self._order[place])
        return BulkRecord(index, self._names[index], self._shards[self._codes[index]], int(self._lines[index]))


class Journal:
    """The batches that were sent. One writer at a time: the second finds its place taken."""

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self._store = store
        self._prefix = prefix
        self._next = 0

    def read(self) -> Iterator[Sent]:
        """Everything that was sent before this call, in the order it was."""
        names = [stored.uri for stored in self._store.list(self._prefix)]
        self._next = len(names)
        return (Sent(*row) for name in names for row in json.loads(self._store.read(name))["sent"])

    def write(self, batch: Iterable[Sent]) -> None:
        """Write a batch down. Raises ServiceError when somebody else submits the same run."""
        rows = [astuple(each) for each in batch]
        uri = f"{self._prefix}{self._next:0{_DIGITS}d}.json"
        try:
            self._store.put_if(uri, json.dumps({"schema": 1, "sent": rows}).encode(), None)
        except ConflictError as error:
            what = "somebody else is submitting the same run."
            raise ServiceError(Problem("two_submitters", what, uri, "Let one of the two end.")) from error
        self._next += 1


class RequestTracker:
    """By record, of so many: whether it is `answered`, `lost` without an answer, or `open` while either can come.
    `attempts` counts requests. Where an answer or else a failure lies is kept in a file, which is gone with this."""

    def __init__(self, store: ObjectStore, records: int) -> None:
        self._store = store
        self.answered, self.lost = np.zeros(records, bool), np.zeros(records, bool)
        self.open: dict[int, Sent] = {}
        self.attempts: npt.NDArray[np.int16] = np.zeros(records, np.int16)
        self._places = sqlite3.connect("")
        self._places.execute("CREATE TABLE places (record INTEGER PRIMARY KEY, uri TEXT)")

    def add(self, sent: Sent) -> None:
        """A request that was sent; a later one for the same record takes the place of an earlier one."""
        self.attempts[sent.index] = max(self.attempts[sent.index], sent.attempt + 1)
        if not self.answered[sent.index]:
            self.open[sent.index] = sent
            self.lost[sent.index] = False

    def place(self, index: int) -> str | None:
        """Where the record's answer lies, or of a lost one its last failure; None where nothing does."""
        found = self._places.execute("SELECT uri FROM places WHERE record = ?", (index,)).fetchone()
        return found and str(found[0])

    def poll(self, now: float) -> None:
        """Find answers and failures of what is open. What is past its deadline without either is lost."""
        there = self._there(uri for sent in self.open.values() for uri in (sent.output, sent.failure))
        for index, sent in list(self.open.items()):
            uri = next((uri for uri in (sent.output, sent.failure) if uri in there), None)
            if uri is None and now <= sent.deadline:
                continue
            if uri is not None:
                self._places.execute("INSERT OR REPLACE INTO places VALUES (?, ?)", (index, uri))
            (self.answered if uri == sent.output else self.lost)[index] = True
            del self.open[index]

    def oldest(self, now: float) -> float:
        """Seconds since the oldest open request was sent; 0 without any."""
        return now - min((sent.at for sent in self.open.values()), default=now)

    def _there(self, uris: Iterable[str]) -> set[str]:
        folders = {uri.rsplit("/", 1)[0] for uri in uris}
        return {stored.uri for folder in sorted(folders) for stored in self._store.list(folder + "/")}


def track_requests(run: AsyncRun, sent: Iterable[Sent], store: ObjectStore, now: float) -> RequestTracker:
    """Those of the run's records by what was sent; what was sent of shards that have their output is of no matter."""
    places = np.fromiter((record.index for record in run.records), np.int64, len(run.records))
    wanted = np.zeros(max(places, default=-1) + 1, bool)
    wanted[places] = True
    tracker, most = RequestTracker(store, len(wanted)), _LOOKED_FOR
    for each in sent:
        if each.index < len(wanted) and wanted[each.index]:
            tracker.add(each)
        if len(tracker.open) >= most:
            tracker.poll(now)
            most = len(tracker.open) + _LOOKED_FOR
    return tracker


class ShardReader:
    """Reads records out of the shards; in the order of lines it opens every shard once."""

    def __init__(self, store: ObjectStore, run: AsyncRun) -> None:
        self._store = store
        self._run = run
        self._uri, self._at = "", 0
        self._stream: BinaryIO = io.BytesIO()

    def read(self, record: BulkRecord) -> bytes:
        """What the model gets of the record. Raises DataError when the shard is shorter than that."""
        uri = shard_uri(self._run.runs_uri, self._run.run_id, 0, record.shard)
        if uri != self._uri or record.line < self._at:
            self.close()
            self._stream, self._uri, self._at = self._store.open(uri), uri, 0
        line = next(islice(self._stream, record.line - self._at, None), None)
        if line is None:
            what = f"it ends before line {record.line}, which the manifest promises."
            raise DataError(Problem("shard_changed", what, uri, "Build the run again."))
        self._at = record.line + 1
        return self._run.manifest.request_text.body(line.rstrip(b"\n"))

    def close(self) -> None:
        self._stream.close()


def _stem(shard: str) -> str:
    return shard.removesuffix(".jsonl")
