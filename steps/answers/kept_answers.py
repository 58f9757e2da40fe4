"""The answers of all items, kept where every process that reads outputs puts its own."""

from __future__ import annotations

import hashlib
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from batchcast.steps.answers.item_arrays import Array, Positions, kept_array, kept_folder
from batchcast.steps.answers.shard_columns import ShardColumns

_VALUES, _DIGESTS = "answer-values", "answer-digests"
_DIGEST_BYTES = hashlib.sha256().digest_size
_Shape = tuple[int, int, int]


class KeptAnswers:
    """`values` is items x steps x columns, NaN where there is none; `digests` the SHA-256 of each item's line, items x
    32 bytes."""

    def __init__(self, values: Array, digests: npt.NDArray[np.uint8], folder: Path | None) -> None:
        self.values, self.digests = values, digests
        self._folder = folder

    @classmethod
    def of(cls, shape: _Shape, *, shared: bool) -> KeptAnswers:
        """No answers yet. What another process is given of `shared` ones are the same files, which go with the folder
        that `arrays_in` tells."""
        within = kept_folder() if shared else None
        folder = Path(tempfile.mkdtemp(dir=within)) if within else None
        values, digests = (folder and folder / name for name in (_VALUES, _DIGESTS))
        return cls(
            kept_array(shape, path=values), kept_array((shape[0], _DIGEST_BYTES), np.uint8, path=digests), folder
        )

    def put(self, places: Positions, read: ShardColumns) -> None:
        """The answers of a shard, by the places of its items."""
        self.values[places], self.digests[places] = read.values, read.digests

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened, (self._folder, self.values.shape)


@lru_cache(maxsize=1)
def _opened(folder: Path, shape: _Shape) -> KeptAnswers:
    values = np.memmap(folder / _VALUES, np.float64, "r+", shape=shape)
    digests = np.memmap(folder / _DIGESTS, np.uint8, "r+", shape=(shape[0], _DIGEST_BYTES))
    return KeptAnswers(values.view(np.ndarray), digests.view(np.ndarray), folder)
