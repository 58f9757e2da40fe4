"""What every imitated container answers: the mean of the last four values, one more each step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "QUANTILES",
    "RefusedError",
    "Reply",
    "Trained",
    "expect",
    "mean_forecast",
    "numbers",
    "quantile_forecasts",
]

QUANTILES = ("0.1", "0.5", "0.9")


class RefusedError(Exception):
    """The container does not take the request; `status` is what it answers."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What was fixed when the model was trained: steps ahead, values of a window, dynamic features, categories."""

    steps: int = 6
    window: int = 8
    features: int = 0
    categories: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The body of an answer and its content type."""

    body: bytes
    content_type: str = "application/json"


def mean_forecast(target: Sequence[float | None], steps: int) -> list[float]:
    """The mean of the last four values that are there, plus 1 for the first step, plus 2 for the second …"""
    known = [value for value in target if value is not None][-4:]
    if not known:
        raise RefusedError("a series without a value cannot be forecast")
    level = math.fsum(known) / len(known)
    return [round(level + step, 6) for step in range(1, steps + 1)]


def quantile_forecasts(target: Sequence[float | None], steps: int) -> dict[str, list[float]]:
    """Level to its forecasts: 0.1 is half of the mean forecast, 0.9 one and a half times as much."""
    mean = mean_forecast(target, steps)
    return {level: [round(value * (0.375 + 1.25 * float(level)), 6) for value in mean] for level in QUANTILES}


def expect(value: object, where: str, *, required: Sequence[str], optional: Sequence[str] = ()) -> Mapping[str, object]:
    """The object, which has every required key and none that nobody knows."""
    if not isinstance(value, dict):
        raise RefusedError(f"{where} is not an object")
    missing, unknown = set(required) - value.keys(), value.keys() - {*required, *optional}
    if missing or unknown:
        raise RefusedError(f"{where}: missing {sorted(missing)}, unknown {sorted(unknown)}")
    return value


def numbers(value: object, where: str, *, length: int | None = None, nan_text: bool = False) -> list[float | None]:
    """A list of numbers, nulls and, where the container takes it, the text NaN."""
    if not isinstance(value, list):
        raise RefusedError(f"{where} is not a list")
    if length is not None and len(value) != length:
        raise RefusedError(f"{where} has {len(value)} values, not {length}")
    return [_number(one, f"{where}[{place}]", nan_text) for place, one in enumerate(value)]


def _number(value: object, where: str, nan_text: bool) -> float | None:
    if value is None or (nan_text and value == "NaN"):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RefusedError(f"{where} is {value!r}, not a number")
    return float(value)
