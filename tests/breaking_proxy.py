"""A proxy in front of an HTTP server that cuts chosen replies, for the tests of what a broken connection does."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = ["BreakingProxy", "breaking_proxy"]

Cut = Callable[[bytes, int], int | None]
"""(request head, number of the request from 0) to the bytes of the reply that are let through, None: all."""


@dataclass
class BreakingProxy:
    """`endpoint` is its address; `requests` the request lines it saw, in order."""

    endpoint: str
    requests: list[str] = field(default_factory=list)


@contextmanager
def breaking_proxy(target: str, cut: Cut) -> Iterator[BreakingProxy]:
    """Pass every connection on to `target` (http://host:port), one request a connection, cutting replies as told."""
    host, port = target.removeprefix("http://").split(":")
    listener = socket.create_server(("127.0.0.1", 0))
    proxy = BreakingProxy(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=_serve, args=(client, (host, int(port)), proxy, cut), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _serve(client: socket.socket, target: tuple[str, int], proxy: BreakingProxy, cut: Cut) -> None:
    with client, socket.create_connection(target) as server, contextlib.suppress(OSError):
        client.settimeout(10)
        server.settimeout(10)
        head, rest = _head(client)
        if not head:
            return
        number = len(proxy.requests)
        proxy.requests.append(head.split(b"\r\n", 1)[0].decode())
        length = _content_length(head)
        # One request a connection: the server is told to close, so that the end of the reply is the end.
        server.sendall(head.removesuffix(b"\r\n\r\n") + b"\r\nConnection: close\r\n\r\n" + rest)
        received = len(rest)
        if b"100-continue" in head.lower():
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while received < length:
            data = client.recv(65536)
            if not data:
                return
            received += len(data)
            server.sendall(data)
        _reply(client, server, cut(head, number))


def _reply(client: socket.socket, server: socket.socket, left: int | None) -> None:
    while data := server.recv(65536):
        if left is not None:
            data, left = data[:left], max(0, left - len(data))
        client.sendall(data)
        if left == 0:
            return


def _head(client: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(65536)
        if not more:
            return b"", b""
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0
