"""How a transform job splits, sends and joins, as the contract of the model has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchcast.steps.contract.request import PLAIN_REQUEST, Request
from batchcast.steps.contract.series import ITEM_ID_KEY
from batchcast.steps.shards.request_text import BODY_KEY


def with_request(job: Mapping[str, Any], request: Request = PLAIN_REQUEST) -> dict[str, Any]:
    """The arguments of a transform job with what the contract's `[request]` decides."""
    parts = transform_request(request)
    kept = {key: value for key, value in job.items() if key not in ("BatchStrategy", "DataProcessing")}
    return {
        **kept,
        **{key: value for key, value in parts.items() if key in ("BatchStrategy", "DataProcessing")},
        "TransformInput": {**_without(job["TransformInput"], "SplitType"), **parts["TransformInput"]},
        "TransformOutput": {**_without(job["TransformOutput"], "AssembleWith"), **parts["TransformOutput"]},
    }


def transform_request(request: Request) -> dict[str, Any]:
    """The parts of CreateTransformJob that follow from the request.

    In lines, one line is one request and its answer one line. The join carries the ids past the model, and the output
    filter drops the history; without it the bytes of a line are sent as they are. An object of its own is not split.
    """
    parts: dict[str, Any] = {
        "TransformInput": {"ContentType": request.content_type},
        "TransformOutput": {"Accept": request.accept},
    }
    if request.mode == "line":
        parts["BatchStrategy"] = "SingleRecord"
        parts["TransformInput"]["SplitType"] = "Line"
        parts["TransformOutput"]["AssembleWith"] = "Line"
    if request.enveloped:
        parts["DataProcessing"] = {
            "InputFilter": f"$.{BODY_KEY}",
            "OutputFilter": f"$['{ITEM_ID_KEY}','SageMakerOutput']",
            "JoinSource": "Input",
        }
    return parts


def _without(section: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in section.items() if name != key}
