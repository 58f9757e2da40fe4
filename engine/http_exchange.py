"""One request and its answer over a kept-alive connection to a model server.

The standard library's client, with what a transform job needs beside it: head and body leave in one segment, a body is
never copied, the time limit holds for the whole exchange, and another thread can break the connection off.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

__all__ = ["Answer", "Connection", "NoAnswerError"]

_READ_BYTES = 1 << 16
_MOST = 0.9
# The service's client, seen in container logs (amazon-sagemaker-examples issue 977).
_USER_AGENT = "Go-http-client/1.1"


class NoAnswerError(Exception):
    """The exchange ended without a whole answer: refused, reset, cut short, garbled or too late."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The status and the whole body."""

    status: int
    body: bytes


class _GatheringConnection(HTTPConnection):
    """Collects what is sent until `flush`, so that head and body leave together."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self._gathered: list[Any] = []
        self.gathering = False

    def send(self, data: Any) -> None:
        if self.gathering:
            self._gathered.append(data)
        else:
            super().send(data)

    def flush(self) -> None:
        """Send everything gathered, without joining it."""
        parts = [memoryview(part) for part in self._gathered]
        self._gathered = []
        while parts:
            sent = self.sock.sendmsg(parts)
            while parts and sent >= len(parts[0]):
                sent -= len(parts[0])
                parts.pop(0)
            if sent:
                parts[0] = parts[0][sent:]


class Connection:
    """A slot's connection; used by one thread, broken off by any."""

    def __init__(self, host: str, port: int, *, prefix: str = "") -> None:
        self._http = _GatheringConnection(host, port)
        self._prefix = prefix
        self._socket: socket.socket | None = None
        self._timeout: float | None = None
        self._broken = False

    def get(self, path: str, *, timeout: float) -> Answer:
        """GET `path` within `timeout` seconds. Raises NoAnswerError."""
        return self._exchange("GET", path, {}, None, timeout)

    def post(self, path: str, body: bytes | Iterable[bytes], headers: Mapping[str, str], *, timeout: float) -> Answer:
        """POST `body` within `timeout` seconds; an iterable is sent in chunks. Raises NoAnswerError."""
        return self._exchange("POST", path, headers, body, timeout)

    def break_off(self) -> None:
        """End the exchange another thread is in, and refuse further ones."""
        self._broken = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; the next exchange opens another."""
        self._http.close()

    def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | Iterable[bytes] | None, timeout: float
    ) -> Answer:
        deadline = time.monotonic() + timeout
        try:
            sock = self._connected(timeout)
            self._send(method, path, headers, body)
            answer = self._receive(sock, deadline)
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            late = time.monotonic() >= deadline
            why = f"no answer within {timeout:g} s" if late else f"{type(error).__name__}: {error}"
            raise NoAnswerError(why) from error
        except BaseException:
            self.close()  # what went wrong is the body's own affair, and half of it is sent
            raise
        if self._broken:
            raise NoAnswerError("the exchange was broken off")
        return answer

    def _connected(self, timeout: float) -> Any:
        if self._http.sock is not None and _closed_by_peer(self._http.sock):
            self._http.close()
        if self._http.sock is None:
            self._http.timeout = timeout
            self._http.connect()
            # Kept here too: http.client lets go of its socket as soon as a server announces that it will close.
            self._socket = self._http.sock
            self._timeout = None
        sock: Any = self._http.sock
        if self._broken:
            raise ConnectionAbortedError("the exchange was broken off")
        if self._timeout is None:
            sock.settimeout(None)
        if self._timeout != timeout:
            self._limit(sock, timeout)
        return sock

    def _limit(self, sock: socket.socket, seconds: float) -> None:
        """Let the kernel end a send or a receive that takes longer.

        Python's own time-outs cost a poll a call, each of which hands the interpreter to another thread.
        """
        if seconds <= 0:
            raise TimeoutError
        value = struct.pack("@ll", int(seconds), max(1, int(seconds % 1 * 1e6)))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)
        self._timeout = seconds

    def _send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | Iterable[bytes] | None) -> None:
        http = self._http
        http.putrequest(method, self._prefix + path, skip_accept_encoding=True)
        http.putheader("User-Agent", _USER_AGENT)
        for name, value in headers.items():
            http.putheader(name, value)
        if body is None or isinstance(body, bytes):
            if body is not None:
                http.putheader("Content-Length", str(len(body)))
            http.gathering = True
            try:
                http.endheaders(body)
                http.flush()
            finally:
                http.gathering = False
        else:
            http.putheader("Transfer-Encoding", "chunked")
            http.endheaders(body, encode_chunked=True)

    def _receive(self, sock: socket.socket, deadline: float) -> Answer:
        remaining = deadline - time.monotonic()
        if self._timeout is None or remaining < _MOST * self._timeout:  # sending took a part worth counting
            self._limit(sock, remaining)
        with self._http.getresponse() as response:
            pieces: list[bytes] = []
            while piece := response.read1(_READ_BYTES):
                pieces.append(piece)
                if response.length == 0:
                    break
                self._limit(sock, deadline - time.monotonic())
            if response.length:
                raise HTTPException(f"the answer was cut {response.length} bytes before its end")
            return Answer(response.status, pieces[0] if len(pieces) == 1 else b"".join(pieces))


def _closed_by_peer(sock: socket.socket) -> bool:
    """An idle connection that can be read has been closed, or holds bytes nobody asked for."""
    try:
        sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
