"""Forecasts and their history as one PNG, to paste into a message."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steps.errors import ConfigError, Problem
from steps.object_store import whole_file

if TYPE_CHECKING:
    from pipelines.forecast_plot import PlottedForecast

__all__ = ["DPI", "check_png", "write_png"]

DPI = 144
_WIDTH, _HEIGHT_EACH, _HEIGHT_LEGEND = 10.0, 3.1, 0.6
"""In inches."""
_MOST_PANELS = 100
_MOST_DATES = 7
_INK, _FAINT, _FORECAST, _ACTUAL = "#30343b", "#9aa0a8", "#0b6bcb", "#1a7f37"


def check_png(items: int) -> None:
    """Raises ConfigError where matplotlib is not installed, and for more items than a picture holds."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        what = "the picture needs matplotlib, which is not installed."
        raise ConfigError(Problem("png", what, "--png", "pip install 'batchcast[plot]', or use --html."))
    if items > _MOST_PANELS:
        what = f"{items} items; a picture holds {_MOST_PANELS}."
        raise ConfigError(Problem("png", what, "--png", "Use --html, or fewer items."))


def write_png(plots: Sequence[PlottedForecast], path: Path) -> None:
    """A panel an item, one below the other, 1,440 pixels wide; the file appears whole."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    size = (_WIDTH, _HEIGHT_EACH * len(plots) + _HEIGHT_LEGEND)
    layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.08)
    figure = Figure(figsize=size, dpi=DPI, layout=layout, facecolor="white")
    panels = figure.subplots(len(plots), 1, squeeze=False)[:, 0]
    for panel, plotted in zip(panels, plots, strict=True):
        _draw(panel, plotted)
    # What any of the panels has, each once.
    shown = {text: line for panel in panels for line, text in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(
        list(shown.values()), list(shown), loc="outside upper left", ncols=len(shown), frameon=False, fontsize=10
    )
    with whole_file(path, path.absolute().parent) as stream:
        figure.savefig(stream, format="png", metadata={"Software": None})


def _draw(panel: Any, plotted: PlottedForecast) -> None:
    from matplotlib.dates import MO, DateFormatter, WeekdayLocator

    days = plotted.days
    panel.axvspan(min(plotted.forecast), max(plotted.forecast), color=_FORECAST, alpha=0.06, linewidth=0)
    _line(panel, days, plotted.naive, "seasonal naive", color=_FAINT, linestyle=(0, (4, 2)), linewidth=1.2)
    _line(panel, days, plotted.history, "history", color=_INK, linewidth=1.3)
    _line(panel, days, plotted.actual, "actual", color=_ACTUAL, linestyle="", marker="o", markersize=4, clip_on=False)
    before = {day: plotted.history[day] for day in [max(plotted.history, default=None)] if day}
    _line(panel, days, {**before, **plotted.forecast}, "forecast", color=_FORECAST, linewidth=2.2)
    panel.set_ylim(bottom=min(0.0, panel.dataLim.y0))
    panel.margins(x=0.01)
    panel.set_title(plotted.item_id, loc="left", fontsize=12, fontweight="bold", color=_INK, parse_math=False)
    panel.set_title(_summary(plotted), loc="right", fontsize=10, color=_INK, parse_math=False)
    weeks = -(-len(days) // (7 * _MOST_DATES))
    panel.xaxis.set_major_locator(WeekdayLocator(byweekday=MO, interval=weeks))
    panel.xaxis.set_major_formatter(DateFormatter("%d %b"))
    panel.yaxis.get_major_locator().set_params(integer=True, nbins=5)
    panel.grid(axis="y", color="#e6e8eb", linewidth=0.8)
    panel.tick_params(colors=_INK, length=0, labelsize=9)
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)
    panel.spines["bottom"].set_color(_FAINT)


def _line(panel: Any, days: Sequence[Any], values: Any, label: str, **style: Any) -> None:
    shown = [day for day in days if day in values]
    if shown:
        panel.plot(shown, [values[day] for day in shown], label=label, solid_capstyle="round", **style)


def _summary(plotted: PlottedForecast) -> str:
    first, last = min(plotted.forecast), max(plotted.forecast)
    total = f"{plotted.target}, {first:%d %b} to {last:%d %b %Y}: {sum(plotted.forecast.values()):,.0f} in all"
    error, naive = plotted.wape(plotted.forecast), plotted.wape(plotted.naive)
    return total if error is None or naive is None else f"{total} · WAPE {error:.2f}, seasonal naive {naive:.2f}"
