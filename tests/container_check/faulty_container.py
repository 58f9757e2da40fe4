"""A model container that keeps the contract, and one for each way of breaking it.

In a test: `with serving("one_worker_claims_8") as url`. As a program: `faulty_container.py PORT DEFECT`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

__all__ = ["DEFECTS", "serving"]

Answer = tuple[int, bytes]


class Sound(BaseHTTPRequestHandler):
    """Doubles the number of each record; a record takes 4 ms, and eight are worked on at once."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    says: ClassVar[Any] = None
    seconds: ClassVar[float] = 0.004
    workers: ClassVar[threading.Semaphore] = threading.Semaphore(8)

    def do_GET(self) -> None:
        if self.path == "/ping":
            self.send(*self.ping())
        elif self.says is None:
            self.send(404, b"")
        else:
            self.send(200, self.says if isinstance(self.says, bytes) else json.dumps(self.says).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.workers:
            time.sleep(self.seconds)
            status, answer = self.answer(body)
        self.send(status, answer)

    def ping(self) -> Answer:
        return 200, b""

    def answer(self, body: bytes) -> Answer:
        try:
            records = [json.loads(line) for line in body.strip().split(b"\n")]
            return 200, b"\n".join(json.dumps(self.forecast(record)).encode() for record in records)
        except (ValueError, KeyError, TypeError):
            return self.refuse()

    def forecast(self, record: Any) -> dict[str, Any]:
        return {"item_id": record["item_id"], "forecast": record["number"] * 2}

    def refuse(self) -> Answer:
        return 400, b'{"error": "not a record"}'

    def send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def reset(self) -> None:
        """A linger time of zero makes the close a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Quiet."""


class PingIsMissing(Sound):
    def ping(self) -> Answer:
        return 404, b"no such page"


class PingStops(Sound):
    pings: ClassVar[list[int]] = []

    def ping(self) -> Answer:
        self.pings.append(1)
        return (200 if len(self.pings) == 1 else 503), b""


class ExitsAtOnce(Sound):
    pass


class WritesHeadAndBodyApart(Sound):
    disable_nagle_algorithm = False
    wbufsize = 0


class SaysEverythingWell(Sound):
    says = {"MaxConcurrentTransforms": 4, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 2}  # noqa: RUF012


class LoadsItsModelAtTheFirstRequest(Sound):
    loaded: ClassVar[list[int]] = []

    def answer(self, body: bytes) -> Answer:
        if not self.loaded:
            time.sleep(1.1)
            self.loaded.append(1)
        return super().answer(body)


class OneWorker(Sound):
    seconds = 0.05
    workers = threading.Semaphore(1)


class OneWorkerClaimsEight(OneWorker):
    says = {"MaxConcurrentTransforms": 8}  # noqa: RUF012


class ConnectionsStickToAWorker(Sound):
    """Two workers of two requests each; three connections in a row are one worker's, and stay so."""

    accepted: ClassVar[list[int]] = []
    busy: ClassVar[list[int]] = [0, 0]
    lock: ClassVar[threading.Lock] = threading.Lock()
    seconds = 0.02

    def setup(self) -> None:
        super().setup()
        with self.lock:
            self.worker = len(self.accepted) // 3 % 2
            self.accepted.append(1)

    def do_POST(self) -> None:
        with self.lock:
            full = self.busy[self.worker] >= 2
            self.busy[self.worker] += not full
        if full:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send(429, b"all workers are busy")
            return
        try:
            super().do_POST()
        finally:
            with self.lock:
                self.busy[self.worker] -= 1


class SaysNoJson(Sound):
    says = b"concurrency: 8"


class SaysTooMuch(Sound):
    says = {"MaxConcurrentTransforms": 20, "MaxPayloadInMB": 6, "BatchStrategy": "SingleRecord"}  # noqa: RUF012


class AnswersAtRandom(Sound):
    def forecast(self, record: Any) -> dict[str, Any]:
        return {"item_id": record["item_id"], "forecast": random.random()}


class LastDigitsDiffer(Sound):
    def forecast(self, record: Any) -> dict[str, Any]:
        return {"item_id": record["item_id"], "forecast": record["number"] * 2 + random.random() * 1e-9}


class DiesOfBadRecords(Sound):
    def refuse(self) -> Answer:
        os._exit(9)


class HangsAfterBadRecords(Sound):
    hung: ClassVar[list[int]] = []

    def answer(self, body: bytes) -> Answer:
        return (503, b"worker is gone") if self.hung else super().answer(body)

    def refuse(self) -> Answer:
        self.hung.append(1)
        return super().refuse()


class RestartsItsWorkerAfterBadRecords(Sound):
    again: ClassVar[list[float]] = [0.0]

    def answer(self, body: bytes) -> Answer:
        return (503, b"worker restarts") if time.monotonic() < self.again[0] else super().answer(body)

    def refuse(self) -> Answer:
        self.again[0] = time.monotonic() + 0.2
        return 500, b"worker died"


class BadRecordsFailTheirNeighbours(Sound):
    """A request that a bad one meets in flight fails with it."""

    seconds = 0.0
    bad: ClassVar[list[float]] = [-1.0]

    def answer(self, body: bytes) -> Answer:
        began = time.monotonic()
        status, answer = super().answer(body)
        time.sleep(0.08 if status == 200 else 0.01)
        return (500, b"batch failed") if self.bad[0] > began else (status, answer)

    def refuse(self) -> Answer:
        self.bad[0] = time.monotonic()
        return super().refuse()


class TakesOneRecordOnly(Sound):
    def answer(self, body: bytes) -> Answer:
        try:
            return 200, json.dumps(self.forecast(json.loads(body))).encode()
        except (ValueError, KeyError):
            return self.refuse()


class AsksForMultiRecordItCannotTake(TakesOneRecordOnly):
    says = {"BatchStrategy": "MULTI_RECORD"}  # noqa: RUF012


class AnswersTheFirstRecordOnly(Sound):
    def answer(self, body: bytes) -> Answer:
        return super().answer(body.strip().split(b"\n")[0])


class CutsItsAnswers(Sound):
    def send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2])
        self.close_connection = len(body) > 0


class AnswersErrorsWith200(Sound):
    def forecast(self, record: Any) -> dict[str, Any]:
        del record
        return {"error": "the model is not loaded"}


class AnswersTextWith200ToBadRecords(Sound):
    def refuse(self) -> Answer:
        return 200, b"ERROR"


class TellsBadRecordsApartWith200(Sound):
    def refuse(self) -> Answer:
        return 200, b'{"error": "not a record"}'


class AnswersAnything(Sound):
    def refuse(self) -> Answer:
        return 200, b'{"item_id": "?", "forecast": 0}'


class ResetsOnBadRecords(Sound):
    def send(self, status: int, body: bytes) -> None:
        if status == 400:
            self.reset()
        else:
            super().send(status, body)


class AnswersBadRecordsWith500(Sound):
    def refuse(self) -> Answer:
        return 500, b"Traceback"


class SharesOneRecordBetweenThreads(Sound):
    """The record is kept where the next request overwrites it."""

    record: ClassVar[dict[str, Any]] = {}

    def forecast(self, record: Any) -> dict[str, Any]:
        record["item_id"], record["number"]
        type(self).record = record
        time.sleep(0.002)
        return super().forecast(self.record)


class RefusesMoreThanTwoAtOnce(Sound):
    free: ClassVar[threading.Semaphore] = threading.Semaphore(2)

    def answer(self, body: bytes) -> Answer:
        if not self.free.acquire(blocking=False):
            return 503, b"queue is full"
        try:
            time.sleep(0.01)
            return super().answer(body)
        finally:
            self.free.release()


class ClaimsEightAndRefusesMoreThanTwo(RefusesMoreThanTwoAtOnce):
    says = {"MaxConcurrentTransforms": 8}  # noqa: RUF012


class TakesTwoMegabytes(Sound):
    def answer(self, body: bytes) -> Answer:
        return (413, b"too large") if len(body) > 2_500_000 else super().answer(body)


class MindsTheNewline(Sound):
    def answer(self, body: bytes) -> Answer:
        return (400, b"a newline") if body.endswith(b"\n") else super().answer(body)


class AnswersOnSeveralLines(Sound):
    def answer(self, body: bytes) -> Answer:
        try:
            return 200, json.dumps(self.forecast(json.loads(body)), indent=1).encode()
        except (ValueError, KeyError):
            return self.refuse()


class IgnoresSigterm(Sound):
    pass


class RefusesJsonLines(Sound):
    def do_POST(self) -> None:
        if self.headers["Content-Type"] != "application/json":
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send(415, b"")
        else:
            super().do_POST()


DEFECTS: dict[str, type[Sound]] = {kind.__name__: kind for kind in [Sound, *Sound.__subclasses__()]}
DEFECTS |= {kind.__name__: kind for parent in list(DEFECTS.values()) for kind in parent.__subclasses__()}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no event."""


@contextmanager
def serving(defect: str) -> Iterator[str]:
    """The URL of a container with the defect, in this process, with the state of its own."""
    kind = DEFECTS[defect]
    fresh = {name: list(value) for name, value in vars(kind).items() if isinstance(value, list)}
    server = _Server(("127.0.0.1", 0), type(defect, (kind,), fresh))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def main(port: int, defect: str) -> None:
    if defect == "ExitsAtOnce":
        sys.exit("the model file is missing")
    if defect == "IgnoresSigterm":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _Server(("127.0.0.1", port), DEFECTS[defect]).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
