"""A clock that stands still until it is told to go on: days of waiting pass in a moment, and always in the same way."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

__all__ = ["VirtualClock"]


class VirtualClock:
    """Seconds since 1970, and what is to happen when. What is due at the same time happens in the order it was asked
    for."""

    def __init__(self, start: float = 0.0) -> None:
        self.now = start
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()

    def call_at(self, when: float, action: Callable[[], None]) -> None:
        """Let `action` happen at `when`, or at once when that is over."""
        heapq.heappush(self._due, (max(when, self.now), next(self._number), action))

    def advance(self, seconds: float) -> None:
        """Let so much time pass, and all that is due in it happen."""
        end = self.now + seconds
        while self._due and self._due[0][0] <= end:
            self.now, _, action = heapq.heappop(self._due)
            action()
        self.now = end
