"""Shards played event by event, where a server is saturated and goes on with requests that nobody waits for any more.

With k requests in flight, those included, each advances at C(k) / k; a try ends after the timeout by the clock. What is
abandoned slows the others, of this shard and the next, and some of them time out for that.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Lanes:
    """Shards that instances work on in turn: `seconds` is (lanes, shards, records), padded with zeros.

    All lanes are advanced together, each by its own clock. `took`, `busy` (seconds of all slots) and `lost` are
    (lanes, shards).
    """

    def __init__(self, seconds: Array, slots: int, capacity: Sequence[float], timeout: float, retries: int) -> None:
        lanes, shards, _ = seconds.shape
        abandoned = slots + max(4, slots // 2) * (retries + 1)
        in_flight = np.arange(1, slots + abandoned + 1)
        self._pace = np.array(capacity)[np.minimum(in_flight, len(capacity)) - 1] / in_flight
        # After the last record and after the last shard there are zeros.
        self._seconds = np.pad(seconds, ((0, 0), (0, 1), (0, 1)))
        self._slots, self._timeout, self._retries = slots, timeout, retries
        self._lane = np.arange(lanes)
        # What each request in flight still needs, infinity where there is none: those of the slots, and then as many
        # abandoned ones as there is room. A slot is a row, as numpy is slow along short ones.
        self._left = np.full((slots + abandoned, lanes), np.inf)
        self._used = slots
        self._alone, self._until = np.full((2, slots, lanes), np.inf)
        self._tries = np.zeros((slots, lanes), dtype=np.int64)
        self._shard, self._record = np.zeros((2, lanes), dtype=np.int64)
        self._took, self._busy = np.zeros((2, lanes, shards + 1))
        self._lost = np.zeros((lanes, shards + 1), dtype=np.bool_)
        self.took, self.busy, self.lost = self._took[:, :-1], self._busy[:, :-1], self._lost[:, :-1]

    def advance(self) -> bool:
        """In each lane send one request, and let time pass to the next event where no more can be sent.

        False when all is done.
        """
        idle = np.isinf(self._left[: self._slots])
        free = idle.sum(axis=0)
        following = self._following()
        lanes = self._lane[(following > 0) & (free > 0)]
        slots = idle[:, lanes].argmax(axis=0)
        self._send(lanes, slots, following[lanes])
        self._tries[slots, lanes] = self._retries
        self._record[lanes] += 1
        free[lanes] -= 1
        resting = free == self._slots
        self._pass_time(~resting & ((free == 0) | (self._following() == 0)))
        ended = resting & (self._shard < self.took.shape[1])
        self._shard[ended] += 1
        self._record[ended] = 0
        return bool((self._shard < self.took.shape[1]).any())

    def _following(self) -> Array:
        """The seconds of the next record to be sent in each lane, 0.0 for none."""
        following = self._seconds[self._lane, self._shard, self._record]
        following[self._lost[self._lane, self._shard]] = 0.0
        return following

    def _send(self, lanes: npt.NDArray[np.int64], slots: npt.NDArray[np.int64], seconds: Array) -> None:
        self._alone[slots, lanes] = self._left[slots, lanes] = seconds
        self._until[slots, lanes] = np.where(np.isinf(seconds), np.inf, self._timeout)

    def _pass_time(self, where: npt.NDArray[np.bool_]) -> None:
        left = self._left[: self._used]
        flying = np.isfinite(left)
        waiting = flying[: self._slots].sum(axis=0)
        pace = self._pace[flying.sum(axis=0) - 1]
        step = np.minimum(left.min(axis=0) / pace, self._until.min(axis=0))
        step[~where] = 0.0
        self._took[self._lane, self._shard] += step
        self._busy[self._lane, self._shard] += step * waiting
        left -= step * pace
        self._until -= step
        ended = left < 1e-9 * self._timeout
        np.putmask(left, ended, np.inf)
        np.putmask(self._until, ended[: self._slots], np.inf)
        late = (self._until <= 0) & where
        some = late.any(axis=0)
        self._give_up(self._lane[some], late[:, some].argmax(axis=0))

    def _give_up(self, lanes: npt.NDArray[np.int64], slots: npt.NDArray[np.int64]) -> None:
        """The try of one slot a lane; the record is tried again, or its shard is lost."""
        free = self._slots + np.isinf(self._left[self._slots :, lanes]).argmax(axis=0)
        self._used = max(self._used, int(free.max(initial=0)) + 1)
        self._left[free, lanes] = self._left[slots, lanes]
        again = self._tries[slots, lanes] > 0
        self._tries[slots, lanes] -= 1
        self._send(lanes, slots, np.where(again, self._alone[slots, lanes], np.inf))
        self._lost[lanes[~again], self._shard[lanes[~again]]] = True
