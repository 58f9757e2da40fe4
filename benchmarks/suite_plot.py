"""The suite's curves: CPU above, memory below, an area a column."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

COLOURS = {"polars": "#b06f00", "duckdb": "#2f7d5b", "pandas": "#a33a6f", "floor": "#8a8a8a", "http.client": "#8a8a8a"}
OURS = "#1f4e9c"
COLUMNS = 4


def draw(document: Mapping[str, Any], path: Path) -> None:
    """Write the figure; both axes are logarithmic, so that a straight line's slope is the exponent."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update(
        {
            "svg.hashsalt": "suite",
            "svg.fonttype": "none",
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )
    import matplotlib.pyplot as plt

    areas = {name: area for name, area in document["areas"].items() if len(_sizes(area)) > 1}
    blocks = -(-len(areas) // COLUMNS)
    figure, axes = plt.subplots(2 * blocks, COLUMNS, figsize=(4.4 * COLUMNS, 6.4 * blocks), squeeze=False)
    for each in axes.flat:
        each.set_visible(False)
    for number, (name, area) in enumerate(areas.items()):
        block, column = divmod(number, COLUMNS)
        for row, (key, label) in enumerate((("cpu", "processor, s"), ("peak", "peak memory, MB"))):
            _curves(axes[2 * block + row][column], area, key)
            axes[2 * block + row][column].set(ylabel=label, visible=True)
        above = axes[2 * block][column]
        above.set_title(name, loc="left", fontweight="bold", pad=26)
        legend = above.legend(
            frameon=False, fontsize=7.5, ncols=5, loc="lower left", bbox_to_anchor=(-0.02, 0.99), handlelength=1
        )
        legend.set_in_layout(False)
    measured = ", ".join(sorted({area["measured"] for area in areas.values()}))
    figure.suptitle(f"What it costs, by size: {measured}", x=0.01, ha="left")
    figure.tight_layout(rect=(0, 0, 1, 0.98))
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _curves(axis: Any, area: Mapping[str, Any], key: str) -> None:
    from matplotlib.ticker import LogLocator

    for number, (program, sizes) in enumerate(area["programs"].items()):
        colour = OURS if number == 0 else COLOURS.get(program, "#8a8a8a")
        x, y = [int(size) for size in sizes], [max(each[key], 0.01) for each in sizes.values()]
        axis.plot(x, y, marker="o", markersize=3, color=colour, linewidth=2 if number == 0 else 1.2, label=program)
    axis.set(xscale="log", yscale="log", xlabel=area["unit"])
    ticks = _sizes(area)
    axis.set_xticks(ticks, [_short(size) for size in ticks])
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.minorticks_off()
    axis.grid(visible=True, which="major", color="#e4e4e4", linewidth=0.6)


def _sizes(area: Mapping[str, Any]) -> list[int]:
    return sorted({int(size) for sizes in area["programs"].values() for size in sizes})


def _short(size: int) -> str:
    """1M for 1,000,000."""
    for unit, letter in ((1_000_000, "M"), (1_000, "k")):
        if size >= unit:
            return f"{size / unit:g}{letter}"
    return str(size)
