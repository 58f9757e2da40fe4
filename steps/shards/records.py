"""From buckets to shards: check the rows, render the records, write the objects of the transform."""

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batchcast.steps.contract.model_contract import ModelContract
from batchcast.steps.history.date_axis import DateAxis
from batchcast.steps.history.partition import Spill, read_bucket
from batchcast.steps.history.static_table import StaticTable
from batchcast.steps.history.workers import Advance
from batchcast.steps.shards.baseline import SeasonalNaive, seasonal_naive
from batchcast.steps.shards.chunk import Chunk, sorted_chunks
from batchcast.steps.shards.manifest import Shard
from batchcast.steps.shards.periods import fill_steps, find_gaps, join_future, merge_rows, newest_steps
from batchcast.steps.shards.plan import shard_name
from batchcast.steps.shards.quarantine import Quarantine, find_quarantined, too_large
from batchcast.steps.shards.render import RecordRenderer
from batchcast.steps.shards.request_text import RequestText
from batchcast.steps.store.objects import atomic_write

Numbers = npt.NDArray[np.int64]
_Record = tuple[int, str, bytes]
"""The place of a record, its item id and its text."""
_Request = list[_Record]

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
    naive: list[SeasonalNaive] = field(default_factory=list)
    shards: list[Shard] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordWriter:
    """Writes the shards of a run into `directory`; shard n holds the places from shard_starts[n] to the next.

    A record of more than `max_bytes` is quarantined.
    """

    contract: ModelContract
    axis: DateAxis
    id_types: tuple[pa.DataType, ...]
    static: StaticTable | None
    shard_starts: Numbers
    request_text: RequestText
    max_bytes: int
    chunk_rows: int
    directory: Path

    def write(
        self, advance: Advance, buckets: range, spills: Sequence[Spill], names: Mapping[int, tuple[str, ...]]
    ) -> BuiltRecords:
        """Write the shards whose records the buckets hold, all of each. `names` are those of the places in them."""
        built = BuiltRecords()
        renderer = RecordRenderer(self.contract, self.axis, names, self.id_types, self.static)
        records = (
            record
            for bucket in buckets
            for chunk in sorted_chunks(read_bucket(bucket, spills), rows=self.chunk_rows)
            for record in self._records(chunk, renderer, names, built, advance)
        )
        for shard, members in itertools.groupby(records, key=lambda record: self._shard_of(record[0])):
            self._write_shard(shard, members, built)
        return built

    def _shard_of(self, place: int) -> int:
        return int(np.searchsorted(self.shard_starts, place, side="right")) - 1

    def _records(
        self,
        chunk: Chunk,
        renderer: RecordRenderer,
        names: Mapping[int, tuple[str, ...]],
        built: BuiltRecords,
        advance: Advance,
    ) -> Iterator[_Record]:
        """Those that can be sent; the others go to `built`."""
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
        fits = good[good]
        for n, (place, record) in enumerate(zip(kept.places.tolist(), renderer.records(kept), strict=True)):
            item_id = "/".join(names[place])
            if not self.request_text.fits([item_id], len(record), self.max_bytes):
                size = self.request_text.size([item_id], len(record))
                built.quarantined[place] = too_large(f"{size:,}", self.max_bytes)
                fits[n] = False
            else:
                yield place, item_id, record
        built.naive.append(seasonal_naive(kept.only(fits), self.contract.series.targets, self.axis))

    def _write_shard(self, number: int, records: Iterator[_Record], built: BuiltRecords) -> None:
        requests = self._requests(records)
        name = shard_name(number, len(self.shard_starts) - 1, self.request_text)
        if not self.request_text.by_object:
            self._write_object(name, requests, built)
            return
        for extra, request in enumerate(requests):
            # More items than fit the payload limit together are more objects.
            stem = name.removesuffix(self.request_text.suffix)
            own = f"{stem}-{extra}{self.request_text.suffix}" if extra else name
            self._write_object(own, iter([request]), built)

    def _requests(self, records: Iterator[_Record]) -> Iterator[_Request]:
        """Requests of as many records as are declared, or of fewer, where more would not fit the payload limit."""
        most = self.contract.request.items_per_request
        if most == 1:
            yield from ([record] for record in records)
            return
        request: _Request = []
        size = 0
        for one in records:
            _, item_id, record = one
            item_ids = [item_id for _, item_id, _ in request]
            if request and (
                len(request) == most
                or not self.request_text.fits([*item_ids, item_id], size + len(record), self.max_bytes)
            ):
                yield request
                request, size = [], 0
            request.append(one)
            size += len(record)
        yield request

    def _write_object(self, name: str, requests: Iterator[_Request], built: BuiltRecords) -> None:
        digest = hashlib.sha256()
        rows: list[tuple[int, str, int, int, int, str]] = []
        first = last = ""
        end = b"" if self.request_text.by_object else b"\n"
        with atomic_write(self.directory / name, self.directory) as stream:
            for line, request in enumerate(requests):
                for position, (place, _, record) in enumerate(request):
                    rows.append((place, name, line, position, len(record), hashlib.sha256(record).hexdigest()))
                first, last = first or request[0][1], request[-1][1]
                text = self.request_text.request([one[1] for one in request], [one[2] for one in request]) + end
                digest.update(text)
                stream.write(text)
            size = stream.tell()
        built.written.append(pa.table(list(zip(*rows, strict=True)), schema=WRITTEN_SCHEMA))
        built.shards.append(
            Shard(name=name, records=len(rows), bytes=size, sha256=digest.hexdigest(), first_item=first, last_item=last)
        )
