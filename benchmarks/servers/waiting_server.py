"""A model server for measurements: it reads a request, waits, and answers the same bytes. Standard library only."""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import threading
import time
from pathlib import Path

ANSWER = b'{"forecast":[1.5,2.5,3.5]}'


def talk(connection: socket.socket, low: float, high: float, answer: bytes, busy: list[tuple[float, float]]) -> None:
    """Answer on one connection until the client closes it; note when each request arrived and was answered."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream = connection.makefile("rb")
    chance = random.Random(connection.getpeername()[1])
    while line := stream.readline():
        length = 0
        while (header := stream.readline()) not in (b"\r\n", b""):
            if header.lower().startswith(b"content-length:"):
                length = int(header[15:])
        arrived = time.monotonic()
        while length:
            length -= len(stream.read1(min(length, 1 << 20)))
        if not line.startswith(b"POST"):
            status = b"200 OK" if b"/ping" in line else b"404 Not Found"
            connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % status)
            continue
        if high:
            time.sleep(chance.uniform(low, high))
        busy.append((arrived, time.monotonic()))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))


def main() -> None:
    """Serve until SIGTERM, then write the times of all requests to the file of --times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--low", type=float, default=0.0, help="seconds")
    parser.add_argument("--high", type=float, default=0.0, help="seconds")
    parser.add_argument("--answer-bytes", type=int, default=0)
    parser.add_argument("--times", type=Path)
    options = parser.parse_args()
    busy: list[tuple[float, float]] = []

    def end(*_: object) -> None:
        if options.times is not None:
            options.times.with_name(f"{options.times.name}-{options.port}").write_text(json.dumps(busy))
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    answer = b"x" * options.answer_bytes or ANSWER
    listener = socket.create_server(("127.0.0.1", options.port), backlog=128)
    while True:
        arguments = (listener.accept()[0], options.low, options.high, answer, busy)
        threading.Thread(target=talk, args=arguments, daemon=True).start()


if __name__ == "__main__":
    main()
