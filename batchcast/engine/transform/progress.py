"""How far a transform job is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

_SECONDS_BETWEEN_REPORTS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformProgress:
    """Files whose work ended, well or not, and records answered; how many records there are is not known before."""

    files_done: int = 0
    files_total: int = 0
    records_done: int = 0
    records_total: int | None = None


class TransformTally:
    """Counts for all threads of a job; one of them reports."""

    def __init__(self, files_total: int, on_progress: Callable[[TransformProgress], None] | None) -> None:
        self._files_total = files_total
        self._files = self._records = 0
        self._on_progress = on_progress
        self._reported_at = 0.0
        self._lock = threading.Lock()

    def add(self, *, files: int = 0, records: int = 0) -> None:
        """So many more files are over, so many more records were answered."""
        with self._lock:
            self._files += files
            self._records += records

    def report(self, *, final: bool = False) -> None:
        """Tell `on_progress`, unless it was told less than a tenth of a second ago."""
        now = time.monotonic()
        if self._on_progress is not None and (final or now - self._reported_at >= _SECONDS_BETWEEN_REPORTS):
            self._reported_at = now
            self._on_progress(
                TransformProgress(files_done=self._files, files_total=self._files_total, records_done=self._records)
            )
