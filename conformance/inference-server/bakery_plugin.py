"""The bakery model as a user of `inference-server` writes it: hooks of a plugin, found by its entry point."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from inference_server import BatchStrategy, MIMEAccept, plugin_hook
from lightgbm import Booster
from werkzeug.exceptions import BadRequest

import forecast

__all__ = [
    "batch_strategy",
    "input_fn",
    "max_concurrent_transforms",
    "max_payload_in_mb",
    "model_fn",
    "output_fn",
    "predict_fn",
]

# A container has it under /opt/ml/model, which the server passes to `model_fn`.
MODEL = Path(forecast.__file__).with_name("model.txt")


@plugin_hook
def model_fn(model_dir: str) -> Any:
    """The trained model."""
    del model_dir
    return partial(Booster(model_file=MODEL).predict, num_threads=1)


@plugin_hook
def input_fn(input_data: bytes, content_type: str) -> bytes:
    """The body as it came: `forecast` reads it."""
    del content_type
    return input_data


@plugin_hook
def predict_fn(data: bytes, model: Any) -> str:
    """The answer to a request. A bad record is answered with 400."""
    try:
        return forecast.answer(model, data)
    except forecast.BadRequestError as error:
        raise BadRequest(str(error)) from error


@plugin_hook
def output_fn(prediction: str, accept: MIMEAccept) -> tuple[bytes, str]:
    """The answer's bytes and their type."""
    del accept
    return prediction.encode(), "application/json"


@plugin_hook
def batch_strategy() -> BatchStrategy:
    """One record a request."""
    return BatchStrategy.SINGLE_RECORD


@plugin_hook
def max_concurrent_transforms() -> int:
    """As many requests at once as gunicorn has workers."""
    return 2


@plugin_hook
def max_payload_in_mb() -> int:
    """The largest request."""
    return 6
