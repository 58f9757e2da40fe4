"""What the gate is tried with: a clean weekly run, and the ways in which its forecasts are damaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from batchcast.steps.outcome.comparison import Comparison

Array = npt.NDArray[np.float64]
Damage = Callable[["Week", Array, np.random.Generator], Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """One clean run, items x steps: its forecast, that of the run before at the same steps, and what it is held to.

    Runs are `apart` steps apart.
    """

    run_date: date
    forecast: Array
    last: Array
    compared: Comparison
    actual: Array
    apart: int


def some(share: float, factor: float) -> Damage:
    def damage(_week: Week, values: Array, chance: np.random.Generator) -> Array:
        chosen = chance.random(len(values)) < share
        return np.where(chosen[:, None], values * factor, values)

    return damage


def _shuffled(_week: Week, values: Array, chance: np.random.Generator) -> Array:
    return chance.permuted(values, axis=1)


def _noise(share: float) -> Damage:
    return lambda _week, values, chance: np.maximum(values * chance.normal(1, share, values.shape), 0)


def _zeros_after(share: float) -> Damage:
    return lambda _week, values, _chance: np.where(np.arange(values.shape[1]) < share * values.shape[1], values, 0.0)


def _drift(daily: float) -> Damage:
    return lambda _week, values, _chance: values * (1 + daily) ** np.arange(values.shape[1])


def _steps(shift: int) -> Damage:
    return lambda _week, values, _chance: np.roll(values, shift, axis=1)


def _times(factor: float) -> Damage:
    return lambda _week, values, _chance: values * factor


DAMAGES: dict[str, Damage] = {
    **{f"x{factor:g}": _times(factor) for factor in (100, 10, 2.1, 1.9, 1.5, 1.3, 1.2, 0.8, 0.7, 0.55, 0.1, 0.01)},
    "logarithm not undone": lambda _w, v, _c: np.log1p(v),
    "exponential of it": lambda _w, v, _c: np.expm1(np.minimum(v, 12)),
    "square root": lambda _w, v, _c: np.sqrt(v),
    "plus the mean of all": lambda _w, v, _c: v + v.mean(),
    "one step early": _steps(-1),
    "one step late": _steps(1),
    "two steps early": _steps(-2),
    "three steps late": _steps(3),
    "reversed": lambda _w, v, _c: v[:, ::-1],
    "steps shuffled, each item its way": _shuffled,
    "steps shuffled, all the same way": lambda _w, v, c: v[:, c.permutation(v.shape[1])],
    "constant: each item's mean": lambda _w, v, _c: np.repeat(v.mean(axis=1, keepdims=True), v.shape[1], axis=1),
    "constant: each item's first step": lambda _w, v, _c: np.repeat(v[:, :1], v.shape[1], axis=1),
    "the neighbour's values": lambda _w, v, _c: np.roll(v, 1, axis=0),
    "items in another order": lambda _w, v, c: c.permutation(v, axis=0),
    "every item the mean item": lambda _w, v, _c: np.repeat(v.mean(axis=0, keepdims=True), len(v), axis=0),
    "zeros": lambda _w, v, _c: np.zeros_like(v),
    "zeros after a quarter": _zeros_after(0.25),
    "zeros after a half": _zeros_after(0.5),
    "peaks cut at each item's median": lambda _w, v, _c: np.minimum(v, np.median(v, axis=1, keepdims=True)),
    "5 % more each step": _drift(0.05),
    "5 % less each step": _drift(-0.05),
    "noise of 20 %": _noise(0.2),
    "noise of 50 %": _noise(0.5),
    "20 % of the items x3": some(0.2, 3),
    "20 % of the items x0": some(0.2, 0),
    "5 % of the items x5": some(0.05, 5),
    "last run sent again": lambda w, _v, _c: w.last,
    "last run moved by a week": lambda w, _v, _c: np.concatenate([w.last[:, w.apart :], w.last[:, -w.apart :]], axis=1),
    "the actual values": lambda w, _v, _c: np.nan_to_num(w.actual),
    "the last season once more": lambda w, _v, _c: w.compared.naive[:, :, 0],
    "negative values": lambda _w, v, _c: -v,
}
OF_DAYS: dict[str, Damage] = {
    "weekends left out": lambda _w, v, _c: np.where(np.arange(v.shape[1]) % 7 < 5, v, 0.0),
    "first week repeated from its 3rd day": lambda _w, v, _c: np.tile(v[:, 2:9], 5)[:, : v.shape[1]],
}

NOT_IN_HISTORY = {
    "x1.3": "a level less than half as high again, or a fifth lower",
    "x1.2": "a level less than half as high again, or a fifth lower",
    "x0.8": "a level less than half as high again, or a fifth lower",
    "5 % of the items x5": "few items among many",
    "last run sent again": "what was right a week ago",
    "last run moved by a week": "what was right a week ago",
    "the last season once more": "what a naive model says",
}
"""Damage that no history contradicts, and why."""
_ORDER, _WITHIN = (
    "any order of the steps",
    "a change of the steps that is less than the history's own from step to step",
)
NOT_WITHOUT_SEASON = {
    "one step early": _ORDER,
    "one step late": _ORDER,
    "two steps early": _ORDER,
    "three steps late": _ORDER,
    "reversed": _ORDER,
    "steps shuffled, each item its way": _ORDER,
    "steps shuffled, all the same way": _ORDER,
    "constant: each item's mean": "what a model without a season says",
    "constant: each item's first step": "what a model without a season says",
    "peaks cut at each item's median": _WITHIN,
    "5 % more each step": _WITHIN,
    "5 % less each step": _WITHIN,
    "noise of 20 %": _WITHIN,
}
"""The same of a history whose contract declares no season."""
