"""The recording program as a model, and what its processes noted."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from engine.model_server import ModelCommand

__all__ = ["RecordedModel", "is_running"]

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
        """The processes that still run."""
        pids = [int(path.read_text()) for path in self.folder.glob("*.pid")]
        return [pid for pid in pids if is_running(pid)]


def is_running(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
