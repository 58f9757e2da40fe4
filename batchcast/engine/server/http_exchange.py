"""One request and its answer over a kept-alive connection to a model server.

Sending is plain sockets, so that head and body leave in one segment, no body is copied, and a request costs little.
An answer whose head is plain and tells its length is read here; every other one is `http.client`'s to read. The time
limit holds for the whole exchange, however slowly the server reads or writes and whatever it writes, and another thread
can break the exchange off.
"""

import contextlib
import io
import re
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable, Mapping
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
    """What HTTPResponse wants of a socket: each receive waits no longer than the exchange may still take."""

    def __init__(self, sock: socket.socket, wait: Callable[[], None], received: bytes) -> None:
        self._socket = sock
        self._wait = wait
        self._received = received

    def makefile(self, _: str) -> io.BufferedReader:
        return _WholeLines(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the only buffer that BufferedReader gives
        if self._received:
            size = min(len(self._received), len(buffer))
            buffer[:size], self._received = self._received[:size], self._received[size:]
            return size
        self._wait()
        return self._socket.recv_into(buffer)


class Connection:
    """A slot's connection; used by one thread, broken off by any."""

    def __init__(self, host: str, port: int, *, prefix: str = "", max_answer_bytes: int = MAX_ANSWER_BYTES) -> None:
        self._address = (host, port)
        self._prefix = prefix
        self._max_answer_bytes = max_answer_bytes
        self._socket: socket.socket | None = None
        self._idle = select.poll()
        self._limit_seconds: float | None = None
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
        sock = self._socket
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; the next exchange opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | Iterable[bytes] | None, timeout: float
    ) -> Answer:
        deadline = time.monotonic() + timeout
        try:
            sock = self._connected(timeout)

            def wait() -> None:
                self._limit_to(sock, deadline)

            _send(sock, self._head(method, path, headers), body, wait)
            return self._receive(sock, method, deadline, wait)
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            late = time.monotonic() >= deadline
            why = f"no answer within {timeout:g} s" if late else f"{type(error).__name__}: {error}"
            raise NoAnswerError(why, disconnected=not late) from error
        except BaseException:
            self.close()  # what went wrong is the body's own affair, and half of it is sent
            raise

    def _connected(self, timeout: float) -> socket.socket:
        if self._socket is not None and self._idle.poll(0):
            self.close()  # an idle connection that can be read was closed, or holds bytes nobody asked for
        sock = self._socket
        if sock is None:
            self._socket = sock = socket.create_connection(self._address, timeout)
            sock.settimeout(None)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._idle = select.poll()
            self._idle.register(sock, select.POLLIN)
            self._limit_seconds = None
        if self._broken:
            raise ConnectionAbortedError("the exchange was broken off")
        if self._limit_seconds != timeout:
            self._limit(sock, timeout)
        return sock

    def _limit(self, sock: socket.socket, seconds: float) -> None:
        """Let the kernel end a send or a receive that takes longer.

        Python's own time-outs cost a poll a call, each of which hands the interpreter to another thread.
        """
        if seconds <= 0:
            raise TimeoutError
        # A microsecond more than asked, so that whatever it ends is past its deadline.
        value = struct.pack("@ll", *divmod(int(seconds * 1e6) + 1, 1_000_000))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)
        self._limit_seconds = seconds

    def _head(self, method: str, path: str, headers: Mapping[str, str]) -> str:
        """The request's head but for what tells the body's length and the empty line."""
        host, port = self._address
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{method} {self._prefix}{path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: {_USER_AGENT}\r\n{lines}"

    def _limit_to(self, sock: socket.socket, deadline: float) -> None:
        """Let the next send or receive end at the deadline; set anew once a part worth counting has gone by."""
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        if self._limit_seconds is None or remaining < _MOST * self._limit_seconds:
            self._limit(sock, remaining)

    def _receive(self, sock: socket.socket, method: str, deadline: float, wait: Callable[[], None]) -> Answer:
        wait()
        received = sock.recv(_READ_BYTES)
        answer = self._plain(sock, received, wait) or self._any(_ReadingSide(sock, wait, received), method)
        if time.monotonic() >= deadline:
            raise TimeoutError
        return answer

    def _plain(self, sock: socket.socket, received: bytes, wait: Callable[[], None]) -> Answer | None:
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
            wait()
            piece = sock.recv(min(missing, _READ_BYTES))
            if not piece:
                raise HTTPException(f"the answer was cut {missing} bytes before its end")
            pieces.append(piece)
            missing -= len(piece)
        return Answer(int(head[1]), pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def _any(self, reading: _ReadingSide, method: str) -> Answer:
        with HTTPResponse(cast(socket.socket, reading), method=method) as response:
            response.begin()
            body = self._body(response)
            if response.will_close:
                self.close()
        return Answer(response.status, body)

    def _body(self, response: HTTPResponse) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while piece := response.read1(_READ_BYTES):
            pieces.append(piece)
            size += len(piece)
            if size > self._max_answer_bytes or (response.length or 0) + size > self._max_answer_bytes:
                raise HTTPException(f"the answer is larger than {self._max_answer_bytes} bytes, the most that is taken")
            if response.length == 0:
                break
        if response.length:
            raise HTTPException(f"the answer was cut {response.length} bytes before its end")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _send(sock: socket.socket, head: str, body: bytes | Iterable[bytes] | None, wait: Callable[[], None]) -> None:
    if body is None:
        _send_all(sock, f"{head}\r\n".encode("latin-1"), wait)
    elif isinstance(body, bytes):
        _send_together(sock, f"{head}Content-Length: {len(body)}\r\n\r\n".encode("latin-1"), body, wait)
    else:
        _send_all(sock, f"{head}Transfer-Encoding: chunked\r\n\r\n".encode("latin-1"), wait)
        for piece in body:
            if piece:  # an empty chunk would end the body
                _send_together(sock, b"%x\r\n" % len(piece), piece, wait)
                _send_all(sock, b"\r\n", wait)
        _send_all(sock, b"0\r\n\r\n", wait)


def _send_together(sock: socket.socket, first: bytes, second: bytes, wait: Callable[[], None]) -> None:
    """Both in one segment where they fit, and neither copied."""
    sent = sock.sendmsg([first, second])
    if sent < len(first):
        _send_all(sock, first[sent:], wait)
        sent = len(first)
    if sent < len(first) + len(second):
        _send_all(sock, memoryview(second)[sent - len(first) :], wait)


def _send_all(sock: socket.socket, data: bytes | memoryview, wait: Callable[[], None]) -> None:
    """`sendall`, which would begin its time limit anew with every piece that a slow reader takes."""
    view = memoryview(data)
    while view:
        wait()
        view = view[sock.send(view) :]
