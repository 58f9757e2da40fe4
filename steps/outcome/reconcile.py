"""Pair what a run expects with what came back. Pure: outputs are read through the function that is passed in."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batchcast.steps.contract.answer import Expected
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.outcome.decision import Findings
from batchcast.steps.outcome.ledger import REASONS, RETRYABLE, LedgerRow, Status, Tally, tally
from batchcast.steps.outcome.shard_output import Fault, Reading, ShardStatus, Usable, read_shard
from batchcast.steps.shards.layout import retry_shard
from batchcast.steps.shards.manifest import RECORDS_FILE, Manifest

__all__ = ["CarriedAnswer", "Reconciliation", "check_records", "reconcile"]

ReadOutput = Callable[[int, str], bytes | None]
"""(round, shard) to the bytes of its output object, None when there is none."""

_ABSENT = frozenset({"no_output", "short_output"})
_LOST: tuple[ShardStatus, ...] = ("missing", "short")


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedAnswer:
    """An answer of an earlier run, read again, and the row of that run's ledger that says where it lies."""

    row: LedgerRow
    reading: Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """`rows` and `values` in the order of records.parquet; `values` is items x days x targets, NaN where there is none.

    `retry` holds the row numbers of the records that may be answered when sent alone.
    """

    rows: list[LedgerRow]
    values: npt.NDArray[np.float64]
    retry: list[int]
    shards: Mapping[ShardStatus, int]
    mismatches: tuple[str, ...]

    @property
    def tally(self) -> Tally:
        """The ledger in numbers."""
        return tally(self.rows, len(self.values))

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        """Which items have a forecast of the model."""
        return np.array([row.status in ("ok", "carried") for row in self.rows], dtype=bool)

    def findings(self, flags: int) -> Findings:
        """What the decision is made on."""
        reasons = Counter(row.reason for row in self.rows if row.reason)
        commonest = reasons.most_common(1)
        main = "".join(f"{REASONS[reason]} ({count} item{'s' * (count != 1)})" for reason, count in commonest)
        return Findings(
            tally=self.tally,
            shards=sum(self.shards.values()),
            shards_lost=sum(self.shards.get(status, 0) for status in _LOST),
            retryable=len(self.retry),
            unreadable=sum(self.rows[index].reason not in _ABSENT for index in self.retry),
            mismatches=self.mismatches,
            flags=flags,
            main_reason=main,
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
    round: int,  # noqa: A002 (the word of the layout)
) -> Reconciliation:
    """What became of every item of `records`: from the shards' outputs, in round 1 also from the retry round's."""
    rows = dict(_unsent(records, manifest.run_id))
    readings: dict[int, Reading] = {}
    for index, item_id in _carried(records):
        answer = carried[item_id]
        readings[index] = answer.reading
        rows[index] = _row(answer.row, answer.reading, "carried")
    shards: Counter[ShardStatus] = Counter()
    mismatches: list[str] = []
    for shard, members in _members(records):
        whole = read_shard(shard, read_output(0, shard), list(members.values()), expected)
        shards[whole.status] += 1
        mismatches.extend(whole.mismatches)
        for line, ((index, item_id), reading) in enumerate(zip(members.items(), whole.readings, strict=True)):
            row = LedgerRow(item_id=item_id, status="missing", run_id=manifest.run_id, shard=shard, line=line)
            if round == 1 and _retryable(reading):
                row = replace(row, round=1, shard=retry_shard(index), line=0)
                alone = read_shard(retry_shard(index), read_output(1, retry_shard(index)), [item_id], expected)
                mismatches.extend(alone.mismatches)
                reading = _after_retry(reading, alone.readings[0])
            readings[index] = reading
            rows[index] = _row(row, reading, "ok")
    return Reconciliation(
        rows=[rows[index] for index in range(records.num_rows)],
        values=_values(readings, records.num_rows, expected),
        retry=sorted(index for index, reading in readings.items() if _retryable(reading)),
        shards=shards,
        mismatches=tuple(mismatches),
    )


def _retryable(reading: Reading) -> bool:
    return isinstance(reading, Fault) and reading.reason in RETRYABLE


def _values(readings: Mapping[int, Reading], items: int, expected: Expected) -> npt.NDArray[np.float64]:
    values = np.full((items, len(expected.dates), len(expected.targets)), np.nan)
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


def _members(records: pa.Table) -> Iterator[tuple[str, dict[int, str]]]:
    """Each shard with the row number and the item of its lines, in line order."""
    shards: defaultdict[str, list[tuple[int, int, str]]] = defaultdict(list)
    columns = (records[name].to_pylist() for name in ("item_id", "shard", "line"))
    for index, (item_id, shard, line) in enumerate(zip(*columns, strict=True)):
        if shard is not None:
            shards[shard].append((line, index, item_id))
    for shard in sorted(shards):
        yield shard, {index: item_id for _, index, item_id in sorted(shards[shard])}


def _row(row: LedgerRow, reading: Reading, good: Status) -> LedgerRow:
    if isinstance(reading, Usable):
        return replace(row, status=good, reason="", detail="", answer_sha256=reading.sha256)
    status: Status = "missing" if reading.reason in _ABSENT else "failed"
    return replace(row, status=status, reason=reading.reason, detail=reading.detail, answer_sha256=reading.sha256)


def _after_retry(first: Reading, second: Reading) -> Reading:
    if isinstance(first, Fault) and isinstance(second, Fault) and second.reason in RETRYABLE:
        return Fault(reason="no_answer_after_retry", detail=f"{first.detail}; then alone: {second.detail}")
    return second
