"""How much damage the gate holds, and how often it holds a clean run: weekly runs of the samples, damaged one by one.

    python benchmarks/gate.py                # two minutes; writes benchmarks/results/gate.md
    python benchmarks/gate.py --weeks 20     # a look, written nowhere

The forecasts are those of each sample's own model at run dates a week apart, computed without the pipeline. Each run is
measured against the one before, with the measures of the clean runs before it, as the publishing step does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import lightgbm
import numpy as np
import numpy.typing as npt
import pandas as pd

REPOSITORY = Path(__file__).resolve().parents[1]
BAKERY, GROCERY = (REPOSITORY / "examples" / name for name in ("bakery", "grocery"))
sys.path[:0] = [str(REPOSITORY), str(BAKERY), str(GROCERY)]

from damages import DAMAGES, NOT_IN_HISTORY, NOT_WITHOUT_SEASON, OF_DAYS, Damage, Week  # noqa: E402

from batchcast.steps.checks.flags import find_flags  # noqa: E402
from batchcast.steps.checks.gate import Past, RunMeasures, gate_flags, measure_run  # noqa: E402
from batchcast.steps.contract.checks import CHECKS  # noqa: E402
from batchcast.steps.outcome.comparison import Comparison  # noqa: E402
from batchcast.steps.outcome.last_run import GATE_PAIRS, LastRun  # noqa: E402
from features import KNOWN, Panel, day_features  # noqa: E402
from quantile_model import QuantileModel  # noqa: E402

RESULTS = REPOSITORY / "benchmarks" / "results" / "gate.md"
WEEK, MEASURED, WEEKS = 7, 28, 112
HEAD = """<!-- benchmarks/gate.py writes this. -->
# How much damage the gate holds

A first run has nothing but the history to be compared with. It cannot tell what the history does not contradict: values
a little too high or too low, an answer that was right a week ago, a few items among many; a forecast that does not
move, or repeats the last season, as simple models do; and where a contract declares no season, any other order of the
steps. Noise and the actual values themselves it tells by their moving as the history does by chance. The second run
compares with the first, and from the fifth the limits are the pipeline's own.

A kind of damage is **systematic and visible in the history** where the history contradicts it. Not so, by what they
are and not by what was found: {hidden}. Where the contract declares no season, also not: {unseasonal}.

Damage is done to every second week. The fixed limits of `profile`, `capped` and `jumps` were chosen on the weeks
between them, which are not reported; those of the other measures were chosen earlier, on all weeks. Clean runs are all
weeks.
"""
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Weekly runs of one team, the oldest first; `hidden` is damage that its history does not contradict."""

    name: str
    weeks: Sequence[Week]
    damages: Mapping[str, Damage]
    hidden: frozenset[str]


def read_bakery() -> Panel:
    """The whole history, an item a row."""
    frame = pd.concat(pd.read_parquet(path) for path in sorted((BAKERY / "history").glob("*.parquet")))
    frame["item"] = frame["store"].astype(str) + "/" + frame["product"].astype(str)
    frame["date"] = pd.to_datetime(frame["date"])
    days = pd.date_range(frame["date"].min(), frame["date"].max())
    tables = {
        name: frame.pivot_table(index="item", columns="date", values=name, aggfunc="max").reindex(columns=days)
        for name in ("sales", *KNOWN)
    }
    known = {name: tables[name].to_numpy(dtype=np.float64) for name in KNOWN}
    return Panel(first_day=days[0].date(), sales=tables["sales"].to_numpy(dtype=np.float64), known=known)


def forecast_from(panel: Panel, end: int, horizon: int, booster: lightgbm.Booster) -> Array:
    """The model's forecast of the days from column `end` on."""
    sales = panel.sales[:, : end + horizon].copy()
    sales[:, end:] = np.nan
    growing = Panel(first_day=panel.first_day, sales=sales, known=panel.known)
    for day in range(end, end + horizon):
        features, level = day_features(growing, day)
        sales[:, day] = np.maximum(booster.predict(features, num_threads=1) * level, 0.0)
    return np.round(sales[:, end:], 2)


def bakery(weeks: int, horizon: int = 31) -> Sample:
    """The last runs of the history that have all actual values."""
    panel, booster = read_bakery(), lightgbm.Booster(model_file=str(BAKERY / "model.txt"))
    ends = [panel.sales.shape[1] - horizon - WEEK * number for number in range(weeks, -1, -1)]
    forecasts = [forecast_from(panel, end, horizon, booster) for end in ends]
    found = [
        week_of(
            panel.sales, end, forecast, last, season=WEEK, apart=WEEK, date=panel.first_day + timedelta(days=end - 1)
        )
        for end, last, forecast in zip(ends[1:], forecasts[:-1], forecasts[1:], strict=True)
    ]
    return Sample(name="bakery", weeks=found, damages=DAMAGES | OF_DAYS, hidden=frozenset(NOT_IN_HISTORY))


def grocery(weeks: int, horizon: int = 6) -> Sample:
    """All runs with enough history before them and all actual values; one year of weeks has no season."""
    frame = pd.concat(pd.read_parquet(path) for path in sorted((GROCERY / "history").glob("*.parquet")))
    names = ("sales", "price", "display", "mailer")
    sales, price, *known = (
        frame.pivot(index=["store", "category"], columns="week", values=name).to_numpy(dtype=np.float64)
        for name in names
    )
    model = QuantileModel(GROCERY / "model")
    ends = list(range(12, sales.shape[1] - horizon + 1))[-weeks - 1 :]

    def forecast(item: int, end: int) -> Array:
        past, future = ([each[item, part] for each in known] for part in (slice(end), slice(end, None)))
        return model.forecast(sales[item, :end], price[item, :end], past, future, horizon)[0.5]

    forecasts = [np.stack([forecast(item, end) for item in range(len(sales))]) for end in ends]
    first = frame["week"].min()
    found = [
        week_of(sales, end, forecast, last, season=1, apart=1, date=first + timedelta(weeks=end - 1))
        for end, last, forecast in zip(ends[1:], forecasts[:-1], forecasts[1:], strict=True)
    ]
    return Sample(name="grocery", weeks=found, damages=DAMAGES, hidden=frozenset(NOT_IN_HISTORY | NOT_WITHOUT_SEASON))


def week_of(sales: Array, end: int, forecast: Array, last: Array, *, season: int, apart: int, date: date) -> Week:
    """The run whose first step is column `end`."""
    horizon = forecast.shape[1]
    before = np.nan_to_num(sales[:, max(0, end - MEASURED) : end])[:, :, None]
    naive = np.tile(before[:, -season:], (1, horizon // season + 1, 1))[:, :horizon]
    # The actual values are not known in production.
    unknown = np.full_like(naive, np.nan)
    scale = before.mean(axis=1)
    compared = Comparison(naive=naive, actual=unknown, scale=scale, before=before, season=season)
    actual = sales[:, end : end + horizon]
    return Week(run_date=date, forecast=forecast, last=last, compared=compared, actual=actual, apart=apart)


def held_by(week: Week, values: Array, earlier: Sequence[RunMeasures], *, first: bool) -> tuple[set[str], RunMeasures]:
    """The checks that hold the run, and what it measured."""
    by_date, by_step = (np.full((*values.shape, 1), np.nan) for _ in range(2))
    run = None
    if not first:
        by_date[:, : -week.apart, 0] = week.last[:, week.apart :]
        by_step[:, :, 0] = week.last
        run = LastRun(run_id="last", run_date=week.run_date, items=len(values), columns=(), files=(), manifest={})
    past = Past(run=run, by_date=by_date, by_step=by_step, earlier=earlier)
    measured = measure_run(values[:, :, None], week.compared, past, ["sales"])
    names = [f"{number:03d}" for number in range(len(values))]
    flags = gate_flags(measured, values[:, :, None], past, names, ["sales"])
    flags += find_flags(names, values[:, :, None], week.compared, by_step, ["sales"])
    return {flag.kind for flag in flags if CHECKS[flag.kind].severity == "hold"}, measured


def measure(sample: Sample) -> tuple[dict[str, dict[str, float]], dict[str, int]]:
    """Damage to the share of runs held, by what the gate knows; "none" is no damage."""
    known: list[RunMeasures] = []
    held: dict[str, dict[str, list[bool]]] = {}
    causes: dict[str, int] = {}
    for number, week in enumerate(sample.weeks):
        chance = np.random.default_rng(number)
        cases = {"none": week.forecast}
        if number % 2:
            cases |= {name: damage(week, week.forecast, chance) for name, damage in sample.damages.items()}
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


def page(sample: Sample) -> str:
    """The table of a sample as Markdown."""
    shares, causes = measure(sample)
    heads = ["twelve runs known", "second run", "first run"]
    weeks = sample.weeks
    lines = [
        f"## The {sample.name}\n\n{len(weeks)} weekly runs of {len(weeks[0].forecast)} items and "
        f"{weeks[0].forecast.shape[1]} steps, {weeks[0].run_date} to {weeks[-1].run_date}: share of the runs that are "
        f"held by default.\n",
        f"| damage to the whole run | {' | '.join(heads)} |",
        "|---" * 4 + "|",
    ]
    lines += [
        f"| {name} | {' | '.join(f'{found[head]:.1%}' if head in found else '-' for head in heads)} |"
        for name, found in shares.items()
    ]
    damaged = {name: found for name, found in shares.items() if name != "none"}
    visible = {name: found for name, found in damaged.items() if name not in sample.hidden}
    for words, kinds in (("kinds", damaged), (f"the {len(visible)} systematic and visible ones", visible)):
        caught = [_caught([found[head] for found in kinds.values() if head in found]) for head in heads]
        lines.append(f"| **{words} held in 95 % of the runs or more** | {' | '.join(caught)} |")
    missed = ", ".join(name for name, found in damaged.items() if found["first run"] < 0.5)
    held = ", ".join(f"{setting} {number}" for setting, number in causes.items()) or "none"
    return "\n".join(
        [*lines, "", f"What a first run mostly cannot tell: {missed}.", "", f"Clean runs that were held: {held}.", ""]
    )


def _caught(shares: Sequence[float]) -> str:
    return f"{np.mean([share >= 0.95 for share in shares]):.0%}" if shares else "-"


def _reasons(hidden: Mapping[str, str]) -> str:
    """Each reason once, with the kinds of damage that it is for."""
    names = {reason: [name for name, each in hidden.items() if each == reason] for reason in hidden.values()}
    return "; ".join(f"{reason} ({', '.join(each)})" for reason, each in names.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weeks", type=int, default=WEEKS)
    weeks = parser.parse_args().weeks
    if not 2 <= weeks <= WEEKS:
        parser.error(f"--weeks is 2 to {WEEKS}: damage is done to every second week.")
    head = HEAD.format(hidden=_reasons(NOT_IN_HISTORY), unseasonal=_reasons(NOT_WITHOUT_SEASON))
    text = head + "\n" + "\n".join(page(sample(weeks)) for sample in (bakery, grocery))
    sys.stdout.write(text)
    if weeks == WEEKS:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
