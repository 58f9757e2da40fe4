"""The records a model is measured with: few, but of all sizes, in an order whose every beginning is balanced."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from batchcast.engine.limits import SMALLEST_MB_BYTES

# Whether the service's MB is 10**6 or 2**20 bytes is not published; with this room both readings hold.
_PAYLOAD_ROOM = 1.05


def stratified(records: Sequence[bytes], count: int) -> list[bytes]:
    """`count` records (all, if there are fewer), evenly spread over the sizes.

    They come in van der Corput's order, so that a level measured with fewer of them sees the same mix.
    """
    by_size = sorted(records, key=lambda record: (len(record), record))
    count = min(count, len(by_size))
    if count == 0:
        return []
    chosen = [by_size[place * (len(by_size) - 1) // max(1, count - 1)] for place in range(count)]
    return [chosen[place] for place in sorted(range(count), key=_reversed_bits)]


def sample_digest(records: Sequence[bytes]) -> str:
    """SHA-256 over the records in order, a line feed after each."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(record + b"\n")
    return digest.hexdigest()


def payload_limit_mb(largest_bytes: int) -> int:
    """MaxPayloadInMB for records up to this size."""
    return max(1, math.ceil(_PAYLOAD_ROOM * largest_bytes / SMALLEST_MB_BYTES))


def _reversed_bits(place: int) -> float:
    value, weight = 0.0, 0.5
    while place:
        value += weight * (place & 1)
        place >>= 1
        weight /= 2
    return value
