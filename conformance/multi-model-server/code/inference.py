"""The bakery model as a user of `sagemaker-inference` writes it: functions that the toolkit finds by their names."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from lightgbm import Booster

import forecast

__all__ = ["model_fn", "transform_fn"]


def model_fn(model_dir: str) -> Any:
    """The trained model of the model directory."""
    return partial(Booster(model_file=Path(model_dir) / "model.txt").predict, num_threads=1)


def transform_fn(model: Any, body: str, content_type: str, accept: str) -> tuple[str, str]:
    """The answer to a request. What a bad record raises, the toolkit answers with 500."""
    del content_type
    return forecast.answer(model, body.encode()), accept
