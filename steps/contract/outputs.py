"""`[answer]` of `model.toml`: where forecast and error lie in an answer of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batchcast.steps.contract.series import Series
from batchcast.steps.contract.toml_table import TomlTable

__all__ = ["Answer", "read_answer_shape"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Where the forecast and the error lie in the model's answer.

    Either `rows` names a list of objects with `date` and one key a target (`targets`: target column to key), or
    `arrays` names one array a target whose dates are implied. An answer with the key `error` is a failed record.
    `minimum` and `maximum` bound every forecast value; each list of `quantiles` names keys that must not decrease.
    """

    rows: str | None = None
    date: str | None = None
    targets: Mapping[str, str]
    arrays: Mapping[str, str]
    error: str = "error"
    minimum: float | None = None
    maximum: float | None = None
    quantiles: tuple[tuple[str, ...], ...] = ()


def read_answer_shape(table: TomlTable, series: Series) -> Answer:
    by_row = "arrays" not in table
    answer = Answer(
        rows=table.text("rows") if by_row else None,
        date=table.text("date") if by_row else None,
        targets=table.mapping("targets") if by_row else {},
        arrays={} if by_row else table.mapping("arrays"),
        error=table.text("error", default="error"),
        minimum=table.number("minimum"),
        maximum=table.number("maximum"),
        quantiles=table.text_lists("quantiles"),
    )
    forecast: dict[str, Any] = dict(answer.targets or answer.arrays)
    for column in series.targets:
        if column not in forecast:
            table.problem(f"nothing says where the forecast of {column!r} is.", "Add it to targets (or arrays).")
    for column in forecast:
        if column not in series.targets:
            table.problem(f"{column!r} is not a target.", f"The targets are {', '.join(series.targets)}.")
    if answer.minimum is not None and answer.maximum is not None and answer.minimum > answer.maximum:
        table.problem(f"minimum {answer.minimum} is above maximum {answer.maximum}.", "Exchange them.")
    return answer
