"""Forecasts and their history as one PNG, to paste into a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.store.objects import atomic_write

if TYPE_CHECKING:
    from batchcast.serving.adhoc.plot import PlottedForecast

DPI = 144
# In inches: one column of panels where they are few, else two that are narrower.
_WIDTH_OF_ONE, _WIDTH_OF_TWO, _HEIGHT_EACH, _HEIGHT_AROUND = 10.0, 14.0, 3.1, 1.0
_MOST_IN_ONE = 3
_MOST_PANELS = 200
_MOST_DATES = 7
_MOST_LETTERS = 52
_DAYS_WITHOUT_YEAR = 300
_INK, _GREY, _NAIVE, _FORECAST, _ACTUAL = "#30343b", "#6b727b", "#9aa0a8", "#0b6bcb", "#1a7f37"
_STYLES: Mapping[str, Mapping[str, Any]] = {
    "naive": {"color": _NAIVE, "linestyle": (0, (4, 2)), "linewidth": 1.2},
    "history": {"color": _INK, "linewidth": 1.3},
    "actual": {"color": _ACTUAL, "linestyle": "", "marker": "o", "markersize": 4, "clip_on": False},
    "model": {"color": _FORECAST, "linewidth": 2.2},
}


def check_png(items: int) -> None:
    """Raises ConfigError where matplotlib is not installed, and for more items than a picture holds."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        what = "the picture needs matplotlib, which is not installed."
        raise ConfigError(Problem("png", what, "--png", "pip install matplotlib, or use --html."))
    if items > _MOST_PANELS:
        what = f"{items} items; a picture holds {_MOST_PANELS}."
        raise ConfigError(Problem("png", what, "--png", "Use --html, or fewer items."))


def write_png(plots: Sequence[PlottedForecast], source_text: str, path: Path) -> None:
    """A panel an item, and below them `source_text`, which says whose forecast it is; the file appears whole."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = 1 if len(plots) <= _MOST_IN_ONE else 2
    rows = -(-len(plots) // columns)
    size = ((_WIDTH_OF_ONE, _WIDTH_OF_TWO)[columns - 1], _HEIGHT_EACH * rows + _HEIGHT_AROUND)
    layout = ConstrainedLayoutEngine(w_pad=0.3, h_pad=0.14)
    figure = Figure(figsize=size, dpi=DPI, layout=layout, facecolor="white")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, plotted in zip(panels, plots, strict=False):
        _draw(panel, plotted)
    for panel in panels[len(plots) :]:
        panel.set_axis_off()
    # What any of the panels has, each once.
    shown = {text: line for panel in panels for line, text in zip(*panel.get_legend_handles_labels(), strict=True)}
    above = {"loc": "outside upper left", "ncols": len(shown), "borderaxespad": 1.2}
    figure.legend(list(shown.values()), list(shown), **above, frameon=False, fontsize=10, labelcolor=_INK)
    figure.supxlabel(source_text, x=0.3 / size[0], ha="left", fontsize=9, color=_GREY, parse_math=False)
    with atomic_write(path) as stream:
        figure.savefig(stream, format="png", metadata={"Software": None})


def _draw(panel: Any, plotted: PlottedForecast) -> None:
    from matplotlib.dates import MO, DateFormatter, WeekdayLocator
    from matplotlib.ticker import StrMethodFormatter

    from batchcast.serving.adhoc.plot import LINES

    days = plotted.days
    panel.axvspan(min(plotted.forecast), max(plotted.forecast), color=_FORECAST, alpha=0.06, linewidth=0)
    for name, line in plotted.lines.items():
        panel.plot(days, line, label=LINES[name], solid_capstyle="round", **_STYLES[name])
    panel.set_ylim(bottom=min(0.0, panel.dataLim.y0))
    panel.margins(x=0.01)
    weeks = -(-len(days) // (7 * _MOST_DATES))
    panel.xaxis.set_major_locator(WeekdayLocator(byweekday=MO, interval=weeks))
    panel.xaxis.set_major_formatter(DateFormatter("%d %b" if len(days) <= _DAYS_WITHOUT_YEAR else "%d %b %Y"))
    panel.yaxis.get_major_locator().set_params(integer=True, nbins=5)
    panel.yaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
    panel.grid(axis="y", color="#e6e8eb", linewidth=0.8)
    panel.tick_params(colors=_INK, length=0, labelsize=9, pad=6)
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)
    panel.spines["bottom"].set_color(_NAIVE)
    _name(panel, plotted)


def _name(panel: Any, plotted: PlottedForecast) -> None:
    """Item and target over the panel, and in a line of its own what the forecast comes to."""
    name = f"{plotted.item_id}  {plotted.target}"
    short = name if len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 1]}…"
    panel.set_title(short, loc="left", fontsize=12, fontweight="bold", color=_INK, pad=22, parse_math=False)
    place = {"xy": (0, 1), "xycoords": "axes fraction", "xytext": (0, 7), "textcoords": "offset points"}
    summary = f"{plotted.summary} · {plotted.score}" if plotted.score else plotted.summary
    panel.annotate(summary, **place, fontsize=9.5, color=_GREY, parse_math=False)
