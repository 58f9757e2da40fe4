"""The records as they were sent, copied out of the input shards: for the retry round, and for failed_records.jsonl.

Only the shards that are needed are read, as streams: a shard may be 100 MB, and a record several.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from batchcast.steps.contract.request import PARQUET
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.outcome.answer_types import readable_text
from batchcast.steps.outcome.ledger import LedgerRow
from batchcast.steps.shards.layout import shard_uri
from batchcast.steps.shards.sent_records import SentRecord, SentRecords
from batchcast.steps.store.objects import ObjectMissingError, ObjectStore, atomic_write, join_uri

_Place = tuple[str, int, str | None, int | None, int]
EMBEDDED_BYTES = 64 * 1024 * 1024
"""failed_records.jsonl carries the records themselves up to this size in all; beyond it only where each lies."""


def contract_uri(runs_uri: str, row: LedgerRow) -> str | None:
    """The input object the record lies in; None when it was never sent."""
    return shard_uri(runs_uri, row.run_id, row.round, row.shard) if row.shard is not None else None


def retry_inputs(store: ObjectStore, runs_uri: str, run_id: str) -> list[str]:
    """The names of the shards that were sent in the retry round; none when there was no such round."""
    return [stored.uri.rsplit("/", 1)[-1] for stored in store.list(join_uri(runs_uri, run_id, "input", "r1") + "/")]


def write_retry_shards(
    store: ObjectStore,
    runs_uri: str,
    rows: Mapping[int, LedgerRow],
    groups: Mapping[str, Sequence[int]],
    directory: Path,
    sent: SentRecords,
) -> None:
    """A file for each of `groups`, with a request for each of its rows, as it was sent but with its record alone.

    The groups are in the order in which the records lie in their shards.
    """
    wanted = [rows[index] for indexes in groups.values() for index in indexes]
    requests = _read_requests(store, runs_uri, wanted, sent)
    end = b"" if sent.text.by_object else b"\n"
    for name, indexes in groups.items():
        with atomic_write(directory / name, directory) as stream:
            stream.writelines(_cut(sent, *pair).request + end for pair in islice(requests, len(indexes)))


def write_failed_records(
    store: ObjectStore, runs_uri: str, rows: Iterable[LedgerRow], path: Path, sent: SentRecords
) -> None:
    """A line a record that was sent and has no usable answer: why, where it lies, and the record itself as `record`.

    The lines are in the order of `rows`. `record` is null beyond EMBEDDED_BYTES, and where the shard is gone, as an
    earlier run's may be; `contract` says where the record lies.
    """
    lost = [row for row in rows if row.status in ("failed", "missing") and row.shard is not None]
    records: dict[_Place, bytes] = {}
    size = 0
    for row, request in _read_requests(store, runs_uri, lost, sent, skip_gone=True):
        record = _cut(sent, row, request).body
        size += len(record)
        if size > EMBEDDED_BYTES:
            break
        records[_place(row)] = record
    with atomic_write(path, path.parent) as stream:
        for row in lost:
            stream.write(_failed_line(runs_uri, row, records.get(_place(row))))


def _failed_line(runs_uri: str, row: LedgerRow, record: bytes | None) -> bytes:
    names = ("item_id", "shard", "line", "position", "round", "reason", "detail")
    head = {name: getattr(row, name) for name in names} | {"contract": contract_uri(runs_uri, row)}
    # The record goes in as it is: parsing it could change its numbers. What is no line of JSON goes in as text, and
    # Parquet as its rows.
    body = b"null"
    if record is not None and record.startswith(b"PAR1"):
        body = readable_text(record, PARQUET).encode()
    elif record is not None:
        body = record if _is_json_line(record) else json.dumps(record.decode("utf-8", "replace")).encode()
    return json.dumps(head, ensure_ascii=False).encode()[:-1] + b', "record": ' + body + b"}\n"


def _cut(sent: SentRecords, row: LedgerRow, request: bytes) -> SentRecord:
    # In the retry round each was sent alone.
    shard = str(row.shard) if row.round == 0 else ""
    return sent.cut(request, shard, row.line or 0, row.position, row.item_id)


def _is_json_line(record: bytes) -> bool:
    return record[:1] in (b"{", b"[") and b"\n" not in record


def _place(row: LedgerRow) -> _Place:
    return row.run_id, row.round, row.shard, row.line, row.position


def _read_requests(
    store: ObjectStore, runs_uri: str, rows: Iterable[LedgerRow], sent: SentRecords, *, skip_gone: bool = False
) -> Iterator[tuple[LedgerRow, bytes]]:
    """Each row with the request its record lies in, shard by shard. Raises ObjectMissingError for a shard that is
    gone, or passes over it."""
    shards: defaultdict[str, defaultdict[int, list[LedgerRow]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.shard is not None and row.line is not None:
            shards[shard_uri(runs_uri, row.run_id, row.round, row.shard)][row.line].append(row)
    for uri in sorted(shards):
        wanted = shards[uri]
        try:
            shard = store.open(uri)
        except ObjectMissingError:
            if skip_gone:
                continue
            raise
        with shard as stream:
            for number in range(max(wanted) + 1):
                request = stream.read() if sent.text.by_object else stream.readline()
                if not request:
                    what = f"it ends before line {number}, which the manifest promises."
                    raise DataError(Problem("shard_changed", what, uri, "Build the run again."))
                for row in wanted.get(number, ()):
                    yield row, request
