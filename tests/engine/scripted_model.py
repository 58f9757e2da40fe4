"""A model server whose answers a test scripts: real HTTP over loopback, a thread a connection, every call recorded."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Call", "Reply", "ScriptedModel"]


@dataclass(frozen=True, slots=True)
class Call:
    """One request to /invocations; `attempt` counts, from 1, how often the same body came."""

    body: bytes
    headers: Mapping[str, str]
    attempt: int
    start: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What to answer, after how many seconds; or to reset the connection, or to cut the body to `cut` bytes."""

    status: int = 200
    body: bytes = b""
    seconds: float = 0.0
    reset: bool = False
    cut: int | None = None


@dataclass
class ScriptedModel:
    """A context manager; `script` answers /invocations, `get` the other paths. An empty `get` answers /ping alone."""

    script: Callable[[Call], Reply | bytes] = lambda call: call.body
    get: Callable[[str], Reply] | None = None
    calls: list[Call] = field(default_factory=list)
    gets: list[str] = field(default_factory=list)
    most_in_flight: int = 0
    connections: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._in_flight = 0
        self._attempts: dict[bytes, int] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def bodies(self) -> list[bytes]:
        return [call.body for call in self.calls]

    def __enter__(self) -> ScriptedModel:
        handler = type("Handler", (_Handler,), {"model": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer_get(self, path: str) -> Reply:
        with self._lock:
            self.gets.append(path)
        reply = self.get(path) if self.get else Reply(status=200 if path == "/ping" else 404)
        time.sleep(reply.seconds)
        return reply

    def answer_post(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        with self._lock:
            attempt = self._attempts[body] = self._attempts.get(body, 0) + 1
            call = Call(body, headers, attempt, time.monotonic())
            self.calls.append(call)
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            reply = self.script(call)
            reply = reply if isinstance(reply, Reply) else Reply(body=reply)
            time.sleep(reply.seconds)
            return reply
        finally:
            with self._lock:
                self._in_flight -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of many tests."""


class _Handler(BaseHTTPRequestHandler):
    model: ScriptedModel
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self) -> None:
        super().setup()
        self.model.connections += 1

    def do_GET(self) -> None:
        self._answer(self.model.answer_get(self.path))

    def do_POST(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._answer(self.model.answer_post(self._body(), headers))

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"]))
        pieces = []
        while size := int(self.rfile.readline(), 16):  # a client that went away gives no number
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _answer(self, reply: Reply) -> None:
        if reply.reset:
            # A linger time of zero makes the close a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        self.send_response(reply.status)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body if reply.cut is None else reply.body[: reply.cut])
        self.close_connection = reply.cut is not None

    def log_message(self, *_: Any) -> None:
        """Quiet: what was called is in `ScriptedModel.calls`."""
