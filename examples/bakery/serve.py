"""Serve the model over HTTP with the contract of a SageMaker model container.

    python examples/bakery/serve.py --port 8080 --workers 2

GET /ping, GET /execution-parameters and POST /invocations are those of the SageMaker developer guide, "Use your own
inference code with batch transform" (March 2023). A thread for each connection reads and writes HTTP; the forecasts are
computed by the processes of `pool.py`.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Any

from pool import Pool, Reply

__all__ = ["Handler", "Server", "main"]

HERE = Path(__file__).resolve().parent
MAX_PAYLOAD_IN_MB = 6
JSON_TYPE = "application/json"


class Server(ThreadingTCPServer):
    """Listens once its workers are ready, so a client that can connect is answered."""

    request_queue_size = 128
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int], model: Path, workers: int) -> None:
        super().__init__(address, Handler, bind_and_activate=False)
        self.server_bind()  # first, so that a port in use is found before the workers start
        self.execution_parameters = {
            "MaxConcurrentTransforms": workers,
            "BatchStrategy": "SINGLE_RECORD",
            "MaxPayloadInMB": MAX_PAYLOAD_IN_MB,
        }
        self.pool = Pool(model, workers)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is its own affair; anything else is printed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """The three routes of the contract."""

    server: Server
    protocol_version = "HTTP/1.1"  # keep-alive
    server_version = "bakery"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = 1 << 16  # headers and body leave in one piece

    def do_GET(self) -> None:
        """/ping: alive; /execution-parameters: what a batch should use when it is not told otherwise."""
        if self.path == "/ping":
            self._send(Reply(HTTPStatus.OK, b""))
        elif self.path == "/execution-parameters":
            self._send(Reply(HTTPStatus.OK, json.dumps(self.server.execution_parameters).encode()))
        else:
            self._send(Reply.error(HTTPStatus.NOT_FOUND, f"no such path: GET {self.path}"))

    def do_POST(self) -> None:
        """/invocations: forecasts of the records in the body."""
        size = self.headers.get("Content-Length", "")
        if not size.isdecimal():
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "the request needs a Content-Length")
        elif int(size) > MAX_PAYLOAD_IN_MB << 20:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{size} bytes; the most is {MAX_PAYLOAD_IN_MB} MiB")
        elif self.path != "/invocations":
            self._refuse(HTTPStatus.NOT_FOUND, f"no such path: POST {self.path}")
        else:
            self._send(self.server.pool.ask(self.rfile.read(int(size))))

    def handle_expect_100(self) -> bool:
        """Send the go-ahead at once: the client holds its body back until it comes."""
        proceed = super().handle_expect_100()
        self.wfile.flush()
        return proceed

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """A batch is a hundred thousand requests: none is logged."""

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        self.close_connection = True  # the body stays unread
        self._send(Reply.error(status, message))

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Length", str(len(reply.body)))
        if reply.body:
            self.send_header("Content-Type", JSON_TYPE)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(reply.body)


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description="Serve the bakery sample's model.")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="forecasting processes (default: %(default)s)")
    parser.add_argument("--model", type=Path, default=HERE / "model.txt")
    options = parser.parse_args()
    if options.workers < 1:
        parser.error(f"--workers {options.workers}: at least 1 is needed")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server = Server((options.host, options.port), options.model, options.workers)
    except OSError as error:
        sys.exit(f"cannot listen on {options.host}:{options.port}: {error}")
    with server:
        try:
            server.pool.wait_until_ready()
            server.server_activate()
            print(
                f"serving on http://{options.host}:{server.server_address[1]} with {options.workers} workers",
                flush=True,
            )
            server.serve_forever()
        except EOFError:
            sys.exit("a worker process could not start")
        except KeyboardInterrupt:
            pass
        finally:
            server.pool.stop()


if __name__ == "__main__":
    main()
