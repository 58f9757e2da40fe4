"""A forecasting process, and the handle by which the server asks it.

The server talks HTTP and each worker computes, one request at a time. A worker is a fresh interpreter at the other end
of a socket pair: when the server ends, for whatever reason, the worker reads the end of the stream and ends too.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
from dataclasses import dataclass
from http import HTTPStatus
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

__all__ = ["Reply", "Worker", "WorkerPool", "main"]

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
    """A started process that answers one request at a time."""

    def __init__(self, model: Path) -> None:
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno()), str(model)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
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
        reply = self._connection.recv()
        assert isinstance(reply, Reply)
        return reply

    def stop(self) -> int:
        """End the process and return its exit status."""
        self._connection.close()
        self._process.terminate()
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


class WorkerPool:
    """Hands each request to a worker that is idle; requests wait while all are busy."""

    def __init__(self, model: Path, size: int) -> None:
        self._model = model
        self._workers = [Worker(model) for _ in range(size)]
        self._idle: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in range(size):
            self._idle.put(slot)

    def wait_until_ready(self) -> None:
        """Return once every worker has loaded the model. Raises EOFError when one cannot."""
        for worker in self._workers:
            worker.wait_until_ready()

    def ask(self, body: bytes) -> Reply:
        """The reply of an idle worker. A worker that dies of the request is replaced and its client told so."""
        slot = self._idle.get()
        try:
            return self._workers[slot].ask(body)
        except (EOFError, OSError):
            status = self._workers[slot].stop()
            self._workers[slot] = Worker(self._model)
            message = f"the worker process ended with status {status} while it had this request"
            return Reply.error(HTTPStatus.INTERNAL_SERVER_ERROR, message)
        finally:
            self._idle.put(slot)

    def stop(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.stop()


def main(descriptor: int, model: str) -> None:
    """Answer the requests that come over the socket `descriptor` until the other end closes it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the server too, which ends this process
    # LightGBM imports these two for the types it accepts; without them a worker starts in a third of the time.
    sys.modules["pandas"] = sys.modules["sklearn"] = None  # type: ignore[assignment]
    from lightgbm import Booster

    from features import FEATURES
    from forecast import BadRequestError, answer

    connection = Connection(descriptor)
    booster = Booster(model_file=model)
    if tuple(booster.feature_name()) != FEATURES:
        sys.exit(f"{model} was trained on other features than features.py computes: run train.py")
    connection.send_bytes(b"ready")
    try:
        while True:
            body = connection.recv_bytes()
            try:
                reply = Reply(HTTPStatus.OK, answer(booster, body).encode())
            except BadRequestError as error:
                reply = Reply.error(HTTPStatus.BAD_REQUEST, str(error), error.item_id)
            connection.send(reply)
    except (EOFError, ConnectionError):
        return


if __name__ == "__main__":
    # Under its own name, so that a Reply sent from here is the class that the server imports.
    import worker

    worker.main(int(sys.argv[1]), sys.argv[2])
