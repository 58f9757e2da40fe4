"""The shard rule: how many shards a run has, how many records each, and which item goes where.

A shard is one input object of the transform. An object stays on one instance and its output appears only when all of
its records succeeded, so there are several shards an instance, of equal work:

- the number of shards is a multiple of the instances, so that none is idle at the end;
- a shard holds at most about 16 times MaxConcurrentTransforms records and a multiple of it, so that no request slot
  idles in the last wave of an object; with fewer records shards shrink to 4 times, so that an instance has 4 of them
  and a failed one costs little; with fewer still there are fewer;
- items are dealt by falling number of rows, back and forth, which evens out records, bytes and seconds alike whatever
  the latency's law (measured: within 2 % of the bound for constant, linear and steeper laws);
- the longest record of a shard comes first, so that the last wave is short.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batchcast.steps.shards.request_text import RequestText

_MOST_WAVES = 16
_LEAST_WAVES = 4
"""Records a shard, in multiples of MaxConcurrentTransforms."""
_SHARDS_AN_INSTANCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardPlan:
    """`order` lists the records in the order they are written; shard n holds those from starts[n] to starts[n + 1]."""

    order: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]

    @property
    def shards(self) -> int:
        """The number of shards."""
        return len(self.starts) - 1


def shard_name(number: int, shards: int, text: RequestText) -> str:
    """`part-00000.jsonl`, or `request-00000.json` of a request alone; names sort as numbers do, for any number."""
    width = max(5, len(str(shards - 1)))
    return f"{'request' if text.by_object else 'part'}-{number:0{width}d}{text.suffix}"


def shard_sizes(records: int, *, instances: int, concurrency: int, records_per_shard: int = 0) -> npt.NDArray[np.int64]:
    """Records of each shard; empty for no records. `records_per_shard` above 0 is the most a shard may hold.

    With fewer records than instances every record is a shard, and some instances have nothing to do.
    """
    shards = _shards(records, instances, concurrency, records_per_shard)
    if shards == 0:
        return np.zeros(0, np.int64)
    # Whole waves unless the caller set the size, or there is less than one wave a shard.
    wave = 1 if records_per_shard or records < shards * concurrency else concurrency
    waves = records // wave
    sizes = np.full(shards, waves // shards * wave, np.int64)
    sizes[: waves % shards] += wave
    sizes[waves % shards] += records % wave
    return sizes


def _shards(records: int, instances: int, concurrency: int, records_per_shard: int) -> int:
    if records_per_shard:
        per_instance = _ceil(_ceil(records, records_per_shard), instances)
    else:
        small = min(_SHARDS_AN_INSTANCE, records // (instances * concurrency * _LEAST_WAVES))
        per_instance = max(_ceil(records, instances * concurrency * _MOST_WAVES), small)
    return min(per_instance * instances, records)


def _ceil(amount: int, unit: int) -> int:
    return -(-amount // unit)


def plan_shards(
    rows: npt.NDArray[np.int64],
    *,
    instances: int,
    concurrency: int,
    records_per_shard: int = 0,
    items_per_request: int = 1,
    by_object: bool = False,
) -> ShardPlan:
    """Deal the records, given by their numbers of rows, to shards. Equal rows are dealt in the order given.

    The rule counts requests; `by_object` makes a shard of each.
    """
    requests = _ceil(len(rows), items_per_request)
    per_shard = 1 if by_object else _ceil(records_per_shard, items_per_request)
    sizes = shard_sizes(requests, instances=instances, concurrency=concurrency, records_per_shard=per_shard)
    sizes = sizes * items_per_request
    if len(sizes):
        # The last request holds what is left over.
        sizes[-1] -= requests * items_per_request - len(rows)
    longest_first = np.argsort(-rows, kind="stable")
    shard_of = _deal(sizes)
    by_shard = np.argsort(shard_of, kind="stable")
    return ShardPlan(order=longest_first[by_shard], starts=np.concatenate([[0], np.cumsum(sizes)]))


def _deal(sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The shard of the longest record, of the next, …: rounds to all shards back and forth, then what is left over."""
    if len(sizes) == 0:
        return np.zeros(0, np.int64)
    rounds = np.arange(sizes.min())[:, None]
    forth = np.arange(len(sizes))[None, :]
    serpentine = np.where(rounds % 2 == 0, forth, forth[:, ::-1])
    left_over = np.repeat(np.arange(len(sizes)), sizes - sizes.min())
    return np.concatenate([serpentine.ravel(), left_over])
