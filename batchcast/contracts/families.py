"""What common forecasting containers take and give, as `[request]`, `[outputs]` and `[answer]` of `model.toml`.

Sources, read on 2026-11-28. DeepAR: developer guide, "DeepAR Inference Formats". Chronos-2: amazon-science
chronos-forecasting, notebook "deploy-chronos-to-amazon-sagemaker". GluonTS: `gluonts.shell serve` 0.17. AutoGluon:
autogluon-cloud's batch format. MLflow: "Deploy MLflow model", scoring protocol. TF Serving: RESTful API, row format.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from batchcast.contracts.proposal import Proposal

_QUANTILES = ("0.1", "0.5", "0.9")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerFamily:
    """One kind of container. `request`, `outputs` and `answer` give the lines of their tables for a history.

    `series` has keys that the container needs beside those of the history; `notes` are said to the user.
    """

    title: str
    request: Callable[[Proposal], Mapping[str, Any]]
    outputs: Callable[[Proposal], Mapping[str, Any]]
    notes: tuple[str, ...]
    answer: Mapping[str, Any] = field(default_factory=dict)
    series: Mapping[str, Any] = field(default_factory=dict)


def _object(values: Mapping[str, str]) -> str:
    """A JSON object whose values are placeholders."""
    return "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in values.items()) + "}"


def _columns(names: tuple[str, ...], period: str) -> str:
    return _object({name: f"${period}({_column(name)})" for name in names})


def _column(name: str) -> str:
    return f"${name}" if name.isidentifier() and name.isascii() else f"${{{name}}}"


def _quantile_columns(target: str, path: str) -> dict[str, Any]:
    """The median under the target's name, the others with their level; `path` has {} where the level goes."""
    found: dict[str, Any] = {}
    for level in sorted(_QUANTILES, key=lambda level: level != "0.5"):
        name = target if level == "0.5" else f"{target}_p{float(level) * 100:02.0f}"
        found[name] = {"path": path.format(json.dumps(level)), "quantile": float(level)}
    return found


def _deepar(proposal: Proposal) -> dict[str, Any]:
    features = ", ".join(f"$both({_column(name)})" for name in proposal.known)
    dynamic = f', "dynamic_feat": [{features}]' if features else ""
    return {
        "content_type": "application/jsonlines",
        "body": '{"start": $start_time, "target": $target_time_series' + dynamic + "}",
    }


def _chronos(proposal: Proposal) -> dict[str, Any]:
    past = (*proposal.known, *proposal.past)
    covariates = f', "past_covariates": {_columns(past, "history")}' if past else ""
    if proposal.known:
        covariates += f', "future_covariates": {_columns(proposal.known, "future")}'
    levels = ", ".join(_QUANTILES)
    return {
        "content_type": "application/json",
        "items_per_request": 64,
        "body": '{"inputs": $records, "parameters": {"prediction_length": $horizon, "quantile_levels": ['
        + f"{levels}]}}}}",
        "record": '{"target": $target_time_series' + covariates + "}",
    }


def _autogluon(proposal: Proposal) -> dict[str, Any]:
    columns = {"item_id": "$item_id", "timestamp": _column(proposal.timestamp), "target": _column(proposal.target)}
    covariates = {name: _column(name) for name in proposal.past}
    return {
        "content_type": "application/x-parquet",
        "mode": "object",
        "items_per_request": 256,
        "body": "$records",
        "record": f"$history({_object({**columns, **covariates})})",
    }


def _mlflow(proposal: Proposal) -> dict[str, Any]:
    names = (proposal.timestamp, proposal.target, *proposal.known, *proposal.past)
    row = ", ".join(_column(name) for name in names)
    table = f'{{"columns": {json.dumps(list(names))}, "data": $history([{row}])}}'
    return {
        "content_type": "application/json",
        "body": f'{{"dataframe_split": {table}, "params": {{"horizon": $horizon}}}}',
    }


def _prophet(proposal: Proposal) -> dict[str, Any]:
    row = {"ds": _column(proposal.timestamp), "y": _column(proposal.target)}
    return {"content_type": "application/json", "body": f"$history({_object(row)})"}


def _custom(proposal: Proposal) -> dict[str, Any]:
    names = (proposal.timestamp, proposal.target, *proposal.known, *proposal.past)
    body = {"history": f"$history({_object({name: _column(name) for name in names})})"}
    if proposal.known:
        known = (proposal.timestamp, *proposal.known)
        body["future"] = f"$future({_object({name: _column(name) for name in known})})"
    return {"content_type": "application/json", "body": _object({**body, "horizon": "$horizon"})}


def _body(text: str, content_type: str = "application/json") -> Callable[[Proposal], Mapping[str, Any]]:
    return lambda _: {"content_type": content_type, "body": text}


def _quantiles(path: str) -> Callable[[Proposal], Mapping[str, Any]]:
    return lambda proposal: _quantile_columns(proposal.target, path)


def _path(path: str) -> Callable[[Proposal], Mapping[str, Any]]:
    return lambda proposal: {proposal.target: path}


FAMILIES: Mapping[str, ContainerFamily] = {
    "deepar": ContainerFamily(
        title="SageMaker's built-in DeepAR",
        request=_deepar,
        outputs=_quantiles("quantiles.{}"),
        series={"timestamp_format": "%Y-%m-%d %H:%M:%S"},
        notes=(
            "The horizon is fixed at training: ForecastHorizon has to be the prediction_length of the training job.",
            "The model's environment needs DEEPAR_INFERENCE_CONFIG with the quantiles 0.1, 0.5 and 0.9.",
            'A model trained with categories needs "cat": [$column] with a column of whole numbers.',
        ),
    ),
    "chronos-2": ContainerFamily(
        title="Chronos-2 of JumpStart",
        request=_chronos,
        outputs=_quantiles("{}"),
        answer={"records": "predictions"},
        series={"min_history": 5, "max_history": 8192},
        notes=("64 series a request suit a GPU; `tune` measures what yours sustains.",),
    ),
    "gluonts": ContainerFamily(
        title="GluonTS's serving shell in batch",
        request=_body('{"start": $start_time, "target": $target_time_series}', "application/jsonlines"),
        outputs=_quantiles("quantiles.{}"),
        series={"timestamp_format": "%Y-%m-%d %H:%M:%S"},
        notes=(
            "The model's environment needs INFERENCE_CONFIG with freq and the quantiles 0.1, 0.5 and 0.9.",
            "The horizon is the predictor's: ForecastHorizon has to be its prediction_length.",
        ),
    ),
    "autogluon": ContainerFamily(
        title="AutoGluon (Cloud), a data frame as Parquet",
        request=_autogluon,
        outputs=_quantiles("[*].{}"),
        answer={"group_by": "item_id", "timestamps": "[*].timestamp"},
        series={"timestamp_format": "timestamp"},
        notes=(
            "A request is an S3 object of its own: 256 items in each.",
            "The predictor is trained with item_id and timestamp as id_column and timestamp_column, and target.",
            "Covariates that are known for the future cannot be sent to it in a table of the history.",
        ),
    ),
    "xgboost": ContainerFamily(
        title="XGBoost or another tabular model: a row of the last values as CSV, a number a line",
        request=lambda _: {
            "content_type": "text/csv",
            "mode": "object",
            "items_per_request": 256,
            "body": "$records",
            "record": "[$target_time_series]",
        },
        outputs=_path("@"),
        answer={"records": "@"},
        series={"max_history": 8, "min_history": 8},
        notes=(
            "A number is the forecast of one step: ForecastHorizon is 1.",
            "8 values are sent, without a label: write the features of your model as `record`, in their order.",
        ),
    ),
    "mlflow": ContainerFamily(
        title="an MLflow scoring server",
        request=_mlflow,
        outputs=_path("predictions"),
        notes=("The columns and params have to be those of the model's signature.",),
    ),
    "tf-serving": ContainerFamily(
        title="TensorFlow Serving, row format",
        request=_body('{"instances": [$target_time_series]}'),
        outputs=_path("predictions[0]"),
        series={"max_history": 64, "min_history": 64},
        notes=("64 values are sent: write the window of your model as max_history and min_history.",),
    ),
    "torchserve": ContainerFamily(
        title="TorchServe with a handler that takes a list of windows",
        request=_body("[$target_time_series]"),
        outputs=_path("[0]"),
        series={"max_history": 64, "min_history": 64},
        notes=("The shape is your handler's own; this one is a bare list.",),
    ),
    "prophet": ContainerFamily(
        title="a server around Prophet",
        request=_prophet,
        outputs=lambda proposal: {
            proposal.target: {"path": "[*].yhat", "quantile": 0.5},
            f"{proposal.target}_p10": {"path": "[*].yhat_lower", "quantile": 0.1},
            f"{proposal.target}_p90": {"path": "[*].yhat_upper", "quantile": 0.9},
        },
        answer={"timestamps": "[*].ds"},
        series={"timestamp_format": "%Y-%m-%d %H:%M:%S"},
        notes=("yhat_lower and yhat_upper are 0.1 and 0.9 with Prophet's interval_width of 0.8.",),
    ),
    "custom": ContainerFamily(
        title="a server of your own",
        request=_custom,
        outputs=_path("forecast"),
        notes=("body is only a beginning: write the JSON that your model takes.",),
    ),
}
