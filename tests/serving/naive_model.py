"""A model server for the bakery's records: forecasts the days asked for, all with the mean of the history."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def forecast(record: dict[str, Any]) -> dict[str, Any]:
    rows = record["historical_rows"]
    last = max(date.fromisoformat(row["date"]) for row in rows)
    mean = sum(row["sales"] or 0 for row in rows) / len(rows)
    days = [(last + timedelta(days=step)).isoformat() for step in range(1, record["forecast_days"] + 1)]
    return {"item_id": record["item_id"], "forecast": [{"date": day, "daily_sales": mean} for day in days]}


@contextmanager
def naive_server(*, status: int = 200, broken: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """The URL of a server that runs meanwhile, and the bodies it was sent."""
    seen: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.rfile.read(int(self.headers["Content-Length"])))
            answer = {"error": "no"} if broken else forecast(json.loads(seen[-1]))
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
