"""The recording program as a model, and what its processes noted."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from batchcast.engine.server.model_server import ModelCommand

__all__ = ["RecordedModel", "still_running"]

_PROGRAM = Path(__file__).with_name("recording_program.py")


class RecordedModel:
    """`source` starts a process an instance; each notes its requests in a file of its own."""

    def __init__(self, folder: Path, *options: str, environment: dict[str, str] | None = None) -> None:
        self.folder = folder / "notes"
        self.folder.mkdir()
        command = " ".join([sys.executable, str(_PROGRAM), "{port}", str(self.folder), *options])
        self.source = ModelCommand(command=command, environment=environment or {})

    def requests(self) -> list[list[dict[str, Any]]]:
        """The requests of each process, in the order they came."""
        paths = [path for path in sorted(self.folder.iterdir()) if not path.suffix]
        return [[json.loads(line) for line in path.read_text().splitlines()] for path in paths]

    def bodies(self) -> list[list[str]]:
        """The bodies each process got at /invocations."""
        return [[each["body"] for each in process if each["path"] == "/invocations"] for process in self.requests()]

    def environments(self) -> list[dict[str, str]]:
        """The environment of each process."""
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob("*.env"))]

    def living(self) -> list[int]:
        """The processes that still run; one that was killed has a moment to be gone."""
        pids = [int(path.read_text()) for path in self.folder.glob("*.pid")]
        return still_running(pids)


def still_running(pids: list[int]) -> list[int]:
    """Those of the processes that run even half a second from now."""
    deadline = time.monotonic() + 0.5
    while (running := [pid for pid in pids if is_running(pid)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return running


def is_running(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
