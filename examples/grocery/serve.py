"""Serve the model over HTTP with the request and answer of JumpStart's Chronos-2 container.

    python examples/grocery/serve.py --port 8080

A request holds one or many series (`inputs`) and `parameters`; the answer has one prediction a series, in the order of
the request. Fields that the container does not know, covariates of a wrong length and too short a history are refused
with 400, whatever the other series of the request are, as the container does.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from quantile_model import LEVELS, LONGEST, SHORTEST, QuantileModel

__all__ = ["create_app", "main"]

HERE = Path(__file__).resolve().parent
MAX_PAYLOAD_IN_MB = 6
KNOWN = ("display", "mailer")


class Strict(BaseModel):
    """What is not declared is refused."""

    model_config = ConfigDict(extra="forbid")


class Covariates(Strict):
    """Shares of the category's products on display and in the mailer, 0 to 1, one a week."""

    display: list[float]
    mailer: list[float]


class PastCovariates(Covariates):
    """As the covariates, and the price in dollars, which nobody knows in advance."""

    price: list[float]


class Series(Strict):
    """One series: pieces a week, oldest first; null is a week that was not recorded."""

    target: Annotated[list[float | None], Field(min_length=SHORTEST)]
    past_covariates: PastCovariates
    future_covariates: Covariates
    item_id: str | None = None

    @model_validator(mode="after")
    def lengths(self) -> Series:
        """Past covariates are as long as the target."""
        for name, values in self.past_covariates:
            if len(values) != len(self.target):
                raise ValueError(f"past_covariates.{name} has {len(values)} values, the target {len(self.target)}")
        return self


class Parameters(Strict):
    """How far ahead, and which quantiles."""

    prediction_length: Annotated[int, Field(ge=1, le=LONGEST)]
    quantile_levels: list[float] = [*LEVELS]


class Forecasts(Strict):
    """The body of a request."""

    inputs: Annotated[list[Series], Field(min_length=1, max_length=1000)]
    parameters: Parameters

    @model_validator(mode="after")
    def known(self) -> Forecasts:
        """Future covariates reach as far as the forecast; the levels are those that were trained."""
        weeks = self.parameters.prediction_length
        for one in self.inputs:
            for name, values in one.future_covariates:
                if len(values) != weeks:
                    raise ValueError(f"future_covariates.{name} has {len(values)} values, prediction_length is {weeks}")
        unknown = [level for level in self.parameters.quantile_levels if level not in LEVELS]
        if unknown:
            raise ValueError(f"quantile_levels {unknown} are not among {[*LEVELS]}")
        return self


def create_app(model: QuantileModel) -> FastAPI:
    """The three routes of a SageMaker model container."""
    app = FastAPI(openapi_url=None)

    @app.exception_handler(RequestValidationError)
    def refuse(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return JSONResponse({"error": f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}"}, status_code=400)

    @app.get("/ping")
    def ping() -> Response:
        return Response()

    @app.get("/execution-parameters")
    def execution_parameters() -> dict[str, Any]:
        return {
            "MaxConcurrentTransforms": 2,
            "BatchStrategy": "SINGLE_RECORD",
            "MaxPayloadInMB": MAX_PAYLOAD_IN_MB,
        }

    @app.post("/invocations")
    def invocations(request: Forecasts) -> dict[str, Any]:
        return {"predictions": [_prediction(model, one, request.parameters) for one in request.inputs]}

    return app


def _prediction(model: QuantileModel, one: Series, parameters: Parameters) -> dict[str, Any]:
    sales = np.array([0.0 if value is None else value for value in one.target])
    past = [np.array(getattr(one.past_covariates, name)) for name in KNOWN]
    future = [np.array(getattr(one.future_covariates, name)) for name in KNOWN]
    price = np.array(one.past_covariates.price)
    found = model.forecast(sales, price, past, future, parameters.prediction_length)
    answer: dict[str, Any] = {"mean": found[0.5].round(3).tolist()}
    answer |= {str(level): found[level].round(3).tolist() for level in parameters.quantile_levels}
    return answer if one.item_id is None else answer | {"item_id": one.item_id}


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description="Serve the grocery sample's model.")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: %(default)s)")
    parser.add_argument("--model", type=Path, default=HERE / "model")
    options = parser.parse_args()
    app = create_app(QuantileModel(options.model))
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
