"""The records as they were sent, copied out of the input shards: for the retry round, and for failed_records.jsonl.

Only the shards that are needed are read, as streams: a shard may be 100 MB, and a record several.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from batchcast.steps.errors import DataError, Problem
from batchcast.steps.outcome.ledger import LedgerRow
from batchcast.steps.shards.layout import shard_uri
from batchcast.steps.store.objects import ObjectMissingError, ObjectStore, join_uri, whole_file

__all__ = ["contract_uri", "retry_inputs", "write_failed_records", "write_retry_shards"]

EMBEDDED_BYTES = 64 * 1024 * 1024
"""failed_records.jsonl carries the records themselves up to this size in all; beyond it only where each lies."""


def contract_uri(runs_uri: str, row: LedgerRow) -> str | None:
    """The input object the record lies in; None when it was never sent."""
    return shard_uri(runs_uri, row.run_id, row.round, row.shard) if row.shard is not None else None


def retry_inputs(store: ObjectStore, runs_uri: str, run_id: str) -> list[str]:
    """The names of the shards that were sent in the retry round; none when there was no such round."""
    return [stored.uri.rsplit("/", 1)[-1] for stored in store.list(join_uri(runs_uri, run_id, "input", "r1") + "/")]


def write_retry_shards(
    store: ObjectStore, runs_uri: str, rows: Sequence[LedgerRow], groups: Mapping[str, Sequence[int]], directory: Path
) -> None:
    """A file for each of `groups`, with the records of its rows byte for byte as they were sent.

    The groups are in the order in which the records lie in their shards.
    """
    wanted = [rows[index] for indexes in groups.values() for index in indexes]
    lines = _read_lines(store, runs_uri, wanted)
    for name, indexes in groups.items():
        with whole_file(directory / name, directory) as stream:
            stream.writelines(line for _, line in islice(lines, len(indexes)))


def write_failed_records(store: ObjectStore, runs_uri: str, rows: Iterable[LedgerRow], path: Path) -> None:
    """A line a record that was sent and has no usable answer: why, where it lies, and the record itself as `record`.

    The lines are in the order of `rows`. `record` is null beyond EMBEDDED_BYTES, and where the shard is gone, as an
    earlier run's may be; `contract` says where the record lies.
    """
    lost = [row for row in rows if row.status in ("failed", "missing") and row.shard is not None]
    records: dict[tuple[str, int, str | None, int | None], bytes] = {}
    size = 0
    for row, line in _read_lines(store, runs_uri, lost, skip_gone=True):
        size += len(line)
        if size > EMBEDDED_BYTES:
            break
        records[_place(row)] = line
    with whole_file(path, path.parent) as stream:
        for row in lost:
            stream.write(_failed_line(runs_uri, row, records.get(_place(row))))


def _failed_line(runs_uri: str, row: LedgerRow, record: bytes | None) -> bytes:
    head = {
        "item_id": row.item_id,
        "shard": row.shard,
        "line": row.line,
        "round": row.round,
        "reason": row.reason,
        "detail": row.detail,
        "contract": contract_uri(runs_uri, row),
    }
    # The record goes in as it is: parsing it could change its numbers.
    body = record.strip() if record is not None else b"null"
    return json.dumps(head, ensure_ascii=False).encode()[:-1] + b', "record": ' + body + b"}\n"


def _place(row: LedgerRow) -> tuple[str, int, str | None, int | None]:
    return row.run_id, row.round, row.shard, row.line


def _read_lines(
    store: ObjectStore, runs_uri: str, rows: Iterable[LedgerRow], *, skip_gone: bool = False
) -> Iterator[tuple[LedgerRow, bytes]]:
    """Each row's record with its newline, shard by shard. Raises ObjectMissingError for a shard that is gone, or
    passes over it."""
    shards: defaultdict[str, dict[int, LedgerRow]] = defaultdict(dict)
    for row in rows:
        if row.shard is not None and row.line is not None:
            shards[shard_uri(runs_uri, row.run_id, row.round, row.shard)][row.line] = row
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
                line = stream.readline()
                if not line:
                    what = f"it ends before line {number}, which the manifest promises."
                    raise DataError(Problem("shard_changed", what, uri, "Build the run again."))
                if number in wanted:
                    yield wanted[number], line
