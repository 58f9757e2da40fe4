"""Containers that are sent tensors or a shape of their own: TF Serving, TorchServe, KServe V2, hand-written servers."""

from __future__ import annotations

import json
from typing import Any

from emulators.containers.forecast import (
    QUANTILES,
    RefusedError,
    Reply,
    Trained,
    expect,
    mean_forecast,
    numbers,
    quantile_forecasts,
)

__all__ = ["kserve", "lists_of_lists", "named_steps", "one_number", "strict", "tf_columns", "tf_rows", "torchserve"]


def tf_rows(body: bytes, content_type: str, trained: Trained) -> Reply:
    """TF Serving's row format."""
    request = expect(_json(body, content_type), "body", required=["instances"], optional=["signature_name"])
    return _answer(
        {"predictions": [mean_forecast(_window(row, trained), trained.steps) for row in _rows(request["instances"])]}
    )


def tf_columns(body: bytes, content_type: str, trained: Trained) -> Reply:
    """TF Serving's column format."""
    request = expect(_json(body, content_type), "body", required=["inputs"], optional=["signature_name"])
    inputs = expect(request["inputs"], "inputs", required=["context"])
    return _answer(
        {
            "outputs": {
                "forecast": [mean_forecast(_window(row, trained), trained.steps) for row in _rows(inputs["context"])]
            }
        }
    )


def torchserve(body: bytes, content_type: str, trained: Trained) -> Reply:
    """A TorchServe handler that takes a bare list of windows; a fault of the model is 503."""
    request = _json(body, content_type)
    if not isinstance(request, list):
        raise RefusedError("prediction failed: the body is not a list", 503)
    return _answer(_forecasts(request, trained))


def kserve(body: bytes, content_type: str, trained: Trained) -> Reply:
    """KServe's V2 protocol with one input tensor."""
    request = expect(_json(body, content_type), "body", required=["inputs"], optional=["id", "parameters", "outputs"])
    tensor = expect(_rows(request["inputs"])[0], "inputs[0]", required=["name", "shape", "datatype", "data"])
    if (tensor["name"], tensor["shape"], tensor["datatype"]) != ("x", [1, trained.window], "FP64"):
        raise RefusedError("inputs[0] is not x, FP64 of shape [1, 8]")
    found = mean_forecast(_window(tensor["data"], trained), trained.steps)
    return _answer({"outputs": [{"name": "y", "shape": [1, trained.steps], "datatype": "FP64", "data": found}]})


def strict(body: bytes, content_type: str, trained: Trained) -> Reply:
    """A pydantic model with `extra = "forbid"`: an id that it did not ask for is 422."""
    try:
        request = expect(_json(body, content_type), "body", required=["series", "horizon"])
        series = expect(request["series"], "series", required=["values", "first_day"])
    except RefusedError as error:
        raise RefusedError(str(error), 422) from error
    steps = request["horizon"]
    if not isinstance(steps, int):
        raise RefusedError("horizon is not a whole number", 422)
    return _answer({"result": {"points": mean_forecast(numbers(series["values"], "values"), steps)}})


def lists_of_lists(body: bytes, content_type: str, trained: Trained) -> Reply:
    """No name anywhere: the values, and a feature of history and horizon, each in a list; a list a level comes back."""
    request = _json(body, content_type)
    if not isinstance(request, list) or len(request) != 2:
        raise RefusedError("the body is not a list of two lists")
    (target,), (feature,) = request
    values = numbers(target, "target")
    numbers(feature, "feature", length=len(values) + trained.steps)
    found = quantile_forecasts(values, trained.steps)
    return _answer([[mean_forecast(values, trained.steps)], [found[level] for level in QUANTILES]])


def one_number(body: bytes, content_type: str, trained: Trained) -> Reply:
    """The next value alone."""
    request = expect(_json(body, content_type), "body", required=["values"])
    return _answer({"prediction": mean_forecast(numbers(request["values"], "values"), 1)[0]})


def named_steps(body: bytes, content_type: str, trained: Trained) -> Reply:
    """One key a step."""
    request = expect(_json(body, content_type), "body", required=["values"])
    found = mean_forecast(numbers(request["values"], "values"), trained.steps)
    return _answer({f"h{step}": value for step, value in enumerate(found, 1)})


def _forecasts(rows: object, trained: Trained) -> list[list[float]]:
    return [mean_forecast(_window(row, trained), trained.steps) for row in _rows(rows)]


def _window(row: object, trained: Trained) -> list[float | None]:
    return numbers(row, "window", length=trained.window)


def _rows(value: object) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise RefusedError("there is no row")
    return value


def _json(body: bytes, content_type: str) -> Any:
    if content_type != "application/json":
        raise RefusedError(f"content type {content_type!r}", 415)
    return json.loads(body)


def _answer(document: object) -> Reply:
    return Reply(body=json.dumps(document).encode())
