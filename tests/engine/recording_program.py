"""A model server program for tests that need a real process: it answers what it got and notes every request.

    python recording_program.py PORT FOLDER [--exit CODE] [--no-ping]

Each request becomes a JSON line of FOLDER/<port>; FOLDER/<port>.env is its environment.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LOCK = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    note: Path
    ping_status = 200

    def do_GET(self) -> None:
        self.answer(self.ping_status if self.path == "/ping" else 404, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if b"die" in body:
            sys.stderr.write("dying of a record\n")
            os._exit(9)
        self.answer(200, body)

    def answer(self, status: int, body: bytes) -> None:
        with LOCK, self.note.open("a") as stream:
            stream.write(json.dumps({"path": self.path, "body": body.decode()}) + "\n")
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


def main() -> None:
    port, folder, *options = sys.argv[1:]
    if options[:1] == ["--exit"]:
        sys.stderr.write("cannot load the model\n")
        sys.exit(int(options[1]))
    Handler.note = Path(folder, port)
    Handler.ping_status = 503 if "--no-ping" in options else 200
    Path(folder, f"{port}.env").write_text(json.dumps(dict(os.environ)))
    Path(folder, f"{port}.pid").write_text(str(os.getpid()))
    ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
