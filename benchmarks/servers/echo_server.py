"""A model that takes no time: its forecast is the request itself, `{"forecast": […]}` or a list of them.

    python benchmarks/servers/echo_server.py PORT

One thread serves all connections, so that the server costs next to nothing.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            body = await reader.readexactly(int(length or 0))
            status = b"404 Not Found" if b"/execution-parameters" in head else b"200 OK"
            writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
            await writer.drain()
    writer.close()


async def serve(port: int) -> None:
    """Serve until the process ends."""
    server = await asyncio.start_server(_serve, "127.0.0.1", port, backlog=256, limit=1 << 20)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
