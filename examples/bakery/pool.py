"""The server's forecasting processes: start them, hand each request to an idle one, end them.

The server talks HTTP and the workers compute, so any number of connections keeps all workers busy and none waits
behind another's. A worker is a fresh interpreter at the other end of a socket pair, see `worker.py`.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
from dataclasses import dataclass
from http import HTTPStatus
from multiprocessing import Pipe
from pathlib import Path

__all__ = ["Pool", "Reply", "Worker"]

PROGRAM = Path(__file__).resolve().with_name("worker.py")
STOP_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back to the client: a status and a body of JSON lines."""

    status: HTTPStatus
    body: bytes

    @classmethod
    def error(cls, status: HTTPStatus, message: str, item_id: str | None = None) -> Reply:
        """A reply that says what is wrong, and with which item where that is known."""
        named = {"item_id": item_id} if item_id else {}
        return cls(status, json.dumps({**named, "error": message}).encode())


class Worker:
    """A process that answers one request at a time."""

    def __init__(self, model: Path) -> None:
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, PROGRAM, str(theirs.fileno()), model],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr,  # where LightGBM's warnings belong
                env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **os.environ},
            )
        self._ready = False

    def wait_until_ready(self) -> None:
        """Return once the model is loaded. Raises EOFError when the process ended instead."""
        if not self._ready:
            self._connection.recv_bytes()
            self._ready = True

    def ask(self, body: bytes) -> Reply:
        """The reply to a request body. Raises EOFError or OSError when the process is gone."""
        self.wait_until_ready()
        self._connection.send_bytes(body)
        reply: Reply = self._connection.recv()
        return reply

    def stop(self) -> int:
        """Let the process end, which it does when it finds the connection closed, and return its exit status."""
        self._connection.close()
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


class Pool:
    """Workers of one model; requests wait while all of them are busy."""

    def __init__(self, model: Path, size: int) -> None:
        self._model = model
        self._stopping = False
        self._workers = [Worker(model) for _ in range(size)]
        self._idle: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index in range(size):
            self._idle.put(index)

    def wait_until_ready(self) -> None:
        """Return once every worker has loaded the model. Raises EOFError when one cannot."""
        for worker in self._workers:
            worker.wait_until_ready()

    def ask(self, body: bytes) -> Reply:
        """The reply of an idle worker. A worker that dies of the request is replaced, and its client told so."""
        index = self._idle.get()
        try:
            return self._workers[index].ask(body)
        except (EOFError, OSError):
            if self._stopping:
                return Reply.error(HTTPStatus.SERVICE_UNAVAILABLE, "the server is stopping")
            status = self._workers[index].stop()
            self._workers[index] = Worker(self._model)
            message = f"the worker process ended with status {status} while it had this request"
            return Reply.error(HTTPStatus.INTERNAL_SERVER_ERROR, message)
        finally:
            self._idle.put(index)

    def stop(self) -> None:
        """End all workers."""
        self._stopping = True
        for worker in self._workers:
            worker.stop()
