"""The records of a run on their way through an asynchronous endpoint: which there are, and what was sent when.

    <RunsUri>/<run_id>/async/input/part-00000/000012.json     records that are too long to be sent inline
    <RunsUri>/<run_id>/async/sent/00000000.json               the journal: what was sent, a batch an object

The journal is written after its batch was sent. A batch that was sent and not written down is sent again; its answers
take the place of the first ones.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from itertools import islice
from typing import BinaryIO

from batchcast.steps.errors import ConfigError, DataError, Problem, ServiceError
from batchcast.steps.outcome.reconcile import check_records
from batchcast.steps.shards.layout import output_uri, shard_uri
from batchcast.steps.shards.manifest import Manifest, read_stored_run
from batchcast.steps.store.objects import ConflictError, ObjectStore, join_uri

_DIGITS = 8


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
        """What was sent before."""
        return Journal(store, join_uri(self.runs_uri, self.run_id, "async", "sent") + "/")


def open_async_run(store: ObjectStore, runs_uri: str, run_id: str) -> AsyncRun:
    """Raises ObjectMissingError when the run has no shards, DataError when they are not what its manifest says."""
    manifest, table = read_stored_run(store, runs_uri, run_id)
    check_records(manifest, table)
    text = manifest.request_text
    if text.several or text.by_object:
        what = "its requests hold several items, or are objects of their own; the endpoint is asked record by record."
        remedy = 'Build it with items_per_request = 1 and mode = "line".'
        raise ConfigError(Problem("bulk_request", what, run_id, remedy))
    answered = {each.name for each in manifest.shards if store.exists(output_uri(runs_uri, run_id, 0, each.name))}
    columns = (table[name].to_pylist() for name in ("item_id", "shard", "line"))
    records = [
        BulkRecord(index, item_id, shard, line)
        for index, (item_id, shard, line) in enumerate(zip(*columns, strict=True))
        if shard is not None and shard not in answered
    ]
    records.sort(key=lambda record: (record.shard, record.line))
    return AsyncRun(run_id=run_id, runs_uri=runs_uri, manifest=manifest, records=records)


class Journal:
    """The batches that were sent. One writer at a time: the second finds its place taken."""

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self._store = store
        self._prefix = prefix
        self._next = 0

    def read(self) -> list[Sent]:
        """Everything that was sent, in the order it was."""
        names = [stored.uri for stored in self._store.list(self._prefix)]
        self._next = len(names)
        return [Sent(*row) for name in names for row in json.loads(self._store.read(name))["sent"]]

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
    """By record: `answered` and where; `lost` without an answer; `open` while either can come. `attempts` counts
    requests; `failures` has where a failure lies."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.answered: dict[int, str] = {}
        self.lost: set[int] = set()
        self.open: dict[int, Sent] = {}
        self.attempts: dict[int, int] = {}
        self.failures: dict[int, str] = {}

    def add(self, sent: Sent) -> None:
        """A request that was sent; a later one for the same record takes the place of an earlier one."""
        self.attempts[sent.index] = max(self.attempts.get(sent.index, 0), sent.attempt + 1)
        if sent.index not in self.answered:
            self.open[sent.index] = sent
            self.lost.discard(sent.index)

    def poll(self, now: float) -> None:
        """Find answers and failures of what is open. What is past its deadline without either is lost."""
        there = self._there(uri for sent in self.open.values() for uri in (sent.output, sent.failure))
        for index, sent in list(self.open.items()):
            if sent.output in there:
                self.answered[index] = sent.output
            elif sent.failure in there:
                self.failures[index] = sent.failure
                self.lost.add(index)
            elif now > sent.deadline:
                self.lost.add(index)
            else:
                continue
            del self.open[index]

    def oldest(self, now: float) -> float:
        """Seconds since the oldest open request was sent; 0 without any."""
        return now - min((sent.at for sent in self.open.values()), default=now)

    def _there(self, uris: Iterable[str]) -> set[str]:
        folders = {uri.rsplit("/", 1)[0] for uri in uris}
        return {stored.uri for folder in sorted(folders) for stored in self._store.list(folder + "/")}


def track_requests(run: AsyncRun, sent: Iterable[Sent], store: ObjectStore) -> RequestTracker:
    """Those of the run's records by what was sent; what was sent of shards that have their output is of no matter."""
    wanted = {record.index for record in run.records}
    tracker = RequestTracker(store)
    for each in sent:
        if each.index in wanted:
            tracker.add(each)
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
        """Close the shard that is open."""
        self._stream.close()


def _stem(shard: str) -> str:
    return shard.removesuffix(".jsonl")
