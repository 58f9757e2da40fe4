"""How far a transform job is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

__all__ = ["TransformProgress", "TransformTally"]

_SECONDS_BETWEEN_REPORTS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformProgress:
    """Files whose work ended, well or not, and records answered; how many records there are is not known before."""

    files_done: int = 0
    files_total: int = 0
    records_done: int = 0
    records_total: int | None = None


class TransformTally:
    """Counts for all threads of a job; tells `on_progress` at most ten times a second, and whenever a file is over."""

    def __init__(self, files_total: int, on_progress: Callable[[TransformProgress], None] | None) -> None:
        self._progress = TransformProgress(files_total=files_total)
        self._records = 0
        self._on_progress = on_progress
        self._reported = 0.0
        self._lock = threading.Lock()

    def records(self, count: int) -> None:
        """So many more records were answered."""
        with self._lock:
            self._records += count
            now = time.monotonic()
            if now - self._reported >= _SECONDS_BETWEEN_REPORTS:
                self._report(now, files=0)

    def file(self) -> None:
        """One more file is over."""
        with self._lock:
            self._report(time.monotonic(), files=1)

    def _report(self, now: float, *, files: int) -> None:
        self._reported = now
        done = self._progress.files_done + files
        self._progress = replace(self._progress, files_done=done, records_done=self._records)
        if self._on_progress is not None:
            self._on_progress(self._progress)
