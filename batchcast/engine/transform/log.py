"""The logs of a transform job, where CloudWatch would have them and in the service's line forms.

`<logs>/aws/sagemaker/TransformJobs/<job>/<instance>/data-log` is what the service says; beside it `container-log` is
what the model server wrote. The line forms were seen in amazon-sagemaker-examples issue 1620 and sagemaker-python-sdk
issues 1882 and 1951. A line names the file, never the record.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

_MAX_MESSAGE_LINES = 100


def job_log_folder(logs: Path, job: str) -> Path:
    """Where the instances of a job have their log streams."""
    return logs / "aws" / "sagemaker" / "TransformJobs" / job


class DataLog:
    """The service's own stream of one instance; lines of several threads do not mix."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def write(self, *lines: str) -> None:
        """Append lines, each with the time and the service's mark."""
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
