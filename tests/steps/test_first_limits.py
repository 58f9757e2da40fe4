"""Sensible forecasts of unlike histories are published on the first and second run, and gross damage is not.

What the gate's fixed limits are worth beyond the two samples: histories without a season, with one level for all items,
of slow sellers, that wander or are negative, with the simplest models that teams really use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date

import numpy as np
import pytest

from batchcast.steps.checks.flags import find_flags
from batchcast.steps.checks.gate import Past, gate_flags, measure_run
from batchcast.steps.contract.checks import CHECKS
from batchcast.steps.outcome.comparison import Array, Comparison
from batchcast.steps.outcome.last_run import LastRun

ITEMS, STEPS, HORIZON, WEEK, PAST = 200, 420, 28, 7, 35


def history(kind: str, chance: np.random.Generator) -> Array:
    """Items x steps."""
    step = np.arange(STEPS)
    level = np.exp(chance.normal(3, 1, (ITEMS, 1)))
    noise = chance.normal(size=(ITEMS, STEPS))
    found: dict[str, Callable[[], Array]] = {
        "one level": lambda: 100 + 10 * noise,
        "many levels": lambda: level * (1 + 0.2 * noise),
        "a weak week": lambda: level * (1 + 0.05 * np.sin(2 * np.pi * step / WEEK)) * (1 + 0.3 * noise),
        "each item wanders": lambda: level * np.exp(np.cumsum(0.05 * noise, axis=1)),
        "all wander": lambda: level * np.exp(np.cumsum(0.02 * noise[:1], axis=1)) * (1 + 0.1 * noise),
        "growing": lambda: level * (1 + step / 200) * (1 + 0.1 * noise),
        "slow sellers": lambda: chance.poisson(np.minimum(level / 60, 1.5), (ITEMS, STEPS)).astype(float),
        "around zero": lambda: 5 + 10 * noise,
        "a strong week": lambda: level * (1 + 0.4 * np.sin(2 * np.pi * step / WEEK)) * (1 + 0.2 * noise),
    }
    return found[kind]()


def forecasts(model: str, past: Array) -> Array:
    recent = past[:, -28:]
    if model == "usual week":
        week = np.stack([recent[:, day::WEEK].mean(axis=1) for day in range(WEEK)], axis=1)
        return np.tile(week, (1, HORIZON // WEEK))
    if model == "smoothed":
        level = past[:, 0]
        for step in range(1, past.shape[1]):
            level = level + 0.1 * (past[:, step] - level)
    else:
        level = np.median(recent, axis=1) if model == "median" else recent.mean(axis=1)
    return np.repeat(level[:, None], HORIZON, axis=1)


def runs(past: Array, now: Array, before: Array, season: int) -> Iterator[set[str]]:
    """What holds the forecasts `now`, as a first run and after that of a week `before`."""
    naive = np.tile(past[:, -season:], (1, -(-HORIZON // season)))[:, :HORIZON, None]
    known = past[:, -PAST:, None]
    compared = Comparison(
        naive=naive,
        actual=np.full_like(naive, np.nan),
        scale=np.abs(past[:, -28:]).mean(axis=1, keepdims=True),
        before=known,
        season=season,
    )
    nothing = np.full((len(past), HORIZON, 1), np.nan)
    moved = nothing.copy()
    moved[:, :-WEEK, 0] = before[:, WEEK:]
    last = LastRun(run_id="last", run_date=date(2026, 1, 4), items=len(past), columns=(), files=(), manifest={})
    for run, by_date, by_step in ((None, nothing, nothing), (last, moved, before[:, :, None])):
        held = Past(run=run, by_date=by_date, by_step=by_step)
        measured = measure_run(now[:, :, None], compared, held, ["y"])
        names = [str(item) for item in range(len(past))]
        flags = gate_flags(measured, now[:, :, None], held, names, ["y"])
        flags += find_flags(names, now[:, :, None], compared, by_step, ["y"])
        yield {flag.kind for flag in flags if CHECKS[flag.kind].severity == "hold" and not flag.item_id}


KINDS = ["one level", "many levels", "a weak week", "each item wanders", "all wander", "growing", "slow sellers"]


FLAT = [(kind, model, season) for kind in KINDS for model in ("mean", "median", "smoothed") for season in (1, WEEK)]
# The mean of four days of a slow seller changes by a third each week.
OF_WEEKS = [(kind, "usual week", WEEK) for kind in KINDS if kind != "slow sellers"]


@pytest.mark.parametrize(("kind", "model", "season"), [*FLAT, *OF_WEEKS])
def test_a_sensible_forecast_is_not_held(kind: str, model: str, season: int) -> None:
    held = []
    for seed in range(3):
        past = history(kind, np.random.default_rng(seed))
        now, before = forecasts(model, past), forecasts(model, past[:, :-WEEK])
        held += list(runs(past, now, before, season))
    assert held == [set()] * 6


@pytest.mark.parametrize("model", ["mean", "median", "usual week"])
def test_values_around_zero_have_no_level_that_a_first_run_could_miss(model: str) -> None:
    past = history("around zero", np.random.default_rng(0))
    first, _ = runs(past, forecasts(model, past), forecasts(model, past[:, :-WEEK]), WEEK)
    assert first == set()


@pytest.mark.parametrize("kind", [*KINDS, "a strong week"])
def test_damage_to_the_same_forecasts_is_held(kind: str) -> None:
    past = history(kind, np.random.default_rng(0))
    now, before = forecasts("usual week", past), forecasts("usual week", past[:, :-WEEK])
    damaged = {"x100": now * 100, "x3": now * 3, "x0.2": now * 0.2, "negative": -now}
    if kind in ("many levels", "a strong week"):
        damaged["another item's"] = np.roll(now, 1, axis=0)
    if kind == "a strong week":
        damaged |= {"a day early": np.roll(now, -1, axis=1), "one value": forecasts("mean", past)}
    for name, values in damaged.items():
        first, second = runs(past, values, before, WEEK)
        assert first, f"{name}: the first run"
        assert second, f"{name}: the second run"


@pytest.mark.parametrize("kind", ["many levels", "growing", "a strong week"])
def test_a_second_run_is_held_for_what_the_totals_do_not_show(kind: str) -> None:
    past, chance = history(kind, np.random.default_rng(0)), np.random.default_rng(1)
    now, before = forecasts("usual week", past), forecasts("usual week", past[:, :-WEEK])
    few = np.argsort(now.sum(axis=1))[ITEMS // 2 :: 10]
    damaged = {
        "steps in another order, each item its way": chance.permuted(now, axis=1),
        "cut at its median": np.minimum(now, np.median(now, axis=1, keepdims=True)),
        "ten items of two hundred x5": np.where(np.isin(np.arange(ITEMS), few)[:, None], 5 * now, now),
    }
    for name, values in damaged.items():
        _, second = runs(past, values, before, WEEK)
        assert second & {"last_run_change", "last_run_shape"}, name


def test_one_item_that_a_promotion_multiplies_does_not_hold_a_second_run() -> None:
    past = history("many levels", np.random.default_rng(0))
    now, before = forecasts("usual week", past), forecasts("usual week", past[:, :-WEEK])
    now[np.argsort(now.sum(axis=1))[ITEMS - 20]] *= 4
    _, second = runs(past, now, before, WEEK)
    assert second == set()


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_of_one_item_or_few_is_held_for_a_wrong_unit_or_sign_alone(kind: str) -> None:
    past = history(kind, np.random.default_rng(0))
    sold = past[past[:, -28:].min(axis=1) > 0] if kind != "slow sellers" else past[past[:, -28:].mean(axis=1) > 1]
    for items in (1, 3, 12):
        few = sold[-items:]
        now, before = forecasts("mean", few), forecasts("mean", few[:, :-WEEK])
        assert list(runs(few, now, before, WEEK)) == [set(), set()]
        for damaged in (now * 100, now / 100, -now, now * 0 if kind != "slow sellers" else now * 100):
            assert list(runs(few, damaged, before, WEEK)) == [{"run_scale"}, {"run_scale"}]
        # The history has another unit, or sign, and the forecasts follow it.
        for factor in (1000, -1):
            assert list(runs(few * factor, now * factor, before, WEEK)) == [set(), {"run_scale"}]


def test_half_of_the_items_do_not_hold_a_run_of_few() -> None:
    few = history("many levels", np.random.default_rng(0))[:4]
    now, before = forecasts("mean", few), forecasts("mean", few[:, :-WEEK])
    for items, held in ((2, set()), (3, {"run_scale"})):
        damaged = np.where(np.arange(4)[:, None] < items, now * 100, now)
        assert list(runs(few, damaged, before, WEEK)) == [held, held]
