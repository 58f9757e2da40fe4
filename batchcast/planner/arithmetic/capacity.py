"""How much work a server does with m requests in flight, in units of its speed with one.

Two shapes are fitted to measured levels, each with and without its decline, and the best by AICc is kept:

    knee    min(m, K) / (1 + b max(0, m - K))        workers or cores that are busy or not
    usl     m / (1 + s (m - 1) + k m (m - 1))        contention and coherence (Gunther's universal scalability law)

Where neither describes the server the measured points are used as they are. A curve is never read beyond the largest
concurrency that was measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from batchcast.steps.errors import ConfigError, Problem

if TYPE_CHECKING:
    from batchcast.pipelines.tuning import CapacityKind, Curve

Array = npt.NDArray[np.float64]
# Above this error neither shape describes the server.
MAX_RMSE_PERCENT = 5.0
# Beyond the physical cores a hyper-thread adds about a quarter of a core (CPU-bound models; unmeasured: an assumption).
HYPER_THREAD_SHARE = 0.25
# No throughput is measured better than this, so that a perfect fit of four points is not taken for certainty.
_SMALLEST_ERROR = 0.005
_GRID_POINTS = 33
_ZOOMS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """One measured level: `items_per_second` with `concurrency` requests in flight, `relative_error` one sigma."""

    concurrency: int
    items_per_second: float
    relative_error: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """A capacity curve. `theta` are its parameters; `max_tested` is None where nothing was measured.

    ideal: () · assumed: (cores, vcpus) · knee: (K, b) · usl: (s, k) · measured: (m1, c1, m2, c2, …).
    """

    kind: CapacityKind
    theta: tuple[float, ...] = ()
    max_tested: int | None = None
    items_per_second_alone: float | None = None
    rmse_percent: float | None = None

    def at(self, concurrency: float) -> float:
        """Work done at once, 1.0 with one request in flight. Raises ConfigError beyond the largest level measured."""
        if self.max_tested is not None and concurrency > self.max_tested:
            what = f"{concurrency:g} requests at once were never measured; the largest level is {self.max_tested}."
            remedy = f"Measure it: tune --levels 1,2,4,…,{concurrency:g}."
            raise ConfigError(Problem("concurrency_untested", what, remedy=remedy))
        return float(_SHAPES[self.kind](np.array([concurrency], dtype=np.float64), self.theta)[0])

    def table(self, largest: int) -> list[float]:
        """`at(1) … at(largest)`, the last measured value repeated beyond it."""
        tested = largest if self.max_tested is None else min(largest, self.max_tested)
        return [self.at(min(m, tested)) for m in range(1, largest + 1)]


def ideal_capacity() -> Capacity:
    """Every request is answered as fast as if it were alone: what the plain formula takes for granted."""
    return Capacity(kind="ideal")


def capacity_of(curve: Curve) -> Capacity:
    return Capacity(kind=curve.kind, theta=curve.theta, max_tested=curve.max_tested, rmse_percent=curve.rmse_pct)


def assumed_capacity(cores: int, vcpus: int) -> Capacity:
    """A model that nobody measured, one busy thread a request: a core each, then a quarter, then nothing more."""
    return Capacity(kind="assumed", theta=(float(cores), float(vcpus)))


def fit_capacity(levels: Sequence[Throughput]) -> Capacity:
    """The curve through measured levels. Raises ConfigError without level 1, the unit of all others."""
    if min((level.concurrency for level in levels), default=0) != 1:
        what = "a capacity curve begins with one request in flight, and that was not measured."
        raise ConfigError(Problem("levels", what, remedy="Measure for example 1,2,4,8,16."))
    ordered = sorted(levels, key=lambda level: level.concurrency)
    data = _Data(
        m=np.array([level.concurrency for level in ordered], dtype=np.float64),
        log_rate=np.log([level.items_per_second for level in ordered]),
        weight=np.array([max(level.relative_error, _SMALLEST_ERROR) for level in ordered]) ** -2.0,
    )
    largest = ordered[-1].concurrency
    fits = [_fit(data, "knee", (1.0, float(largest)), (0.0, high)) for high in (0.0, 1.0)]
    fits += [_fit(data, "usl", (0.0, 1.0), (0.0, high)) for high in (0.0, 0.25)]
    _, best = min(fits, key=lambda fit: fit[0])
    if largest > 1 and (best.rmse_percent or 0.0) <= MAX_RMSE_PERCENT:
        return best
    alone = ordered[0].items_per_second
    points = [value for level in ordered for value in (float(level.concurrency), level.items_per_second / alone)]
    return Capacity(
        kind="measured", theta=tuple(points), max_tested=largest, items_per_second_alone=alone, rmse_percent=0.0
    )


_SHAPES: dict[CapacityKind, Callable[[Array, Sequence[Any]], Array]] = {
    "ideal": lambda m, _: m,
    "assumed": lambda m, t: np.minimum(m, t[0]) + HYPER_THREAD_SHARE * np.maximum(0.0, np.minimum(m, t[1]) - t[0]),
    "knee": lambda m, t: np.minimum(m, t[0]) / (1 + t[1] * np.maximum(0.0, m - t[0])),
    "usl": lambda m, t: m / (1 + t[0] * (m - 1) + t[1] * m * (m - 1)),
    "measured": lambda m, t: np.interp(m, t[0::2], t[1::2]),
}


class _Data(NamedTuple):
    m: Array
    log_rate: Array
    weight: Array


def _fit(data: _Data, kind: CapacityKind, *bounds: tuple[float, float]) -> tuple[float, Capacity]:
    """Weighted least squares of the logarithms, on a grid of the two parameters that zooms in on its best point.

    Bounds (0, 0) switch the second parameter off. The first is Akaike's criterion: the smaller, the better.
    """
    spans = list(bounds)
    theta, cost, alone = (0.0, 0.0), math.inf, 0.0
    for _ in range(_ZOOMS):
        axes = [np.linspace(low, high, _GRID_POINTS if high > low else 1) for low, high in spans]
        first, second = np.meshgrid(*axes, indexing="ij")
        residual = data.log_rate - np.log(_SHAPES[kind](data.m, (first[..., None], second[..., None])))
        level = (residual * data.weight).sum(axis=-1) / data.weight.sum()
        costs = (data.weight * (residual - level[..., None]) ** 2).sum(axis=-1)
        at = np.unravel_index(int(costs.argmin()), costs.shape)
        if costs[at] < cost:
            theta, cost, alone = (float(first[at]), float(second[at])), float(costs[at]), math.exp(level[at])
        spans = [_around(value, span, bound) for value, span, bound in zip(theta, spans, bounds, strict=True)]
    fitted = alone * _SHAPES[kind](data.m, theta)
    rmse = float(np.sqrt(np.mean((np.exp(data.log_rate) / fitted - 1) ** 2)))
    free = 3 if bounds[1][1] > 0 else 2
    return _aicc(cost, len(data.m), free), Capacity(
        kind=kind,
        theta=theta,
        max_tested=int(data.m[-1]),
        items_per_second_alone=alone,
        rmse_percent=100 * rmse,
    )


def _aicc(chi_square: float, points: int, free: int) -> float:
    """Akaike's criterion for few points; with too few for its correction the plain penalty is doubled."""
    room = points - free - 1
    return chi_square + 2 * free + (2 * free * (free + 1) / room if room > 0 else 2.0 * free * (free + 1))


def _around(value: float, span: tuple[float, float], bound: tuple[float, float]) -> tuple[float, float]:
    reach = (span[1] - span[0]) / 6
    return max(bound[0], value - reach), min(bound[1], value + reach)
