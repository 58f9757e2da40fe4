"""A model server that forecasts a hundred times the last week: `python hundredfold_model.py <port>`."""

from __future__ import annotations

import sys
from http.server import ThreadingHTTPServer
from typing import Any

import last_week_model

forecast = last_week_model.forecast


def hundredfold(record: dict[str, Any]) -> dict[str, Any]:
    answer = forecast(record)
    for row in answer["forecast"]:
        row["daily_sales"] *= 100
    return answer


if __name__ == "__main__":
    last_week_model.forecast = hundredfold
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), last_week_model.Handler).serve_forever()
