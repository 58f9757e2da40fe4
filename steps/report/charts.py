"""Charts of the report page as inline SVG: no script, colours by class so that light and dark are the style sheet's."""

from collections.abc import Mapping, Sequence

import numpy as np

from batchcast.steps.outcome.comparison import Array
from batchcast.steps.plain_text import html_text as escape

_WIDTH, _HEIGHT = 320, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 38, 6, 8, 20


def forecast_chart(
    label: str, dates: Sequence[str], lines: Mapping[str, Array], band: tuple[Array, Array] | None = None
) -> str:
    """Lines over the forecast days, keyed by style class, the last on top; NaN leaves a gap. `label` is read out.

    `band` is filled between its lower and its upper line, below all others.
    """
    drawn = [*lines.values(), *(band or ())]
    known = [value for line in drawn for value in line.tolist() if np.isfinite(value)]
    top, bottom = axis_top(max(known, default=1.0)), min([0.0, *known])
    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}">']
    for share in (0.0, 0.5, 1.0):
        value = bottom + share * (top - bottom)
        y = _y(value, bottom, top)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 5}" y="{y + 3:.1f}" text-anchor="end">{short_number(value)}</text>')
    if band is not None:
        parts.append(f'<path class="band" d="{_area(*band, bottom, top)}"/>')
    parts.extend(f'<path class="{name}" d="{_path(line, bottom, top)}"/>' for name, line in lines.items())
    parts.append(f'<text x="{_LEFT}" y="{_HEIGHT - 5}">{dates[0]}</text>')
    if len(dates) > 1:
        parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 5}" text-anchor="end">{dates[-1]}</text>')
    return "".join(parts) + "</svg>"


def short_number(value: float) -> str:
    """At most three digits that tell, with k, M, G or T: 15k, 1.5M, 0.02."""
    size = abs(value)
    if size >= 1e15 or 0 < size < 1e-3:
        return f"{value:.3g}".replace("e+", "e").replace("e0", "e").replace("e-0", "e-")
    power = next((power for power in (12, 9, 6, 3) if size >= 0.9995 * 10**power), 0)
    digits = f"{value / 10**power:.3g}"
    return digits + {0: "", 3: "k", 6: "M", 9: "G", 12: "T"}[power]


def three_decimals(value: float | None) -> str:
    """An error as the page writes it, "-" for one that is not known."""
    return "-" if value is None else f"{value:.3f}"


def coverage_bar(counts: Mapping[str, int]) -> str:
    """One bar, its parts as wide as the counts; a part that is there is never too thin to be seen."""
    total = max(1, sum(counts.values()))
    smallest = {name: max(count / total * 100, 0.6) for name, count in counts.items() if count}
    scale = 100 / max(1e-9, sum(smallest.values()))
    position, parts = 0.0, []
    for name, share in smallest.items():
        width = share * scale
        parts.append(f'<rect class="{name}" x="{position:.2f}" y="0" width="{width:.2f}" height="8"/>')
        position += width
    label = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    head = f'<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
    return head + "".join(parts) + "</svg>"


def score_bars(wape: Mapping[str, tuple[str, float]]) -> str:
    """Horizontal bars, one a name: style class to (words, value)."""
    longest = max(value for _, value in wape.values()) or 1.0
    parts = []
    for number, (name, (words, value)) in enumerate(wape.items()):
        y = number * 34
        parts.append(f'<text x="0" y="{y + 11}">{escape(words)}</text>')
        width = 250 * value / longest
        parts.append(f'<rect class="{name}" x="0" y="{y + 16}" width="{width:.1f}" height="10" rx="2"/>')
        parts.append(f'<text class="value" x="{width + 6:.1f}" y="{y + 25}">{value:.3f}</text>')
    label = ", ".join(f"{words} {value:.3f}" for words, value in wape.values())
    head = f'<svg viewBox="0 0 {_WIDTH} {34 * len(wape)}" role="img" aria-label="{escape(label)}">'
    return head + "".join(parts) + "</svg>"


def _area(lower: Array, upper: Array, bottom: float, top: float) -> str:
    """The closed area between the lines where both are known; it may begin later, and has no gaps."""
    there = np.flatnonzero(np.isfinite(lower) & np.isfinite(upper))
    if len(there) < 2 or len(there) <= there[-1] - there[0]:
        return ""
    width = (_WIDTH - _LEFT - _RIGHT) / (len(lower) - 1)
    way = [(place, upper[place]) for place in there] + [(place, lower[place]) for place in there[::-1]]
    points = [f"{_LEFT + place * width:.1f} {_y(float(value), bottom, top):.1f}" for place, value in way]
    return f"M{'L'.join(points)}Z"


def _path(line: Array, bottom: float, top: float) -> str:
    width = (_WIDTH - _LEFT - _RIGHT) / max(1, len(line) - 1)
    points, pen_down = [], False
    for number, value in enumerate(line.tolist()):
        if not np.isfinite(value):
            pen_down = False
            continue
        points.append(f"{'L' if pen_down else 'M'}{_LEFT + number * width:.1f} {_y(value, bottom, top):.1f}")
        # A value between two gaps, and a horizon of one step, are drawn as a point: round caps make it one.
        alone = not pen_down and not np.isfinite(line[number + 1 : number + 2]).any()
        points += ["h0.01"] if alone else []
        pen_down = True
    return "".join(points)


def _y(value: float, bottom: float, top: float) -> float:
    return _TOP + (top - value) / (top - bottom) * (_HEIGHT - _TOP - _BOTTOM)


def axis_top(value: float) -> float:
    """The next of 1, 1.5, 2, 3, 4, 5, 6, 8 times a power of ten: a scale whose half is a short number too."""
    if value < 1e-300:  # Nothing, below it, or so little that no power of ten is near.
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * next(step for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10.00001) if value <= power * step))
