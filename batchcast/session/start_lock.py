"""One command at a time prepares and starts a run in a workspace: history, model and contract are there for all runs.

The lock is held from before the first of them is touched until the run is recorded; from then on the run's own record
tells every other command that it goes on.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batchcast.steps.errors import Problem, ServiceError

_PATIENCE_SECONDS = 30.0
_POLL_SECONDS = 0.05


@contextmanager
def start_lock(workspace: Path, *, patience_seconds: float = _PATIENCE_SECONDS) -> Iterator[None]:
    """Hold the lock of the workspace. Raises ServiceError when another command has it for longer than the patience."""
    workspace.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + patience_seconds
    with (workspace / ".starting").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    what = f"another command has been starting a run there for {patience_seconds:g} seconds."
                    remedy = "Wait for it, or give another --workspace."
                    raise ServiceError(Problem("locked", what, str(workspace), remedy)) from None
                time.sleep(_POLL_SECONDS)
        yield
