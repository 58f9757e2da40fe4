"""From buckets to shards: check the rows, render the records, write the objects of the transform."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.history.date_axis import DateAxis
from batchcast.steps.history.partition import Spill, read_bucket
from batchcast.steps.history.workers import Advance
from batchcast.steps.shards.baseline import seasonal_naive
from batchcast.steps.shards.chunk import Chunk, sorted_chunks
from batchcast.steps.shards.manifest import Shard
from batchcast.steps.shards.periods import fill_steps, find_gaps, join_future, merge_rows, newest_steps
from batchcast.steps.shards.plan import shard_name
from batchcast.steps.shards.quarantine import Quarantine, find_quarantined, too_large
from batchcast.steps.shards.render import RecordRenderer
from batchcast.steps.shards.request_text import RequestText
from batchcast.steps.store.objects import atomic_write

Numbers = npt.NDArray[np.int64]
_Rows = dict[str, list[Any]]
_COPIED_BYTES = 32 << 10
"""Records of fewer are put together before they are written: a call an item costs more than the copy."""
WRITTEN_SCHEMA = pa.schema(
    [
        ("place", pa.int32()),
        ("shard", pa.string()),
        ("line", pa.int32()),
        ("position", pa.int32()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
    ]
)
"""A row a record: its place in the output, the shard, the line of its request (from 0), its position among the records
of the request, and its own bytes, without what the request has around it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltRecords:
    """What became of the records of some buckets: `written` has WRITTEN_SCHEMA, `quarantined` goes by place."""

    written: list[pa.Table] = field(default_factory=list)
    quarantined: dict[int, Quarantine] = field(default_factory=dict)
    shards: list[Shard] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordWriter:
    """Writes the shards of a run into `directory`; shard n holds the places from shard_starts[n] to the next.

    A record of more than `max_bytes` is quarantined. What it is measured by goes to the `baseline` file.
    """

    contract: ModelContract
    axis: DateAxis
    id_types: tuple[pa.DataType, ...]
    shard_starts: Numbers
    request_text: RequestText
    max_bytes: int
    chunk_rows: int
    directory: Path
    baseline: Path

    def write(
        self, advance: Advance, buckets: range, spills: Sequence[Spill], first: int, attributes: Mapping[str, pa.Array]
    ) -> BuiltRecords:
        """Write the shards whose records the buckets hold, all of each. `attributes` are the values of id and static
        columns at the places from `first` on."""
        built = BuiltRecords()
        renderer = RecordRenderer(self.contract, self.axis, attributes, self.id_types, first)
        batches = (
            batch
            for bucket in buckets
            for chunk in sorted_chunks(read_bucket(bucket, spills), rows=self.chunk_rows)
            for batch in self._batches(chunk, renderer, built, advance)
        )
        rows: _Rows = {name: [] for name in WRITTEN_SCHEMA.names}
        for shard, members in itertools.groupby(batches, key=lambda batch: batch[0]):
            built.shards.extend(self._write_shard(shard, (records for _, records in members), rows))
        built.written.append(pa.table(rows, schema=WRITTEN_SCHEMA))
        return built

    def _batches(
        self, chunk: Chunk, renderer: RecordRenderer, built: BuiltRecords, advance: Advance
    ) -> Iterator[tuple[int, _Records]]:
        """Those that can be sent, by shard; the others go to `built`."""
        advance(len(chunk.keys))
        series = self.contract.series
        chunk = join_future(chunk, series, self.axis)
        chunk = newest_steps(merge_rows(chunk, series, self.axis), series, self.axis)
        found = {**find_gaps(chunk, series, self.axis)}
        # A row that is wrong says more than the gap it leaves.
        found |= find_quarantined(chunk, self.contract, self.axis, self.max_bytes)
        good = np.ones(len(chunk.places), bool)
        good[list(found)] = False
        built.quarantined.update({int(chunk.places[n]): why for n, why in found.items()})
        if not good.any():
            return
        kept = fill_steps(chunk.only(good), series, self.axis)
        ids, texts = renderer.item_ids(kept).to_pylist(), list(renderer.records(kept))
        fits = np.array(self.request_text.alone(ids, list(map(len, texts)), self.max_bytes))
        for n in np.flatnonzero(~fits).tolist():
            size = self.request_text.size([ids[n]], len(texts[n]))
            built.quarantined[int(kept.places[n])] = too_large(f"{size:,}", self.max_bytes)
        kept = kept.only(fits)
        columns = (list(itertools.compress(column, fits)) for column in (ids, texts))
        records = _Records(kept.places.tolist(), *columns)
        shards = np.searchsorted(self.shard_starts, kept.places, side="right") - 1
        cuts = [0, *(np.flatnonzero(np.diff(shards)) + 1).tolist(), len(shards)]
        for begin, end in itertools.pairwise(cuts):
            if begin < end:
                yield int(shards[begin]), records.between(begin, end)
        measured = np.load(self.baseline, mmap_mode="r+")
        measured[kept.places] = seasonal_naive(kept, series.targets, self.axis)

    def _write_shard(self, number: int, batches: Iterator[_Records], rows: _Rows) -> Iterator[Shard]:
        requests = self._requests(batches)
        name = shard_name(number, len(self.shard_starts) - 1, self.request_text)
        if not self.request_text.by_object:
            yield self._write_object(name, requests, rows)
            return
        alone = (
            (records.between(begin, end), [0, end - begin])
            for records, cuts in requests
            for begin, end in itertools.pairwise(cuts)
        )
        for extra, request in enumerate(alone):
            # More items than fit the payload limit together are more objects.
            stem = name.removesuffix(self.request_text.suffix)
            own = f"{stem}-{extra}{self.request_text.suffix}" if extra else name
            yield self._write_object(own, [request], rows)

    def _requests(self, batches: Iterator[_Records]) -> Iterator[tuple[_Records, list[int]]]:
        """Records, and where among them the requests begin, of as many as are declared, or of fewer, where more would
        not fit the payload limit."""
        most = self.contract.request.items_per_request
        if most == 1:
            yield from ((records, list(range(len(records.places) + 1))) for records in batches)
            return
        left = _Records([], [], [])
        for batch in batches:
            records = left.followed_by(batch)
            cuts = self._cuts(records, most)
            # The last request may hold some of the next batch, too.
            yield records.between(0, cuts[-2]), cuts[:-1]
            left = records.between(cuts[-2], cuts[-1])
        yield left, [0, len(left.places)]

    def _cuts(self, records: _Records, most: int) -> list[int]:
        cuts, size = [0], 0
        for n, record in enumerate(records.texts):
            begin = cuts[-1]
            ids = records.item_ids[begin : n + 1]
            if n > begin and (n - begin == most or not self.request_text.fits(ids, size + len(record), self.max_bytes)):
                cuts.append(n)
                size = 0
            size += len(record)
        return [*cuts, len(records.texts)]

    def _write_object(self, name: str, requests: Iterable[tuple[_Records, list[int]]], rows: _Rows) -> Shard:
        end = b"" if self.request_text.by_object else b"\n"
        ids: list[str] = []
        line = 0
        with atomic_write(self.directory / name, self.directory) as stream:
            for records, cuts in requests:
                sizes = list(map(len, records.texts))
                requests_of = self.request_text.requests(records.item_ids, records.texts, cuts, end)
                pieces = itertools.chain.from_iterable(requests_of)
                for piece in pieces if sum(sizes) > _COPIED_BYTES * len(sizes) else [b"".join(pieces)]:
                    stream.write(piece)
                for begin, stop in itertools.pairwise(cuts):
                    rows["line"] += [line] * (stop - begin)
                    rows["position"] += range(stop - begin)
                    line += 1
                ids += records.item_ids
                rows["place"] += records.places
                rows["bytes"] += sizes
                rows["sha256"] += [hashlib.sha256(text).hexdigest() for text in records.texts]
            size = stream.tell()
        rows["shard"] += [name] * len(ids)
        return Shard(
            name=name,
            records=len(ids),
            bytes=size,
            first_item=ids[0],
            last_item=ids[-1],
        )


class _Records(NamedTuple):
    """Some records in the order they are written, each with its place in the output, item id and text."""

    places: list[int]
    item_ids: list[str]
    texts: list[bytes]

    def between(self, begin: int, end: int) -> _Records:
        return _Records(self.places[begin:end], self.item_ids[begin:end], self.texts[begin:end])

    def followed_by(self, more: _Records) -> _Records:
        return _Records(self.places + more.places, self.item_ids + more.item_ids, self.texts + more.texts)
