"""Pinball loss and coverage against a plain computation with pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from batchcast.steps.contract.outputs import Output, Outputs
from batchcast.steps.outcome.quantile_scores import pinball, score_quantiles

LEVELS = (0.1, 0.5, 0.9)
OUTPUTS = Outputs(columns=tuple(Output(name=f"p{level}", path="x", target="sales", quantile=level) for level in LEVELS))
numbers = st.floats(-1e6, 1e6, width=32) | st.just(float("nan"))


def reference(values: np.ndarray, actual: np.ndarray) -> tuple[dict[float, float], float]:
    """Row by row, as the definition reads."""
    rows = pd.DataFrame({level: values[:, :, place].ravel() for place, level in enumerate(LEVELS)})
    rows["actual"] = actual[:, :, 0].ravel()
    rows = rows.dropna()
    losses = {}
    for level in LEVELS:
        above = level * (rows["actual"] - rows[level])
        below = (1 - level) * (rows[level] - rows["actual"])
        losses[level] = float(above.where(rows["actual"] >= rows[level], below).mean())
    return losses, float(rows["actual"].between(rows[0.1], rows[0.9]).mean())


@given(arrays(np.float64, (3, 4, 3), elements=numbers), arrays(np.float64, (3, 4, 1), elements=numbers))
def test_losses_and_coverage_are_those_of_the_definition(values: np.ndarray, actual: np.ndarray) -> None:
    # A forecast is there whole or not at all.
    values[np.isnan(values).any(axis=2)] = np.nan
    found = score_quantiles(values, actual, OUTPUTS, ["sales"])
    if not (np.isfinite(values).all(axis=2) & np.isfinite(actual[:, :, 0])).any():
        assert found is None
        return
    losses, covered = reference(values, actual)
    assert found is not None
    scored = found["sales"]
    assert list(scored["pinball"].values()) == pytest.approx(list(losses.values()), abs=1e-5, rel=1e-6)
    assert scored["mean_pinball"] == pytest.approx(sum(losses.values()) / 3, abs=1e-5, rel=1e-6)
    assert scored["coverage"] == {"low": 0.1, "high": 0.9, "expected": 0.8, "found": pytest.approx(covered, abs=1e-6)}


def test_the_median_costs_half_the_absolute_error() -> None:
    assert pinball(np.array([1.0, 5.0]), np.array([3.0, 1.0]), 0.5).mean() == 1.5


def test_points_alone_have_no_quantile_scores() -> None:
    points = Outputs(columns=(Output(name="sales", path="x", target="sales"),))
    assert score_quantiles(np.ones((2, 2, 1)), np.ones((2, 2, 1)), points, ["sales"]) is None
