"""One request and its answer over a kept-alive connection to a model server.

Sending is plain sockets, so that head and body leave in one segment, no body is copied, and a request costs little.
An answer whose head is plain and tells its length is read here; every other one is `http.client`'s to read. The time
limit holds for the whole exchange, however slowly the server reads or writes and whatever it writes, and another thread
can break the exchange off.
"""

from __future__ import annotations

import contextlib
import io
import re
import select
import socket
import struct
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import cast

MAX_ANSWER_BYTES = 1 << 29
"""The largest body of an answer, which is held in memory; the service publishes no limit, this is our pick."""

_READ_BYTES = 1 << 16
_MOST = 0.9
# A status line and fewer header lines than http.client's limit, whole and without folded lines.
_PLAIN_HEAD = re.compile(rb"HTTP/1\.1 ((?!204|304)[2-5]\d\d) [^\r\n]*\r\n(?:[!-9;-~]+:[^\r\n]*\r\n){1,90}\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length:([^\r]*)", re.IGNORECASE)
_PLAIN_LENGTH = re.compile(rb"[ \t]*(\d{1,18})[ \t]*")
_FRAMING = re.compile(rb"\r\n(?:transfer-encoding|connection(?!:[ \t]*keep-alive\r)):", re.IGNORECASE)
# The service's client, seen in container logs (amazon-sagemaker-examples issue 977).
_USER_AGENT = "Go-http-client/1.1"


class NoAnswerError(Exception):
    """The exchange ended without a whole answer; `disconnected` when that was not for want of time."""

    def __init__(self, why: str, *, disconnected: bool = False) -> None:
        super().__init__(why)
        self.disconnected = disconnected


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


class _WholeLines(io.BufferedReader):
    """Refuses a line that ends with the connection: `http.client` would take a cut head for a whole one."""

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n") and len(line) != size:
            raise ConnectionResetError("the connection ended in the middle of a line")
        return line


class _ReadingSide(io.RawIOBase):
    """What HTTPResponse wants of a socket: what was received already, and then what the wire receives."""

    def __init__(self, received: bytes, wire: _Wire) -> None:
        self._received = received
        self._wire = wire

    def makefile(self, _: str) -> io.BufferedReader:
        return _WholeLines(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the only buffer that BufferedReader gives
        received = self._received or self._wire.receive(len(buffer))
        size = min(len(received), len(buffer))
        buffer[:size], self._received = received[:size], received[size:]
        return size


class _Wire:
    """A socket; each send and receive of an exchange ends at its deadline."""

    def __init__(self, address: tuple[str, int], timeout: float) -> None:
        self.socket = socket.create_connection(address, timeout)
        self.socket.settimeout(None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._readable = select.poll()
        self._readable.register(self.socket, select.POLLIN)
        self._limit_seconds = self._deadline = 0.0

    def is_spent(self) -> bool:
        """Whether an idle one was closed, or holds bytes nobody asked for."""
        return bool(self._readable.poll(0))

    def begin(self, deadline: float, timeout: float) -> None:
        """Begin an exchange, `timeout` seconds before its deadline."""
        self._deadline = deadline
        if self._limit_seconds != timeout:
            self._limit(timeout)

    def receive(self, most: int) -> bytes:
        self._limit_to_deadline()
        return self.socket.recv(most)

    def send(self, data: bytes | memoryview) -> None:
        """`sendall`, which would begin its time limit anew with every piece that a slow reader takes."""
        view = memoryview(data)
        while view:
            self._limit_to_deadline()
            view = view[self.socket.send(view) :]

    def send_together(self, first: bytes, second: bytes) -> None:
        """Both in one segment where they fit, and neither copied."""
        sent = self.socket.sendmsg([first, second])
        if sent < len(first):
            self.send(first[sent:])
        if sent < len(first) + len(second):
            self.send(memoryview(second)[max(0, sent - len(first)) :])

    def _limit_to_deadline(self) -> None:
        """Set anew once a part worth counting has gone by."""
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        if remaining < _MOST * self._limit_seconds:
            self._limit(remaining)

    def _limit(self, seconds: float) -> None:
        """Let the kernel end a send or a receive that takes longer.

        Python's own time-outs cost a poll a call, each of which hands the interpreter to another thread.
        """
        # A microsecond more than asked, so that whatever it ends is past its deadline.
        value = struct.pack("@ll", *divmod(int(seconds * 1e6) + 1, 1_000_000))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)
        self._limit_seconds = seconds


class Connection:
    """A slot's connection; used by one thread, broken off by any."""

    def __init__(self, host: str, port: int, *, prefix: str = "", max_answer_bytes: int = MAX_ANSWER_BYTES) -> None:
        self._address = (host, port)
        self._prefix = prefix
        self._max_answer_bytes = max_answer_bytes
        self._wire: _Wire | None = None
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
        wire = self._wire
        if wire is not None:
            with contextlib.suppress(OSError):
                wire.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; the next exchange opens another."""
        if self._wire is not None:
            self._wire.socket.close()
            self._wire = None

    def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | Iterable[bytes] | None, timeout: float
    ) -> Answer:
        deadline = time.monotonic() + timeout
        try:
            if self._wire is not None and self._wire.is_spent():
                self.close()
            wire = self._wire = self._wire or _Wire(self._address, timeout)
            if self._broken:
                raise ConnectionAbortedError("the exchange was broken off")
            wire.begin(deadline, timeout)
            _send(wire, self._head(method, path, headers), body)
            received = wire.receive(_READ_BYTES)
            answer = self._plain(wire, received) or self._any(wire, received, method)
            if time.monotonic() >= deadline:
                raise TimeoutError
            return answer
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            late = time.monotonic() >= deadline
            why = f"no answer within {timeout:g} s" if late else f"{type(error).__name__}: {error}"
            raise NoAnswerError(why, disconnected=not late) from error
        except BaseException:
            self.close()  # what went wrong is the body's own affair, and half of it is sent
            raise

    def _head(self, method: str, path: str, headers: Mapping[str, str]) -> str:
        """The request's head but for what tells the body's length and the empty line."""
        host, port = self._address
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{method} {self._prefix}{path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: {_USER_AGENT}\r\n{lines}"

    def _plain(self, wire: _Wire, received: bytes) -> Answer | None:
        """What nearly every answer is, at a fifth of the cost; None for one that needs `http.client`, nothing lost."""
        head = _PLAIN_HEAD.match(received)
        lengths = _LENGTH.findall(received, 0, head.end()) if head else []
        length = _PLAIN_LENGTH.fullmatch(lengths[0]) if len(lengths) == 1 else None
        if head is None or length is None or _FRAMING.search(received, 0, head.end()):
            return None
        whole = head.end() + int(length[1])
        if not len(received) <= whole <= head.end() + self._max_answer_bytes:
            return None
        pieces = [received[head.end() :]]
        missing = whole - len(received)
        while missing:
            piece = wire.receive(min(missing, _READ_BYTES))
            if not piece:
                raise HTTPException(f"the answer was cut {missing} bytes before its end")
            pieces.append(piece)
            missing -= len(piece)
        return Answer(int(head[1]), pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def _any(self, wire: _Wire, received: bytes, method: str) -> Answer:
        pieces: list[bytes] = []
        size = 0
        with HTTPResponse(cast(socket.socket, _ReadingSide(received, wire)), method=method) as response:
            response.begin()
            while piece := response.read1(_READ_BYTES):
                pieces.append(piece)
                size += len(piece)
                if (response.length or 0) + size > self._max_answer_bytes:
                    most = f"{self._max_answer_bytes} bytes, the most that is taken"
                    raise HTTPException(f"the answer is larger than {most}")
                if response.length == 0:
                    break
            if response.length:
                raise HTTPException(f"the answer was cut {response.length} bytes before its end")
            if response.will_close:
                self.close()
        return Answer(response.status, pieces[0] if len(pieces) == 1 else b"".join(pieces))


def _send(wire: _Wire, head: str, body: bytes | Iterable[bytes] | None) -> None:
    if body is None:
        wire.send(f"{head}\r\n".encode("latin-1"))
    elif isinstance(body, bytes):
        wire.send_together(f"{head}Content-Length: {len(body)}\r\n\r\n".encode("latin-1"), body)
    else:
        wire.send(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode("latin-1"))
        for piece in body:
            if piece:  # an empty chunk would end the body
                wire.send_together(b"%x\r\n" % len(piece), piece)
                wire.send(b"\r\n")
        wire.send(b"0\r\n\r\n")
