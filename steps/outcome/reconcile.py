"""Pair what a run expects with what came back. Pure: outputs are read through the function that is passed in."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise, tee

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.answers.item_arrays import kept_array
from batchcast.steps.answers.item_names import one_array
from batchcast.steps.answers.kept_answers import KeptAnswers
from batchcast.steps.answers.shard_columns import ColumnReader, Requests, ShardColumns
from batchcast.steps.contract.answer import Expected
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.outcome.data_log import FailedRequest, count_refused
from batchcast.steps.outcome.decision import Findings
from batchcast.steps.outcome.ledger import (
    CORRECTIONS,
    MISREAD,
    REASONS,
    RETRYABLE,
    SILENT,
    Ledger,
    LedgerRow,
    Status,
    Tally,
)
from batchcast.steps.outcome.shard_output import Reading, RecordFault, ShardStatus, Usable, read_shard
from batchcast.steps.shards.layout import retry_members, retry_shard
from batchcast.steps.shards.manifest import RECORDS_FILE, Manifest
from batchcast.steps.shards.request_text import PLAIN_TEXT, RequestText

ReadOutput = Callable[[int, str], bytes | None]
"""(round, shard) to the bytes of its output object, None when there is none."""
SentShard = tuple[str, npt.NDArray[np.int64], Requests]
"""A shard with the row numbers of its records, in input order, and their items, request by request."""
ReadShards = Callable[[Iterable[SentShard], KeptAnswers], Iterator[ShardColumns]]
"""Reads the outputs of shards, in their order, and puts what is good of each to the answers."""

_ABSENT = frozenset({"no_output", "short_output", "long_output"})
_LOST: tuple[ShardStatus, ...] = ("missing", "short")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """`ledger` and `values` in the order of records.parquet; `values` is items x steps x columns, NaN where none.

    `retry` holds the row numbers of the records that may be answered when sent once more, in the order in which they
    lie in the shards; none after the retry round. `silent` counts the records that certainly have no readable answer.
    """

    ledger: Ledger
    values: npt.NDArray[np.float64]
    retry: list[int]
    silent: int
    shards: Mapping[ShardStatus, int]
    mismatches: tuple[str, ...]

    @property
    def tally(self) -> Tally:
        """The ledger in numbers."""
        return self.ledger.tally()

    @property
    def reasons(self) -> Counter[str]:
        """How many items have no forecast for each reason."""
        return Counter(row.reason for row in self.ledger.odd if row.reason)

    @property
    def retry_requests(self) -> int:
        """The requests that the retry round has sent."""
        return len({(row.shard, row.line) for row in self.ledger.odd if row.round and row.status != "carried"})

    def findings(self, wrong: Iterable[str] = (), requests: Iterable[FailedRequest] | None = None) -> Findings:
        """What the decision is made on; `wrong` says what of the forecasts holds the run, and `requests` failed by the
        jobs' logs, None where these cannot be read."""
        odd, commonest = self.ledger.odd, self.reasons.most_common(1)
        main_reasons = [reason for reason, _ in commonest]
        failed = None if requests is None else list(requests)
        main = "".join(f"{REASONS[reason]} ({count} item{'s' * (count != 1)})" for reason, count in commonest)
        return Findings(
            tally=self.tally,
            shards=sum(self.shards.values()),
            shards_lost=sum(self.shards.get(status, 0) for status in _LOST),
            retryable=len(self.retry),
            unreadable=_count_unreadable(self.ledger, self.retry),
            silent=self.silent,
            served=failed is None or bool(failed) or self.tally.ok > 0,
            refused=count_refused(failed or ()),
            mismatches=self.mismatches,
            wrong=tuple(wrong),
            main_reason=main,
            misread=next((row.detail for row in odd if row.reason in MISREAD and row.reason in main_reasons), ""),
            correction="".join(CORRECTIONS.get(reason, "") for reason in main_reasons),
        )


def check_records(manifest: Manifest, records: pa.Table) -> None:
    """Raise DataError when manifest.json and records.parquet do not speak of the same run."""
    found = _records_by_shard(records)
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


def _records_by_shard(records: pa.Table) -> dict[str, int]:
    counts = pc.value_counts(records["shard"])
    found = zip(counts.field(0).to_pylist(), counts.field(1).to_pylist(), strict=True)
    return {name: count for name, count in found if name is not None}


def reconcile(
    manifest: Manifest,
    records: pa.Table,
    read_output: ReadOutput,
    carried: Iterable[tuple[LedgerRow, Reading]],
    expected: Expected,
    *,
    retry_shards: Collection[str] | None = None,
    read_shards: ReadShards | None = None,
) -> Reconciliation:
    """What became of every item of `records`, from the shards' outputs and those of the retry round's shards.

    `carried` are answers of earlier runs, read again, with the rows of the ledgers that say where they lie.
    `retry_shards` is None before that round. `read_shards` reads those of the first round, where this is not to be done
    here.
    """
    shape = len(records), len(expected.dates), len(expected.columns)
    answers = KeptAnswers.of(shape, shared=read_shards is not None)
    ledger, values = Ledger(records, manifest.run_id, answers.digests), answers.values
    others, faults = ledger.others, dict[int, Reading]()
    others.update(_unsent(records, manifest.run_id))
    places = _carried(records)
    for row, reading in carried:
        index = places.pop(row.item_id)
        others[index] = _row(row, reading, "carried")
        if isinstance(reading, Usable):
            values[index] = reading.values
    assert not places, "an item is carried over without an answer"
    shards: Counter[ShardStatus] = Counter()
    mismatches: list[str] = []
    retry: list[int] = []
    sent, ahead = tee(sent_requests(records))
    found = (read_shards or partial(_read_here, read_output, expected))(ahead, answers)
    for (shard, indexes, requests), whole in zip(sent, found, strict=True):
        shards[whole.status] += 1
        mismatches.extend(whole.mismatches)
        for index, row, fault in _faulty(shard, indexes, requests, whole.faults):
            others[index] = _row(replace(row, run_id=manifest.run_id), fault, "ok")
            if fault.reason in RETRYABLE:
                retry.append(index)
                faults[index] = fault
    for shard, again in _sent_again(retry_shards or (), retry):
        second = read_shard(shard, read_output(1, shard), [[others[index].item_id] for index in again], expected)
        mismatches.extend(second.mismatches)
        for line, (index, reading) in enumerate(zip(again, second.readings, strict=True)):
            after = _after_retry(faults[index], reading, len(again))
            others[index] = _row(replace(others[index], round=1, shard=shard, line=line, position=0), after, "ok")
            if isinstance(after, Usable):
                values[index] = after.values
    lost = sum(shards[status] for status in _LOST)
    return Reconciliation(
        ledger=ledger,
        values=values,
        retry=retry if retry_shards is None else [],
        # A lost shard has one such record at least; the retry round tells which.
        silent=lost + _count_unreadable(ledger, retry)
        if retry_shards is None
        else sum(row.reason in SILENT for row in others.values()),
        shards=shards,
        mismatches=tuple(mismatches),
    )


def _read_here(
    read_output: ReadOutput, expected: Expected, sent: Iterable[SentShard], answers: KeptAnswers
) -> Iterator[ShardColumns]:
    reader = ColumnReader(expected)
    for shard, indexes, requests in sent:
        whole = reader.read(shard, read_output(0, shard), requests)
        answers.put(indexes, whole)
        yield whole


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


def _count_unreadable(ledger: Ledger, retry: Iterable[int]) -> int:
    """The requests whose answer cannot be read: each holds one bad record at least, and perhaps only one."""
    found = (ledger.others[index] for index in retry)
    return len({(row.shard, row.line) for row in found if row.reason not in _ABSENT})


def _unsent(records: pa.Table, run_id: str) -> Iterator[tuple[int, LedgerRow]]:
    """The items that were quarantined before the transform."""
    mask = pc.is_valid(records["quarantine_reason"])
    indexes = np.flatnonzero(mask.to_numpy()).tolist()
    columns = (records[name].filter(mask).to_pylist() for name in ("item_id", "quarantine_reason", "quarantine_detail"))
    for index, item_id, reason, detail in zip(indexes, *columns, strict=True):
        yield (
            index,
            LedgerRow(item_id=item_id, status="quarantined", reason=reason, detail=detail or "", run_id=run_id),
        )


def _carried(records: pa.Table) -> dict[str, int]:
    """The items that are carried over, and their row numbers."""
    mask = records["carried"]
    return dict(zip(records["item_id"].filter(mask).to_pylist(), np.flatnonzero(mask.to_numpy()).tolist(), strict=True))


def sent_requests(records: pa.Table) -> Iterator[SentShard]:
    """The shards of the first round."""
    counts = _records_by_shard(records)
    names = sorted(counts)
    bounds = np.cumsum([0, *(counts[name] for name in names)])
    sent = kept_array((int(bounds[-1]),), np.int64)
    lines, positions = (kept_array((len(records),), np.int32) for _ in range(2))
    behind, start = bounds[:-1].copy(), 0
    for part in records.select(["shard", "line", "position"]).to_batches():
        stop = start + len(part)
        lines[start:stop], positions[start:stop] = (pc.fill_null(part[name], 0) for name in ("line", "position"))
        number = pc.index_in(part["shard"], value_set=pa.array(names, pa.string()))
        code, here = number.drop_null().to_numpy(), np.flatnonzero(number.is_valid()) + start
        order = np.argsort(code, kind="stable")
        code = code[order]
        sent[behind[code] + np.arange(len(code)) - np.searchsorted(code, code)] = here[order]
        behind += np.bincount(code, minlength=len(names))
        start = stop
    ids = one_array(records["item_id"])
    for name, (start, stop) in zip(names, pairwise(bounds.tolist()), strict=True):
        indexes = sent[start:stop]
        indexes = indexes[np.lexsort((positions[indexes], lines[indexes]))]
        items = ids.take(pa.array(indexes)).to_pylist()
        begins = [0, *(np.flatnonzero(np.diff(lines[indexes])) + 1).tolist(), len(items)]
        alone = len(begins) > len(items)
        yield name, indexes, [[item] for item in items] if alone else [items[a:b] for a, b in pairwise(begins)]


def _faulty(
    shard: str, indexes: npt.NDArray[np.int64], requests: Sequence[Sequence[str]], faults: Mapping[int, RecordFault]
) -> Iterator[tuple[int, LedgerRow, RecordFault]]:
    """The row number of each record without a good answer, and where it lies."""
    if not faults:
        return
    places = [(line, *item) for line, items in enumerate(requests) for item in enumerate(items)]
    for place in sorted(faults):
        line, position, item = places[place]
        row = LedgerRow(item_id=item, status="missing", run_id="", shard=shard, line=line, position=position)
        yield int(indexes[place]), row, faults[place]


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
