from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcast.planner.arithmetic.capacity import Capacity, Throughput, assumed_capacity, fit_capacity, ideal_capacity
from batchcast.steps.errors import ConfigError

LEVELS = (1, 2, 3, 4, 6, 8, 12, 16)


def levels_of(truth: Capacity, *, alone: float = 0.5, noise: float = 0.0, seed: int = 1) -> list[Throughput]:
    errors = np.random.default_rng(seed).normal(0, noise, len(LEVELS)) if noise else np.zeros(len(LEVELS))
    return [
        Throughput(concurrency=m, items_per_second=alone * truth.at(m) * float(np.exp(e)), relative_error=noise)
        for m, e in zip(LEVELS, errors, strict=True)
    ]


@pytest.mark.parametrize(
    "truth",
    [
        Capacity(kind="knee", theta=(4.0, 0.0)),
        Capacity(kind="knee", theta=(1.0, 0.0)),
        Capacity(kind="knee", theta=(6.0, 0.05)),
        Capacity(kind="usl", theta=(0.05, 0.01)),
        Capacity(kind="usl", theta=(0.3, 0.0)),
    ],
    ids=str,
)
def test_a_known_curve_is_found_again(truth: Capacity) -> None:
    found = fit_capacity(levels_of(truth, noise=0.01))
    assert found.kind == truth.kind
    assert [found.at(m) for m in LEVELS] == pytest.approx([truth.at(m) for m in LEVELS], rel=0.04)
    assert found.items_per_second_alone == pytest.approx(0.5, rel=0.03)


def test_a_sharp_knee_is_not_smoothed_into_the_scalability_law() -> None:
    found = fit_capacity(levels_of(Capacity(kind="knee", theta=(4.0, 0.0)), noise=0.01))
    assert found.at(4) == pytest.approx(4.0, rel=0.03)
    assert found.at(16) == pytest.approx(4.0, rel=0.03)


def test_a_server_that_neither_shape_describes_keeps_its_measured_points() -> None:
    rates = {1: 1.0, 2: 1.1, 4: 3.9, 8: 1.0, 16: 5.0}
    found = fit_capacity([Throughput(concurrency=m, items_per_second=r) for m, r in rates.items()])
    assert found.kind == "measured"
    assert [found.at(m) for m in rates] == pytest.approx(list(rates.values()))
    assert found.at(3) == pytest.approx(2.5)


@given(k=st.floats(1, 16), alone=st.floats(0.01, 1000))
def test_the_curve_never_leaves_the_measured_range(k: float, alone: float) -> None:
    found = fit_capacity(levels_of(Capacity(kind="knee", theta=(k, 0.0)), alone=alone))
    assert found.at(16) == pytest.approx(k, rel=0.02)
    with pytest.raises(ConfigError, match=r"17 requests at once were never measured; the largest level is 16"):
        found.at(17)
    assert found.table(20)[15:] == [found.at(16)] * 5


def test_two_levels_are_enough_for_a_curve_and_one_is_enough_for_itself() -> None:
    found = fit_capacity([Throughput(concurrency=1, items_per_second=2), Throughput(concurrency=2, items_per_second=4)])
    assert found.at(2) == pytest.approx(2.0, rel=0.02)
    alone = fit_capacity([Throughput(concurrency=1, items_per_second=2)])
    assert (alone.kind, alone.at(1), alone.max_tested) == ("measured", 1.0, 1)
    for levels in ([], [2, 4]):
        with pytest.raises(ConfigError, match="begins with one request in flight"):
            fit_capacity([Throughput(concurrency=m, items_per_second=1.0) for m in levels])


def test_an_unmeasured_model_is_taken_to_fill_cores_then_hyper_threads() -> None:
    assert assumed_capacity(8, 16).table(20) == [1, 2, 3, 4, 5, 6, 7, 8, 8.25, 8.5, 8.75, 9, 9.25, 9.5, 9.75] + [10] * 5


def test_the_ideal_has_no_limit() -> None:
    assert ideal_capacity().at(1000) == 1000
