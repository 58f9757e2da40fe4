"""A model server with a known capacity: `sharing_server.py PORT [KNEE [DECLINE]]`.

With k requests in flight it does C(k) = min(k, KNEE) / (1 + DECLINE max(0, k - KNEE)) seconds of work a second and
shares them evenly. A record says how much work it is: `{"item_id": "a", "seconds": 0.1}`. One thread, so that the
server itself costs next to nothing; it waits by select(), because epoll would round every wait up to a millisecond.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import math
import selectors
import sys

__all__ = ["SharedWork", "main"]


class SharedWork:
    """Requests in flight, ordered by the attained seconds at which each is done."""

    def __init__(self, knee: float, decline: float) -> None:
        self._knee, self._decline = knee, decline
        self._attained = self._when = 0.0
        self._flying: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None

    async def do(self, seconds: float) -> None:
        """Return when this much work has been done for the request."""
        loop = asyncio.get_running_loop()
        self._advance(loop.time())
        self._number += 1
        done: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._flying, (self._attained + seconds, self._number, done))
        self._plan(loop)
        await done

    def _pace(self) -> float:
        k = len(self._flying)
        return min(k, self._knee) / (1 + self._decline * max(0.0, k - self._knee)) / k

    def _advance(self, now: float) -> None:
        if self._flying:
            self._attained += (now - self._when) * self._pace()
        self._when = now

    def _plan(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer:
            self._timer.cancel()
        if self._flying:
            after = max(0.0, self._flying[0][0] - self._attained) / self._pace()
            self._timer = loop.call_later(after, self._finish, loop)

    def _finish(self, loop: asyncio.AbstractEventLoop) -> None:
        self._advance(loop.time())
        while self._flying and self._flying[0][0] <= self._attained + 1e-9:
            heapq.heappop(self._flying)[2].set_result(None)
        self._plan(loop)


async def main(port: int, knee: float, decline: float) -> None:
    """Serve until the process ends."""
    work = SharedWork(knee, decline)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := (await reader.readuntil(b"\r\n\r\n")).lower():
            lengths = [line for line in head.split(b"\r\n") if line.startswith(b"content-length:")]
            body = await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b""
            status = b"404 Not Found" if b"/execution-parameters" in head else b"200 OK"
            if body:
                await work.do(json.loads(body)["seconds"])
            answer = b'{"forecast":[]}' if body else b""
            writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(answer), answer))
            await writer.drain()

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(quietly, "127.0.0.1", port, backlog=256)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(
            main(
                int(sys.argv[1]),
                float(sys.argv[2]) if len(sys.argv) > 2 else math.inf,
                float(sys.argv[3]) if len(sys.argv) > 3 else 0.0,
            )
        )
