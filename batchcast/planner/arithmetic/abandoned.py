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
        # What each request in flight still needs: those of the slots, and then as many abandoned ones as there is room.
        self._left = np.zeros((lanes, slots + abandoned))
        self._alone, self._until = np.zeros((2, lanes, slots))
        self._tries = np.zeros((lanes, slots), dtype=np.int64)
        self._shard, self._record = np.zeros((2, lanes), dtype=np.int64)
        self._took, self._busy = np.zeros((2, lanes, shards + 1))
        self._lost = np.zeros((lanes, shards + 1), dtype=np.bool_)
        self.took, self.busy, self.lost = self._took[:, :-1], self._busy[:, :-1], self._lost[:, :-1]

    def advance(self) -> bool:
        """In each lane send one request, or let time pass to the next event; False when all is done."""
        idle = self._left[:, : self._slots] <= 0
        following = self._seconds[self._lane, self._shard, self._record]
        following[self._lost[self._lane, self._shard]] = 0.0
        sends = (following > 0) & idle.any(axis=1)
        lanes = self._lane[sends]
        slots = idle[lanes].argmax(axis=1)
        self._send(lanes, slots, following[sends])
        self._tries[lanes, slots] = self._retries
        self._record[lanes] += 1
        ended = ~sends & idle.all(axis=1) & (self._shard < self.took.shape[1])
        self._shard[ended] += 1
        self._record[ended] = 0
        self._pass_time(~sends & ~idle.all(axis=1))
        return bool((self._shard < self.took.shape[1]).any())

    def _send(self, lanes: npt.NDArray[np.int64], slots: npt.NDArray[np.int64], seconds: Array) -> None:
        self._alone[lanes, slots] = self._left[lanes, slots] = seconds
        self._until[lanes, slots] = self._timeout

    def _pass_time(self, where: npt.NDArray[np.bool_]) -> None:
        lanes = self._lane[where]
        left, until = self._left[lanes], self._until[lanes]
        flying = left > 0
        waiting = flying[:, : self._slots]
        pace = self._pace[flying.sum(axis=1) - 1]
        until[~waiting] = np.inf
        step = np.minimum(np.where(flying, left, np.inf).min(axis=1) / pace, until.min(axis=1))
        self._took[lanes, self._shard[lanes]] += step
        self._busy[lanes, self._shard[lanes]] += step * waiting.sum(axis=1)
        left = np.where(flying, left - (step * pace)[:, np.newaxis], 0.0)
        left[left < 1e-9 * self._timeout] = 0.0
        until -= step[:, np.newaxis]
        self._left[lanes], self._until[lanes] = left, until
        late = (until <= 0) & (left[:, : self._slots] > 0)
        self._give_up(lanes[late.any(axis=1)], late[late.any(axis=1)].argmax(axis=1))

    def _give_up(self, lanes: npt.NDArray[np.int64], slots: npt.NDArray[np.int64]) -> None:
        """The try of one slot a lane; the record is tried again, or its shard is lost."""
        free = self._slots + (self._left[lanes, self._slots :] <= 0).argmax(axis=1)
        self._left[lanes, free] = self._left[lanes, slots]
        again = self._tries[lanes, slots] > 0
        self._tries[lanes, slots] -= 1
        self._send(lanes, slots, np.where(again, self._alone[lanes, slots], 0.0))
        self._lost[lanes[~again], self._shard[lanes[~again]]] = True
