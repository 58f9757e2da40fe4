"""The sample's server, started as its users start it and asked over HTTP."""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BAKERY = Path(__file__).resolve().parents[2] / "examples" / "bakery"
Record = dict[str, Any]
NO_HEADERS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Client:
    """One keep-alive connection to a server."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = NO_HEADERS
    ) -> Response:
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        return Response(response.status, response.headers, response.read())

    def forecast(self, body: bytes) -> Response:
        return self.send("POST", "/invocations", body)


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server in a process group of its own."""

    process: subprocess.Popen[str]
    port: int

    @contextmanager
    def connect(self) -> Iterator[Client]:
        client = Client(self.port)
        try:
            yield client
        finally:
            client.connection.close()

    def living_processes(self) -> list[int]:
        """The ids of the processes of the server's group, the dead that nobody waited for left out."""
        listing = subprocess.run(["ps", "-A", "-o", "pid=,pgid=,stat="], capture_output=True, text=True, check=True)
        rows = (line.split() for line in listing.stdout.splitlines())
        return [int(pid) for pid, group, state in rows if int(group) == self.process.pid and not state.startswith("Z")]


@contextmanager
def running(*options: str) -> Iterator[RunningServer]:
    command = [sys.executable, str(BAKERY / "serve.py"), "--port", "0", *options]
    """A server of the sample on a free port, with the options given, for the length of a `with` block."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            announcement = process.stdout.readline()
            assert announcement.startswith("serving on http://127.0.0.1:"), announcement
            yield RunningServer(process, int(announcement.split(":")[2].split()[0]))
        finally:
            process.terminate()
            process.wait(10)
