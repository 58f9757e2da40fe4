"""How much damage the gate holds, and how often it holds a clean run: weekly runs of the bakery, damaged one by one.

    python benchmarks/gate.py                # a minute; writes benchmarks/results/gate.md
    python benchmarks/gate.py --weeks 20     # a look, written nowhere

The forecasts are those of the sample's own model at run dates a week apart, computed without the pipeline. Each run is
measured against the one before, with the measures of the clean runs before it, as the publishing step does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import lightgbm
import numpy as np
import numpy.typing as npt
import pandas as pd

REPOSITORY = Path(__file__).resolve().parents[1]
SAMPLE = REPOSITORY / "examples" / "bakery"
sys.path[:0] = [str(REPOSITORY), str(SAMPLE)]

from batchcast.steps.checks.gate import Past, RunMeasures, gate_flags, measure_run  # noqa: E402
from batchcast.steps.contract.checks import CHECKS  # noqa: E402
from batchcast.steps.outcome.comparison import Comparison  # noqa: E402
from batchcast.steps.outcome.last_run import GATE_PAIRS, LastRun  # noqa: E402
from features import KNOWN, Panel, day_features  # noqa: E402

RESULTS = REPOSITORY / "benchmarks" / "results" / "gate.md"
HORIZON, WEEK, SCALE_DAYS = 31, 7, 28
WEEKS = 112
Array = npt.NDArray[np.float64]
Damage = Callable[["Week", Array, np.random.Generator], Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """One clean run, items x days: its forecast, that of the run before at the same steps, and what it is held to."""

    run_date: date
    forecast: Array
    last: Array
    naive: Array
    actual: Array
    scale: Array


def read_panel() -> tuple[Panel, list[str]]:
    """The whole history, an item a row."""
    frame = pd.concat(pd.read_parquet(path) for path in sorted((SAMPLE / "history").glob("*.parquet")))
    frame["item"] = frame["store"].astype(str) + "/" + frame["product"].astype(str)
    frame["date"] = pd.to_datetime(frame["date"])
    days = pd.date_range(frame["date"].min(), frame["date"].max())
    tables = {
        name: frame.pivot_table(index="item", columns="date", values=name, aggfunc="max").reindex(columns=days)
        for name in ("sales", *KNOWN)
    }
    known = {name: tables[name].to_numpy(dtype=np.float64) for name in KNOWN}
    sales = tables["sales"]
    return Panel(first_day=days[0].date(), sales=sales.to_numpy(dtype=np.float64), known=known), list(sales.index)


def forecast_from(panel: Panel, end: int, booster: lightgbm.Booster) -> Array:
    """The model's forecast of the HORIZON days from column `end` on."""
    sales = panel.sales[:, : end + HORIZON].copy()
    sales[:, end:] = np.nan
    growing = Panel(first_day=panel.first_day, sales=sales, known=panel.known)
    for day in range(end, end + HORIZON):
        features, level = day_features(growing, day)
        sales[:, day] = np.maximum(booster.predict(features, num_threads=1) * level, 0.0)
    return np.round(sales[:, end:], 2)


def weeks_of(panel: Panel, weeks: int) -> list[Week]:
    """The last runs of the history that have all actual values, the oldest first."""
    booster = lightgbm.Booster(model_file=str(SAMPLE / "model.txt"))
    ends = [panel.sales.shape[1] - HORIZON - WEEK * number for number in range(weeks, -1, -1)]
    forecasts = [forecast_from(panel, end, booster) for end in ends]
    found = []
    for end, last, forecast in zip(ends[1:], forecasts[:-1], forecasts[1:], strict=True):
        history = np.nan_to_num(panel.sales[:, end - SCALE_DAYS : end])
        found.append(
            Week(
                run_date=panel.first_day + timedelta(days=end - 1),
                forecast=forecast,
                last=last,
                naive=np.tile(history[:, -WEEK:], HORIZON // WEEK + 1)[:, :HORIZON],
                actual=panel.sales[:, end : end + HORIZON],
                scale=history.mean(axis=1),
            )
        )
    return found


def held_by(week: Week, values: Array, earlier: Sequence[RunMeasures], *, first: bool) -> tuple[set[str], RunMeasures]:
    """The checks that hold the run, and what it measured."""
    by_date, by_step = (np.full((*values.shape, 1), np.nan) for _ in range(2))
    run = None
    if not first:
        by_date[:, : HORIZON - WEEK, 0] = week.last[:, WEEK:]
        by_step[:, :, 0] = week.last
        run = LastRun(run_id="last", run_date=week.run_date, items=len(values), columns=(), files=(), manifest={})
    past = Past(run=run, by_date=by_date, by_step=by_step, earlier=earlier)
    # The actual values are not known in production.
    unknown = np.full((*values.shape, 1), np.nan)
    compared = Comparison(naive=week.naive[:, :, None], actual=unknown, scale=week.scale[:, None])
    measured = measure_run(values[:, :, None], compared, past, ["sales"])
    names = [f"{number:03d}" for number in range(len(values))]
    flags = gate_flags(measured, values[:, :, None], past, names, ["sales"])
    return {flag.kind for flag in flags if CHECKS[flag.kind].severity == "hold"}, measured


def some(share: float, factor: float) -> Damage:
    def damage(_week: Week, values: Array, chance: np.random.Generator) -> Array:
        chosen = chance.random(len(values)) < share
        return np.where(chosen[:, None], values * factor, values)

    return damage


def _shuffled(_week: Week, values: Array, chance: np.random.Generator) -> Array:
    return chance.permuted(values, axis=1)


def _noise(share: float) -> Damage:
    return lambda _week, values, chance: np.maximum(values * chance.normal(1, share, values.shape), 0)


def _zeros_after(step: int) -> Damage:
    return lambda _week, values, _chance: np.where(np.arange(values.shape[1]) < step, values, 0.0)


def _drift(daily: float) -> Damage:
    return lambda _week, values, _chance: values * (1 + daily) ** np.arange(values.shape[1])


def _days(shift: int) -> Damage:
    return lambda _week, values, _chance: np.roll(values, shift, axis=1)


def _times(factor: float) -> Damage:
    return lambda _week, values, _chance: values * factor


DAMAGES: dict[str, Damage] = {
    **{f"x{factor:g}": _times(factor) for factor in (100, 10, 2.1, 1.9, 1.5, 1.3, 1.2, 0.8, 0.7, 0.55, 0.1, 0.01)},
    "logarithm not undone": lambda _w, v, _c: np.log1p(v),
    "exponential of it": lambda _w, v, _c: np.expm1(np.minimum(v, 12)),
    "square root": lambda _w, v, _c: np.sqrt(v),
    "plus the mean of all": lambda _w, v, _c: v + v.mean(),
    "one day early": _days(-1),
    "one day late": _days(1),
    "two days early": _days(-2),
    "three days late": _days(3),
    "reversed": lambda _w, v, _c: v[:, ::-1],
    "days shuffled, each item its way": _shuffled,
    "days shuffled, all the same way": lambda _w, v, c: v[:, c.permutation(v.shape[1])],
    "constant: each item's mean": lambda _w, v, _c: np.repeat(v.mean(axis=1, keepdims=True), v.shape[1], axis=1),
    "constant: each item's first day": lambda _w, v, _c: np.repeat(v[:, :1], v.shape[1], axis=1),
    "the neighbour's values": lambda _w, v, _c: np.roll(v, 1, axis=0),
    "items in another order": lambda _w, v, c: c.permutation(v, axis=0),
    "every item the mean item": lambda _w, v, _c: np.repeat(v.mean(axis=0, keepdims=True), len(v), axis=0),
    "zeros": lambda _w, v, _c: np.zeros_like(v),
    "zeros after day 8": _zeros_after(8),
    "zeros after day 16": _zeros_after(16),
    "peaks cut at each item's median": lambda _w, v, _c: np.minimum(v, np.median(v, axis=1, keepdims=True)),
    "weekends left out": lambda _w, v, _c: np.where(np.arange(v.shape[1]) % 7 < 5, v, 0.0),
    "first week repeated from its 3rd day": lambda _w, v, _c: np.tile(v[:, 2:9], 5)[:, : v.shape[1]],
    "5 % more each day": _drift(0.05),
    "5 % less each day": _drift(-0.05),
    "noise of 20 %": _noise(0.2),
    "noise of 50 %": _noise(0.5),
    "20 % of the items x3": some(0.2, 3),
    "20 % of the items x0": some(0.2, 0),
    "5 % of the items x5": some(0.05, 5),
    "last run sent again": lambda w, _v, _c: w.last,
    "last run moved by a week": lambda w, _v, _c: np.concatenate([w.last[:, WEEK:], w.last[:, -WEEK:]], axis=1),
    "the actual values": lambda w, _v, _c: np.nan_to_num(w.actual),
    "last week once more": lambda w, _v, _c: w.naive,
    "negative values": lambda _w, v, _c: -v,
}


def measure(weeks: Sequence[Week]) -> tuple[dict[str, dict[str, float]], dict[str, int]]:
    """Damage to the share of runs held, by what the gate knows; "none" is no damage."""
    known: list[RunMeasures] = []
    held: dict[str, dict[str, list[bool]]] = {}
    causes: dict[str, int] = {}
    for number, week in enumerate(weeks):
        chance = np.random.default_rng(number)
        cases = {"none": week.forecast}
        cases |= {name: damage(week, week.forecast, chance) for name, damage in DAMAGES.items()}
        for name, values in cases.items():
            settings: dict[str, tuple[Sequence[RunMeasures], bool]] = {
                "first run": ((), True),
                "second run": ((), False),
            }
            if len(known) >= GATE_PAIRS:
                settings["twelve runs known"] = (known[: -GATE_PAIRS - 1 : -1], False)
            for setting, (earlier, first) in settings.items():
                found, measured = held_by(week, values, earlier, first=first)
                held.setdefault(name, {}).setdefault(setting, []).append(bool(found))
                if name == "none":
                    for kind in found:
                        causes[f"{setting}: {kind}"] = causes.get(f"{setting}: {kind}", 0) + 1
                if name == "none" and setting == "second run":
                    clean = measured
        known.append(clean)
    shares = {name: {key: float(np.mean(each)) for key, each in found.items()} for name, found in held.items()}
    return shares, causes


def page(shares: dict[str, dict[str, float]], causes: dict[str, int], weeks: Sequence[Week]) -> str:
    """The tables as Markdown."""
    heads = ["twelve runs known", "second run", "first run"]
    lines = [
        f"<!-- benchmarks/gate.py writes this. -->\n{len(weeks)} weekly runs of the bakery, {weeks[0].run_date} to "
        f"{weeks[-1].run_date}: share of the runs that are held by default.\n",
        f"| damage to the whole run | {' | '.join(heads)} |",
        "|---" * 4 + "|",
    ]
    lines += [f"| {name} | {' | '.join(f'{found[head]:.1%}' for head in heads)} |" for name, found in shares.items()]
    damaged = [found for name, found in shares.items() if name != "none"]
    caught = [f"{np.mean([found[head] >= 0.95 for found in damaged]):.0%}" for head in heads]
    lines.append(f"| **kinds of damage held in 95 % of the runs or more** | {' | '.join(caught)} |")
    lines += [
        "",
        "Clean runs that were held, by check: " + (", ".join(f"{k} {n}" for k, n in causes.items()) or "none") + ".",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weeks", type=int, default=WEEKS)
    weeks = parser.parse_args().weeks
    panel, _ = read_panel()
    text = page(*measure(found := weeks_of(panel, weeks)), found)
    sys.stdout.write(text)
    if weeks == WEEKS:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
