"""What the instances and files of one transform job share: what became of the files, how far the job is, its logs.

Logs lie where CloudWatch would have them, in the service's line forms: `<logs>/aws/sagemaker/TransformJobs/<job>/
<instance>/data-log` is what the service says; beside it `container-log` is what the model server wrote. The forms were
seen in amazon-sagemaker-examples issue 1620 and sagemaker-python-sdk issues 1882 and 1951. A line names the file, never
the record.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from batchcast.engine.faults import FaultPlan
from batchcast.engine.server.model_server import ModelSource
from batchcast.engine.transform.plan import TransformOptions, TransformPlan
from batchcast.steps.store.objects import ObjectStore


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
        self._lock = threading.Lock()

    def add(self, *, files: int = 0, records: int = 0) -> None:
        with self._lock:
            self._files += files
            self._records += records

    def report(self) -> None:
        if self._on_progress is not None:
            self._on_progress(
                TransformProgress(files_done=self._files, files_total=self._files_total, records_done=self._records)
            )


Blame = Literal["ClientError", "AlgorithmError"]


@dataclass(frozen=True, slots=True)
class FailedFile:
    """An object without output, and why; `line` is the 0-based line of the request that failed first."""

    uri: str
    blame: Blame
    reason: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformContext:
    """Fixed for a job but for its two lists: the files that failed and the inputs whose outputs are the job's."""

    plan: TransformPlan
    options: TransformOptions
    faults: FaultPlan
    store: ObjectStore
    model: ModelSource
    log_folder: Path
    partial_folder: Path
    tally: TransformTally
    stop: threading.Event
    failed: list[FailedFile] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    @property
    def timeout(self) -> float:
        """Seconds that one attempt may take on this machine's clock."""
        return self.plan.timeout * self.options.time_scale


_MAX_MESSAGE_LINES = 100


class DataLog:
    """The service's own stream of one instance; lines of several threads do not mix."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def write(self, *lines: str) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        text = "".join(f"{now}:[sagemaker logs]: {line}\n" for line in lines)
        with self._lock, self._path.open("a", encoding="utf-8") as stream:
            stream.write(text)

    def write_for_file(self, name: str, lines: Sequence[str]) -> None:
        """Append lines that speak of the object `bucket/key`."""
        self.write(*(f"{name}: {line}" for line in lines))


def message_lines(message: str) -> list[str]:
    """A message, e.g. the body of an answer, the way the service shows it under a failed request."""
    return ["", "Message:", *message.splitlines()[:_MAX_MESSAGE_LINES]]
