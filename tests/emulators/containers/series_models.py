"""Containers that are sent whole series: DeepAR and Chronos-2.

DeepAR: developer guide, "DeepAR Inference Formats". Chronos-2: the notebook
"deploy-chronos-to-amazon-sagemaker" of amazon-science/chronos-forecasting. All as read on 2026-11-28.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from emulators.containers.forecast import (
    RefusedError,
    Reply,
    Trained,
    expect,
    mean_forecast,
    numbers,
    quantile_forecasts,
)

__all__ = ["chronos", "deepar", "deepar_lines"]

_FREQUENCY = {"D": timedelta(days=1), "1D": timedelta(days=1), "h": timedelta(hours=1), "W-SUN": timedelta(days=7)}
_MOST_SERIES = 1000


def deepar_lines(body: bytes, content_type: str, trained: Trained) -> Reply:
    """Batch Transform of DeepAR: JSON lines in and out, the horizon fixed at training."""
    _content_type(content_type, "application/jsonlines")
    lines = [json.dumps(_deepar_prediction(json.loads(line), trained)) for line in body.splitlines()]
    return Reply(body="".join(f"{line}\n" for line in lines).encode(), content_type="application/jsonlines")


def deepar(body: bytes, content_type: str, trained: Trained) -> Reply:
    """Real-time inference of DeepAR."""
    _content_type(content_type, "application/json")
    request = expect(json.loads(body), "body", required=["instances"], optional=["configuration"])
    expect(
        request.get("configuration", {}),
        "configuration",
        required=[],
        optional=["num_samples", "output_types", "quantiles"],
    )
    predictions = [_deepar_prediction(one, trained) for one in _list(request["instances"], "instances")]
    return Reply(body=json.dumps({"predictions": predictions}).encode())


def chronos(body: bytes, content_type: str, trained: Trained) -> Reply:
    """JumpStart's Chronos-2: up to 1,000 series a request, covariates of the past and the future."""
    _content_type(content_type, "application/json")
    request = expect(json.loads(body), "body", required=["inputs", "parameters"])
    parameters = expect(
        request["parameters"],
        "parameters",
        required=["prediction_length"],
        optional=["freq", "quantile_levels", "batch_size"],
    )
    inputs = _list(request["inputs"], "inputs")
    if len(inputs) > _MOST_SERIES:
        raise RefusedError(f"{len(inputs)} series; the most is {_MOST_SERIES}")
    names = [one["item_id"] for one in inputs if isinstance(one, dict) and "item_id" in one]
    if len({*names}) != len(names):
        raise RefusedError("item_id is not unique")
    return Reply(body=json.dumps({"predictions": [_chronos_prediction(one, parameters) for one in inputs]}).encode())


def _chronos_prediction(one: object, parameters: Mapping[str, Any]) -> dict[str, Any]:
    optional = ["item_id", "start", "past_covariates", "future_covariates"]
    series = expect(one, "input", required=["target"], optional=optional)
    target, steps = numbers(series["target"], "target"), int(parameters["prediction_length"])
    if len(target) < 5:
        raise RefusedError(f"target has {len(target)} observations; at least 5 are needed")
    past, future = (_covariates(series, f"{which}_covariates") for which in ("past", "future"))
    if not future.keys() <= past.keys():
        raise RefusedError(f"future_covariates {sorted(future)} are not all among past_covariates {sorted(past)}")
    for name, values in past.items():
        numbers(values, f"past_covariates.{name}", length=len(target))
    for name, values in future.items():
        numbers(values, f"future_covariates.{name}", length=steps)
    found: dict[str, Any] = {"mean": mean_forecast(target, steps)}
    levels = [str(level) for level in parameters.get("quantile_levels", [0.1, 0.5, 0.9])]
    found |= {level: quantile_forecasts(target, steps)[level] for level in levels}
    if "item_id" in series:
        found["item_id"] = series["item_id"]
    if ("start" in series) != ("freq" in parameters):
        raise RefusedError("start and freq go together")
    if "start" in series:
        step = _FREQUENCY[str(parameters["freq"])]
        found["start"] = (_start(series["start"]) + len(target) * step).isoformat()
    return found


def _covariates(series: Mapping[str, Any], name: str) -> Mapping[str, object]:
    found = series.get(name, {})
    if not isinstance(found, dict):
        raise RefusedError(f"{name} is not an object")
    return found


def _deepar_prediction(one: object, trained: Trained) -> dict[str, Any]:
    named = {"cat": trained.categories, "dynamic_feat": trained.features}
    instance = expect(one, "instance", required=["start", "target", *(name for name in named if named[name])])
    if not isinstance(instance["start"], str) or len(instance["start"]) != len("2009-11-01 00:00:00"):
        raise RefusedError(f"start is {instance['start']!r}, not YYYY-MM-DD HH:MM:SS")
    _start(instance["start"])
    target = numbers(instance["target"], "target", nan_text=True)
    category = instance.get("cat", [])
    if not isinstance(category, list) or [type(each) for each in category] != [int] * trained.categories:
        raise RefusedError(f"cat is {category!r}, not a list of {trained.categories} whole numbers")
    features = instance.get("dynamic_feat", [])
    if not isinstance(features, list) or len(features) != trained.features:
        raise RefusedError(f"dynamic_feat is not a list of {trained.features} lists")
    for place, feature in enumerate(features):
        numbers(feature, f"dynamic_feat[{place}]", length=len(target) + trained.steps)
    mean = mean_forecast(target, trained.steps)
    return {"quantiles": quantile_forecasts(target, trained.steps), "mean": mean}


def _start(text: object) -> datetime:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError as error:
        raise RefusedError(f"start: {error}") from error


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise RefusedError(f"{where} is not a list of one or more")
    return value


def _content_type(found: str, expected: str) -> None:
    if found != expected:
        raise RefusedError(f"content type {found!r}; only {expected} is taken", 415)
