"""The records of a run where they were sent: cut out of the requests that hold them, byte for byte."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from batchcast.steps.shards.manifest import Manifest
from batchcast.steps.shards.request_text import RequestText

Place = tuple[str, int]
"""A shard, and a line of it, counted from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRecord:
    """One record: its own text, `body` what the model gets when it is asked for it alone, `request` what travels."""

    item_id: str
    record: bytes
    body: bytes
    request: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRecords:
    """How the records of a run were sent: by request the bytes of each record in it, in order."""

    text: RequestText
    sizes: Mapping[Place, Sequence[int]]

    @classmethod
    def of(cls, manifest: Manifest, records: pa.Table) -> SentRecords:
        """By the run's manifest and the columns shard, line, position and bytes of its records."""
        sizes: defaultdict[Place, list[tuple[int, int]]] = defaultdict(list)
        columns = (records[name].to_pylist() for name in ("shard", "line", "position", "bytes"))
        for shard, line, position, size in zip(*columns, strict=True):
            if shard is not None:
                sizes[shard, line].append((position or 0, size))
        return cls(
            text=manifest.request_text,
            sizes={place: [size for _, size in sorted(own)] for place, own in sizes.items()},
        )

    def cut(self, request: bytes, shard: str, line: int, position: int, item_id: str) -> SentRecord:
        """The record at that position of the request, which is that line. One that is no line of the run's first
        round was sent alone."""
        sizes = self.sizes.get((shard, line))
        alone = request if self.text.by_object else request.rstrip(b"\n")
        if sizes is None or len(sizes) == 1:
            body = self.text.body(alone)
            inner = len(body) - len(self.text.tail.encode())
            return SentRecord(
                item_id=item_id, record=body[len(self.text.head.encode()) : inner], body=body, request=alone
            )
        record = self.text.record(request, sizes, position)
        alone = self.text.request([item_id], [record])
        return SentRecord(item_id=item_id, record=record, body=self.text.body(alone), request=alone)

    def read(self, records: pa.Table, read_shard: Callable[[str], bytes]) -> Iterator[SentRecord]:
        """Those of the table's rows that were sent, shard by shard in the order in which they were."""
        columns = (records[name].to_pylist() for name in ("shard", "line", "position", "item_id"))
        rows = sorted(row for row in zip(*columns, strict=True) if row[0] is not None)
        shard, requests = "", [b""]
        for name, line, position, item_id in rows:
            if name != shard:
                shard, data = name, read_shard(name)
                requests = [data] if self.text.by_object else data.split(b"\n")
            yield self.cut(requests[line], name, line, position or 0, item_id)
