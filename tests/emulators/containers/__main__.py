"""Serve one of the imitated containers on loopback until SIGTERM."""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from emulators.containers import frame_models, series_models, tensor_models
from emulators.containers.forecast import RefusedError, Reply, Trained

FAMILIES: dict[str, Callable[[bytes, str, Trained], Reply]] = {
    name: getattr(module, name) for module in (series_models, frame_models, tensor_models) for name in module.__all__
}


class Handler(BaseHTTPRequestHandler):
    """GET /ping and POST /invocations."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    trained = Trained()
    family: Callable[[bytes, str, Trained], Reply]

    def do_GET(self) -> None:
        self._send(200 if self.path == "/ping" else 404, Reply(body=b""))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            self._send(200, type(self).family(body, self.headers.get("Content-Type", ""), self.trained))
        except RefusedError as error:
            self._send(error.status, _error(str(error)))
        except (ValueError, KeyError) as error:
            self._send(400, _error(repr(error)))

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing is logged."""

    def _send(self, status: int, reply: Reply) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("Content-Type", reply.content_type)
        self.end_headers()
        self.wfile.write(reply.body)


def _error(message: str) -> Reply:
    return Reply(body=json.dumps({"error": message}).encode())


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("family", choices=sorted(FAMILIES))
    parser.add_argument("--port", type=int, required=True)
    for field in dataclasses.fields(Trained):
        parser.add_argument(f"--{field.name}", type=int, default=field.default)
    options = parser.parse_args()
    Handler.trained = Trained(**{field.name: getattr(options, field.name) for field in dataclasses.fields(Trained)})
    Handler.family = staticmethod(FAMILIES[options.family])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer(("127.0.0.1", options.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
