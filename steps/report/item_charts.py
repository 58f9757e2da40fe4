"""The charts of single items: their history, the forecast with its band, what the last run said, the seasonal naive."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from batchcast.steps.answers.item_arrays import count_finite, each_block, ranked
from batchcast.steps.arguments import parse_moment
from batchcast.steps.contract.answer import Expected
from batchcast.steps.contract.frequency import parse_frequency
from batchcast.steps.outcome.comparison import Array
from batchcast.steps.plain_text import html_text as escape
from batchcast.steps.report.charts import forecast_chart
from batchcast.steps.report.html import html_figure
from batchcast.steps.report.page_items import PageItems

_WORST, _OTHERS = 20, 2
_PAST = 28


def item_charts(report: Mapping[str, Any], expected: Expected, items: PageItems) -> str:
    """The twenty worst items: those with a flag by what is at stake, then those with the largest error, or distance
    from the naive where nothing is known yet; and two from the middle and the other end, to compare with."""
    item_ids, distance = items.item_ids, items.distance
    forecast = items.values[:, :, expected.points[0]]
    naive, actual = (array[:, :, 0] for array in (items.compared.naive, items.compared.actual))
    count = count_finite(distance)
    if not count:
        return ""
    flagged = item_ids.places([flag["item_id"] for flag in report["flags"] if flag["item_id"]])
    middle = max(0, count // 2 - 1)
    picks = {
        "Flagged": [index for index in flagged if np.isfinite(forecast[index]).any()][:_WORST],
        "Largest": ranked(distance, max(0, count - _WORST), count)[::-1].tolist(),
        "Median": ranked(distance, middle, max(middle, count // 2 - 1 + _OTHERS)).tolist(),
        "Smallest": ranked(distance, 0, min(_OTHERS, count)).tolist(),
    }
    measure = "WAPE" if items.scored else "distance"
    chosen: dict[int, str] = {}
    for name, indexes in picks.items():
        for index in indexes:
            if name in ("Median", "Smallest") or len(chosen) < _WORST:
                chosen.setdefault(index, f"{name}: {measure} {distance[index]:.2f}")
    frequency, run_date = parse_frequency(report["frequency"]), parse_moment(report["run_date"])
    past = items.compared.before[:, -_PAST:, 0]
    dates = [*(moment.isoformat() for moment in frequency.before(run_date, past.shape[1])), *expected.dates]
    lines = {"naive": naive, "last": items.last[:, :, 0], "model": forecast}
    levels = expected.outputs.quantiles(expected.targets[0])
    figures = []
    for index, caption in chosen.items():
        known = np.concatenate([past[index], actual[index]])
        drawn = {"actual": known, **{name: _after(past, line[index]) for name, line in lines.items()}}
        chart = forecast_chart(f"Forecast of {item_ids[index]}", dates, drawn, _band(levels, items.values[index], past))
        figures.append(html_figure(item_ids[index], caption, chart))
    words = {"model": "model", "naive": "seasonal naive"}
    words |= {"last": "the last run"} if _has_any(items.last) else {}
    words |= {"actual": "history and actual values"} if _has_any(past) or _has_any(actual) else {}
    words |= {"band": f"between the levels {levels[0][0]:g} and {levels[-1][0]:g}"} if len(levels) > 1 else {}
    spans = "".join(f'<span class="{name}">{text}</span>' for name, text in words.items())
    what = "error" if items.scored else "distance from the seasonal naive"
    head = f"<h2>Items to look at, by flag and {what}: {escape(expected.targets[0])}</h2>"
    legend = f'<p class="legend">{spans}</p>'
    return f'<section>{head}{legend}<div class="plots">{"".join(figures)}</div></section>'


def _has_any(values: Array) -> bool:
    return any(each_block(lambda some: bool(np.isfinite(some).any()), values))


def _after(past: Array, line: Array) -> Array:
    """The line of the forecast steps behind a gap as long as the history."""
    return np.concatenate([np.full(past.shape[1], np.nan), line])


def _band(levels: Sequence[tuple[float, int]], values: Array, past: Array) -> tuple[Array, Array] | None:
    """The lowest and the highest of these quantiles, None with fewer than two."""
    if len(levels) < 2:
        return None
    return _after(past, values[:, levels[0][1]]), _after(past, values[:, levels[-1][1]])
