"""A model server that can get its answers wrong in the ways that batch and endpoint differ: `PORT [MODE]`."""

from __future__ import annotations

import json
import os
import random
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def forecast_of(item: str) -> dict[str, Any]:
    """Three days of an item's own numbers."""
    numbers = random.Random(item)
    rows = [{"date": f"2026-11-{day}", "daily_sales": numbers.uniform(1, 50)} for day in (23, 24, 25)]
    return {"item_id": item, "forecast": rows}


def answer_of(item: str, mode: str) -> dict[str, Any]:
    answer = forecast_of(item)
    rows = answer["forecast"]
    if mode == "rounding":
        rows[:] = [{**row, "daily_sales": round(row["daily_sales"], 2)} for row in rows]
    if mode == "reordering":
        rows.reverse()
    if mode == "swapped":
        answer["forecast"] = forecast_of({"item-1": "item-2", "item-2": "item-1"}.get(item, item))["forecast"]
    if mode == "locale":
        rows[:] = [{**row, "daily_sales": f"{row['daily_sales']:.2f}".replace(".", ",")} for row in rows]
    if mode == "batch" and os.environ.get("SAGEMAKER_BATCH"):
        rows[:] = [{**row, "daily_sales": row["daily_sales"] * 1.01} for row in rows]
    if mode == "schema":
        answer["model"] = "v2"
    if mode == "noise":
        rows[:] = [{**row, "daily_sales": row["daily_sales"] * random.uniform(0.999, 1.001)} for row in rows]
    return answer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    mode = ""

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/ping" else 404, b"")

    def do_POST(self) -> None:
        record = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(200, json.dumps(answer_of(record["item_id"], self.mode)).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        kind = "text/plain" if self.mode == "headers" else "application/json"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


if __name__ == "__main__":
    Handler.mode = sys.argv[2] if len(sys.argv) > 2 else ""
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
