"""A model server that sleeps as long as its records say: `sleeping_server.py PORT WORKERS [--fail-above N]`.

At most WORKERS requests are served at once. OMP_NUM_THREADS above 1 makes every request three times as slow, as too
many threads do. A record is `{"seconds": 0.02}`; a request of several is `{"instances": […]}`: up to eight
of them make it no slower, and more of them slower than they are many.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SLOWER = 3 if os.environ.get("OMP_NUM_THREADS", "4") != "1" else 1


def seconds(record: dict[str, Any]) -> float:
    if "instances" in record:
        return 0.02 * max(1.0, float((len(record["instances"]) / 8) ** 1.5))
    return float(record["seconds"])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    workers: threading.Semaphore
    fail_above = 10_000
    in_flight = 0
    lock = threading.Lock()

    def do_GET(self) -> None:
        self.answer(200 if self.path == "/ping" else 404, b"")

    def do_POST(self) -> None:
        record = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with Handler.lock:
            Handler.in_flight += 1
            too_many = Handler.in_flight > Handler.fail_above
        with Handler.workers:
            time.sleep(seconds(record) * SLOWER)
        with Handler.lock:
            Handler.in_flight -= 1
        self.answer(500 if too_many else 200, b'{"forecast": []}')

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nobody reads it."""


if __name__ == "__main__":
    Handler.workers = threading.Semaphore(int(sys.argv[2]))
    if "--fail-above" in sys.argv:
        Handler.fail_above = int(sys.argv[sys.argv.index("--fail-above") + 1])
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    server.daemon_threads = True
    server.serve_forever()
