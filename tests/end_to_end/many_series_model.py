"""A model server that takes many series a request: `python many_series_model.py <port>`.

`{"instances": [[…], …], "steps": n}` is answered with the last value of each once more, n times. A negative value
anywhere is answered with 400, one below -1 with an error of status 200; neither says which series it was.
"""

from __future__ import annotations

import sys
from http.server import ThreadingHTTPServer
from typing import Any

import last_week_model


def forecast(request: dict[str, Any]) -> dict[str, Any]:
    """The answer to one request, in its order."""
    series = request["instances"]
    lowest = min(map(min, series))
    if lowest < -1:
        return {"error": "a value is far below zero"}
    if lowest < 0:
        raise ValueError("a value is negative")
    return {"predictions": [[values[-1]] * request["steps"] for values in series]}


if __name__ == "__main__":
    last_week_model.forecast = forecast
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), last_week_model.Handler).serve_forever()
