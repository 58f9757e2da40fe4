"""The answers of a shard as columns: lines of a known form together, every other line by itself, as `read_shard` does.

Whatever is odd about a line is thus found and named by one path alone, and a shard whose answers are not as many as
its requests takes that path as a whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batchcast.steps.answers.answer_form import AnswerForm, PlainAnswers
from batchcast.steps.answers.item_arrays import Positions
from batchcast.steps.answers.line_form import Lines
from batchcast.steps.contract.answer import Expected
from batchcast.steps.outcome.shard_output import (
    Document,
    Reading,
    RecordFault,
    ShardReading,
    ShardStatus,
    Usable,
    documents_of_line,
    read_document,
    read_shard,
)

_LEAST_LINES = 16
_TRIED, _KEPT = 3, 8
Requests = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardColumns:
    """What became of the records of a shard, in input order: `values` records x steps x columns, NaN where there are
    none; `digests` the SHA-256 of each good answer's line; `faults` those without a good answer, by their place."""

    status: ShardStatus
    values: npt.NDArray[np.float64]
    digests: npt.NDArray[np.uint8]
    faults: Mapping[int, RecordFault]
    mismatches: tuple[str, ...] = ()


class ColumnReader:
    """Reads the shards of a run, and remembers the forms of their lines; `alike` are the lines read by these so far."""

    def __init__(self, expected: Expected) -> None:
        self.alike = 0
        self._expected = expected
        self._forms: list[tuple[int, AnswerForm]] = []

    def read(self, name: str, data: bytes | None, requests: Requests) -> ShardColumns:
        """The records of a shard, given by the items of each of its requests, with the answers in `data`."""
        expected = self._expected
        if data is None or expected.request.mode == "object" or len(requests) < _LEAST_LINES:
            return self._one_by_one(read_shard(name, data, requests, expected))
        lines = Lines.of(data)
        found, rest = self._plain(lines, requests)
        others = {line: self._documents(lines, line) for line in rest.tolist()}
        counts = np.ones(len(lines.starts), np.int64)
        counts[rest] = [len(documents) for documents in others.values()]
        if counts.sum() != len(requests):
            return self._one_by_one(read_shard(name, data, requests, expected))
        return self._columns(name, lines, requests, found, others, np.cumsum(counts) - counts)

    def _plain(self, lines: Lines, requests: Requests) -> tuple[list[tuple[int, PlainAnswers]], Positions]:
        """The lines of known forms with the items of a request, and those that are of none."""
        rest = np.arange(len(lines.starts))
        found: list[tuple[int, PlainAnswers]] = []
        tried = 0
        forms = iter(list(self._forms))
        while len(rest):
            known = next(forms, None)
            if known is None:
                if tried == _TRIED or len(rest) < _LEAST_LINES:
                    break
                known = self._form_of(lines, int(rest[tried]), requests)
                tried += 1
                if known is None:
                    continue
            items, form = known
            answers = form.read(lines.some(rest), self._expected)
            if len(answers.lines):
                found.append((items, PlainAnswers(lines=rest[answers.lines], values=answers.values, ids=answers.ids)))
                rest = np.delete(rest, answers.lines)
        return found, rest

    def _form_of(self, lines: Lines, line: int, requests: Requests) -> tuple[int, AnswerForm] | None:
        """The form of a line that answers its request well; it is remembered."""
        documents = self._documents(lines, line)
        if len(documents) != 1 or documents[0].problem or line >= len(requests):
            return None
        items = documents[0].item_ids or requests[line]
        if not all(isinstance(one, Usable) for one in read_document(documents[0], items, "", self._expected).values()):
            return None
        form = AnswerForm.of(_text(lines, line), len(items), self._expected)
        if form is None:
            return None
        self._forms = [*self._forms, (len(items), form)][-_KEPT:]
        return len(items), form

    def _documents(self, lines: Lines, line: int) -> list[Document]:
        text = _text(lines, line)
        return documents_of_line(text, line + 1, enveloped=self._expected.request.enveloped) if text else []

    def _columns(
        self,
        name: str,
        lines: Lines,
        requests: Requests,
        found: Sequence[tuple[int, PlainAnswers]],
        others: dict[int, list[Document]],
        owners: Positions,
    ) -> ShardColumns:
        """As many answers as requests: the answers of a line are to its `owners` one, and the next ones."""
        sizes = np.array([len(items) for items in requests], np.int64)
        first = np.cumsum(sizes) - sizes
        every = pa.array([item for items in requests for item in items], pa.large_string())
        values, digests = self._empty(len(every))
        for items, answers in found:
            owner = owners[answers.lines]
            good = sizes[owner] == items
            own = first[owner][:, None] + np.arange(items)
            place = pa.array(np.minimum(own, len(every) - 1).ravel())
            for ids in answers.ids:
                good &= pc.equal(ids, every.take(place)).to_numpy(zero_copy_only=False).reshape(own.shape).all(axis=1)
            values[own[good]] = answers.values[good]
            self.alike += int(good.sum())
            digests[own[good]] = _digests(lines.some(answers.lines[good]))[:, None]
            others |= {line: self._documents(lines, line) for line in answers.lines[~good].tolist()}
        faults: dict[int, RecordFault] = {}
        mismatches: list[str] = []
        garbled = False
        for line in sorted(others):
            for number, document in enumerate(others[line], int(owners[line])):
                garbled |= bool(document.problem)
                where = f"{name}.out line {document.line}"
                read = read_document(document, requests[number], where, self._expected)
                for place, reading in enumerate(read.values(), int(first[number])):
                    _put(reading, place, values, digests, faults)
                    if isinstance(reading, RecordFault) and reading.reason == "wrong_id":
                        mismatches.append(reading.detail)
        status: ShardStatus = "garbled" if garbled else "ok"
        return ShardColumns(status=status, values=values, digests=digests, faults=faults, mismatches=tuple(mismatches))

    def _one_by_one(self, shard: ShardReading) -> ShardColumns:
        values, digests = self._empty(len(shard.readings))
        faults: dict[int, RecordFault] = {}
        for place, reading in enumerate(shard.readings):
            _put(reading, place, values, digests, faults)
        return ShardColumns(
            status=shard.status, values=values, digests=digests, faults=faults, mismatches=shard.mismatches
        )

    def _empty(self, records: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
        values = np.full((records, len(self._expected.dates), len(self._expected.columns)), np.nan)
        return values, np.zeros((records, hashlib.sha256().digest_size), np.uint8)


def _put(
    reading: Reading,
    place: int,
    values: npt.NDArray[np.float64],
    digests: npt.NDArray[np.uint8],
    faults: dict[int, RecordFault],
) -> None:
    if isinstance(reading, RecordFault):
        faults[place] = reading
    else:
        values[place] = reading.values
        digests[place] = np.frombuffer(bytes.fromhex(reading.sha256), np.uint8)


def _text(lines: Lines, line: int) -> bytes:
    return lines.data[lines.starts[line] : lines.ends[line]].strip()


def _digests(lines: Lines) -> npt.NDArray[np.uint8]:
    data, sha256 = memoryview(lines.data), hashlib.sha256
    places = zip(lines.starts.tolist(), lines.ends.tolist(), strict=True)
    found = b"".join([sha256(data[start:end]).digest() for start, end in places])
    return np.frombuffer(found, np.uint8).reshape(len(lines.starts), -1)
