"""Pair what a run expects with what came back. Pure: outputs are read through the function that is passed in."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batchcast.steps.contract.answer import Expected
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.outcome.data_log import FailedRequest, count_refused
from batchcast.steps.outcome.decision import Findings
from batchcast.steps.outcome.ledger import MISREAD, REASONS, RETRYABLE, SILENT, LedgerRow, Status, Tally, tally
from batchcast.steps.outcome.shard_output import Reading, RecordFault, ShardStatus, Usable, read_shard
from batchcast.steps.shards.layout import retry_members, retry_shard
from batchcast.steps.shards.manifest import RECORDS_FILE, Manifest
from batchcast.steps.shards.request_text import PLAIN_TEXT, RequestText

ReadOutput = Callable[[int, str], bytes | None]
"""(round, shard) to the bytes of its output object, None when there is none."""

_ABSENT = frozenset({"no_output", "short_output", "long_output"})
_LOST: tuple[ShardStatus, ...] = ("missing", "short")


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedAnswer:
    """An answer of an earlier run, read again, and the row of that run's ledger that says where it lies."""

    row: LedgerRow
    reading: Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """`rows` and `values` in the order of records.parquet; `values` is items x steps x columns, NaN where none.

    `retry` holds the row numbers of the records that may be answered when sent once more, in the order in which they
    lie in the shards; none after the retry round. `silent` counts the records that certainly have no readable answer.
    """

    rows: list[LedgerRow]
    values: npt.NDArray[np.float64]
    retry: list[int]
    silent: int
    shards: Mapping[ShardStatus, int]
    mismatches: tuple[str, ...]

    @property
    def tally(self) -> Tally:
        """The ledger in numbers."""
        return tally(self.rows, len(self.values))

    @property
    def retry_requests(self) -> int:
        """The requests that the retry round has sent."""
        return len({(row.shard, row.line) for row in self.rows if row.round and row.status != "carried"})

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        """Which items have a forecast of the model."""
        return np.array([row.status in ("ok", "carried") for row in self.rows], dtype=bool)

    def findings(self, wrong: Iterable[str] = (), requests: Iterable[FailedRequest] | None = None) -> Findings:
        """What the decision is made on; `wrong` says what of the forecasts holds the run, and `requests` failed by the
        jobs' logs, None where these cannot be read."""
        reasons = Counter(row.reason for row in self.rows if row.reason)
        commonest = reasons.most_common(1)
        main_reasons = [reason for reason, _ in commonest]
        failed = None if requests is None else list(requests)
        main = "".join(f"{REASONS[reason]} ({count} item{'s' * (count != 1)})" for reason, count in commonest)
        return Findings(
            tally=self.tally,
            shards=sum(self.shards.values()),
            shards_lost=sum(self.shards.get(status, 0) for status in _LOST),
            retryable=len(self.retry),
            unreadable=_count_unreadable(self.rows, self.retry),
            silent=self.silent,
            served=failed is None or bool(failed) or self.tally.ok > 0,
            refused=count_refused(failed or ()),
            mismatches=self.mismatches,
            wrong=tuple(wrong),
            main_reason=main,
            misread=next((row.detail for row in self.rows if row.reason in MISREAD and row.reason in main_reasons), ""),
        )


def check_records(manifest: Manifest, records: pa.Table) -> None:
    """Raise DataError when manifest.json and records.parquet do not speak of the same run."""
    found = Counter(shard for shard in records["shard"].to_pylist() if shard is not None)
    promised = {shard.name: shard.records for shard in manifest.shards}
    problems = [
        f"{name}: {found.get(name, 0)} records, {promised.get(name, 0)} by the manifest"
        for name in sorted({*found, *promised})
        if found.get(name, 0) != promised.get(name, 0)
    ]
    if records.num_rows != manifest.totals.items:
        problems.append(f"{records.num_rows} items, {manifest.totals.items} by the manifest")
    if problems:
        raise DataError(
            *(Problem("manifest_mismatch", what, RECORDS_FILE, "Build the run again.") for what in problems)
        )


def reconcile(
    manifest: Manifest,
    records: pa.Table,
    read_output: ReadOutput,
    carried: Mapping[str, CarriedAnswer],
    expected: Expected,
    *,
    retry_shards: Collection[str] | None = None,
) -> Reconciliation:
    """What became of every item of `records`, from the shards' outputs and those of the retry round's shards.

    `retry_shards` is None before that round.
    """
    rows = dict(_unsent(records, manifest.run_id))
    readings: dict[int, Reading] = {}
    for index, item_id in _carried(records):
        answer = carried[item_id]
        readings[index] = answer.reading
        rows[index] = _row(answer.row, answer.reading, "carried")
    shards: Counter[ShardStatus] = Counter()
    mismatches: list[str] = []
    retry: list[int] = []
    for shard, members in _members(records):
        requests = [[item for _, item in line] for line in members]
        whole = read_shard(shard, read_output(0, shard), requests, expected)
        shards[whole.status] += 1
        mismatches.extend(whole.mismatches)
        places = [(line, position, *item) for line, items in enumerate(members) for position, item in enumerate(items)]
        for (line, position, index, item_id), reading in zip(places, whole.readings, strict=True):
            readings[index] = reading
            row = LedgerRow(
                item_id=item_id, status="missing", run_id=manifest.run_id, shard=shard, line=line, position=position
            )
            rows[index] = _row(row, reading, "ok")
            if _retryable(reading):
                retry.append(index)
    for shard, indexes in _sent_again(retry_shards or (), retry):
        whole = read_shard(shard, read_output(1, shard), [[rows[index].item_id] for index in indexes], expected)
        mismatches.extend(whole.mismatches)
        for line, (index, second) in enumerate(zip(indexes, whole.readings, strict=True)):
            readings[index] = reading = _after_retry(readings[index], second, len(indexes))
            rows[index] = _row(replace(rows[index], round=1, shard=shard, line=line, position=0), reading, "ok")
    lost = sum(shards[status] for status in _LOST)
    garbled = _count_unreadable(rows, retry)
    return Reconciliation(
        rows=[rows[index] for index in range(records.num_rows)],
        values=_values(readings, records.num_rows, expected),
        retry=retry if retry_shards is None else [],
        # A lost shard has one such record at least; the retry round tells which.
        silent=lost + garbled if retry_shards is None else sum(row.reason in SILENT for row in rows.values()),
        shards=shards,
        mismatches=tuple(mismatches),
    )


def retry_groups(retry: Sequence[int], most: int, text: RequestText = PLAIN_TEXT) -> dict[str, list[int]]:
    """The shards of the retry round: each record alone, or in `most` shards of nearly equal size where they are more
    and a shard can hold several requests.

    Name of the shard to the row numbers of its records.
    """
    count = len(retry) if text.by_object else min(len(retry), most)
    starts = [len(retry) * number // count for number in range(count + 1)] if count else []
    cut = [list(retry[start:end]) for start, end in pairwise(starts)]
    return {retry_shard(group[0], len(group), text.suffix): group for group in cut}


def _sent_again(retry_shards: Collection[str], retry: Sequence[int]) -> Iterator[tuple[str, list[int]]]:
    """Each shard of the retry round that is one of this run's, with the row numbers of its records."""
    place = {index: number for number, index in enumerate(retry)}
    for shard in sorted(retry_shards):
        members = retry_members(shard)
        if members is not None and members[0] in place:
            start = place[members[0]]
            yield shard, list(retry[start : start + members[1]])


def _count_unreadable(rows: Sequence[LedgerRow] | Mapping[int, LedgerRow], retry: Iterable[int]) -> int:
    """The requests whose answer cannot be read: each holds one bad record at least, and perhaps only one."""
    found = (rows[index] for index in retry)
    return len({(row.shard, row.line) for row in found if row.reason not in _ABSENT})


def _retryable(reading: Reading) -> bool:
    return isinstance(reading, RecordFault) and reading.reason in RETRYABLE


def _values(readings: Mapping[int, Reading], items: int, expected: Expected) -> npt.NDArray[np.float64]:
    values = np.full((items, len(expected.dates), len(expected.columns)), np.nan)
    for index, reading in readings.items():
        if isinstance(reading, Usable):
            values[index] = reading.values
    return values


def _unsent(records: pa.Table, run_id: str) -> Iterator[tuple[int, LedgerRow]]:
    """The items that were quarantined before the transform."""
    columns = (records[name].to_pylist() for name in ("item_id", "quarantine_reason", "quarantine_detail"))
    for index, (item_id, reason, detail) in enumerate(zip(*columns, strict=True)):
        if reason is not None:
            yield (
                index,
                LedgerRow(item_id=item_id, status="quarantined", reason=reason, detail=detail or "", run_id=run_id),
            )


def _carried(records: pa.Table) -> Iterator[tuple[int, str]]:
    columns = (records[name].to_pylist() for name in ("item_id", "carried"))
    for index, (item_id, carried) in enumerate(zip(*columns, strict=True)):
        if carried:
            yield index, item_id


def _members(records: pa.Table) -> Iterator[tuple[str, list[list[tuple[int, str]]]]]:
    """Each shard with the row number and the item of every record, request by request."""
    shards: defaultdict[str, list[tuple[int, int, int, str]]] = defaultdict(list)
    columns = (records[name].to_pylist() for name in ("item_id", "shard", "line", "position"))
    for index, (item_id, shard, line, position) in enumerate(zip(*columns, strict=True)):
        if shard is not None:
            shards[shard].append((line, position or 0, index, item_id))
    for shard in sorted(shards):
        members = sorted(shards[shard])
        yield shard, [[(index, item) for _, _, index, item in line] for _, line in groupby(members, _line)]


def _line(member: tuple[int, int, int, str]) -> int:
    return member[0]


def _row(row: LedgerRow, reading: Reading, good: Status) -> LedgerRow:
    if isinstance(reading, Usable):
        return replace(row, status=good, reason="", detail="", answer_sha256=reading.sha256)
    status: Status = "missing" if reading.reason in _ABSENT else "failed"
    return replace(row, status=status, reason=reading.reason, detail=reading.detail, answer_sha256=reading.sha256)


def _after_retry(first: Reading, second: Reading, together: int) -> Reading:
    """The reading of a record that was sent again, `together` records in one shard."""
    if not (isinstance(first, RecordFault) and isinstance(second, RecordFault) and second.reason in RETRYABLE):
        return second
    if together == 1:
        return RecordFault(reason="no_answer_after_retry", detail=f"{first.detail}; then alone: {second.detail}")
    return replace(second, detail=f"{first.detail}; then among {together}: {second.detail}")
