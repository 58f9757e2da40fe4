"""A BentoML service where SageMaker looks for it: its API at /invocations, and an answer at /ping.

bentoml serve conformance/bentoml/service.py:LastWeek --host 127.0.0.1 --port PORT
"""

from __future__ import annotations

import bentoml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def ping(_: Request) -> Response:
    """A container answers 200 when it is ready."""
    return Response()


@bentoml.service(workers=2)
@bentoml.asgi_app(Starlette(routes=[Route("/ping", ping)]), path="/")
class LastWeek:
    """Each day as the same weekday of the last week was; a request has the members of the signature."""

    @bentoml.api(route="/invocations")
    def forecast(self, sales: list[float], horizon: int) -> dict[str, list[float]]:
        """`horizon` numbers."""
        return {"sales": [sales[-7 + step % 7] for step in range(horizon)]}
