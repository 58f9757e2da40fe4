"""The parity check as one page that needs nothing else: the verdict, how far apart the answers are, which differ."""

import math
from collections import Counter
from pathlib import Path

import numpy as np

from batchcast.serving.parity.parity import Parity, numbers_of
from batchcast.steps.plain_text import html_text as escape
from batchcast.steps.report.charts import forecast_chart
from batchcast.steps.report.html import html_figure, html_page, html_table

_LISTED, _PLOTS = 200, 6
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 200, 44, 8, 10, 26
_FLOOR, _CEILING = -16, 1


def parity_page(parity: Parity, endpoint: str, batch: str) -> str:
    """The page. `endpoint` and `batch` say what was compared with what."""
    count = len(parity.compared)
    wrong = parity.different
    title = f"Batch answers {count:,} of {count:,} records as the endpoint does"
    if parity.verdict == "inconclusive":
        title = f"The endpoint's own noise, up to {parity.noise:.1%}, hides whether batch answers as it does"
    elif not parity.matches:
        title = (
            f"Batch answers {wrong:,} of {count:,} records otherwise" if wrong else "The endpoint does not answer JSON"
        )
    outcomes = {"same": ("complete", "MATCH"), "different": ("held", "MISMATCH")}
    outcome = outcomes.get(parity.verdict, ("held", "INCONCLUSIVE"))
    facts = f"Endpoint: {endpoint} · Batch: {batch} · relative tolerance {parity.tolerance.relative:g}"
    body = [
        f'<header class="{outcome[0]}"><p class="outcome">{outcome[1]}</p><h1>{escape(title)}</h1>'
        f'<p class="facts">{escape(facts)}</p></header>',
        _distances(parity),
        _plots(parity),
        _differences(parity),
        _sample(parity),
    ]
    return html_page(title, "".join(body), Path(__file__).with_suffix(".css").read_text(encoding="utf-8"))


def _distances(parity: Parity) -> str:
    """A dot a record: the largest relative difference of its numbers, on a logarithmic scale."""
    parts = [f'<svg class="wide" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Differences by record">']
    for exponent in range(_FLOOR, _CEILING + 1, 4):
        y = _y(10.0**exponent)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        label = "0" if exponent == _FLOOR else f"1e{exponent}"
        parts.append(f'<text x="{_LEFT - 5}" y="{y + 3:.1f}" text-anchor="end">{label}</text>')
    limit = _y(parity.tolerance.relative)
    parts.append(f'<line class="limit" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{limit:.1f}" y2="{limit:.1f}"/>')
    step = (_WIDTH - _LEFT - _RIGHT) / max(1, len(parity.compared))
    for number, one in enumerate(parity.compared):
        x = _LEFT + (number + 0.5) * step
        if one.noise is not None:
            parts.append(f'<circle class="naive" cx="{x:.1f}" cy="{_y(one.noise):.1f}" r="3.5"/>')
        if one.distance is not None:
            name = "failed" if one.differences else "ok"
            parts.append(f'<circle class="{name}" cx="{x:.1f}" cy="{_y(one.distance):.1f}" r="2.5"/>')
    parts.append(f'<text x="{_LEFT}" y="{_HEIGHT - 6}">records of the sample, in their order</text></svg>')
    noise = f"{parity.noisy:,} records get two different answers from the endpoint itself." if parity.noisy else ""
    legend = (
        '<p class="legend"><span class="dot">batch as the endpoint</span><span class="bad">batch otherwise</span>'
        '<span class="ring">endpoint asked twice</span></p>'
    )
    return (
        f"<section><h2>Largest relative difference of each record</h2>{legend}{''.join(parts)}<p>{noise}</p></section>"
    )


def _y(value: float) -> float:
    exponent = min(_CEILING, max(_FLOOR, math.log10(value) if value > 0 else _FLOOR))
    return _TOP + (_CEILING - exponent) / (_CEILING - _FLOOR) * (_HEIGHT - _TOP - _BOTTOM)


def _plots(parity: Parity) -> str:
    different = [one for one in parity.compared if one.differences]
    figures = []
    for one in sorted(different or parity.compared, key=lambda each: -(each.distance or 0))[:_PLOTS]:
        lines = {name: np.array(numbers_of(answer)) for name, answer in (("naive", one.endpoint), ("model", one.batch))}
        if all(len(line) for line in lines.values()):
            longest = max(map(len, lines.values()))
            for name, line in lines.items():
                lines[name] = np.pad(line, (0, longest - len(line)), constant_values=np.nan)
            chart = forecast_chart(f"Answers for {one.record.item_id}", ["first", "last"], lines)
            far = f", {one.distance:{'.1%' if one.distance >= 0.001 else '.1e'}} apart" if one.distance else ""
            figures.append(html_figure(one.record.item_id, f"{one.record.stratum}{far}", chart))
    legend = '<p class="legend"><span class="model">batch</span><span class="naive">endpoint</span></p>'
    head = f"<h2>{'The answers that are furthest apart' if different else 'Some of the answers'}</h2>"
    return f'<section>{head}{legend}<div class="plots">{"".join(figures)}</div></section>' if figures else ""


def _differences(parity: Parity) -> str:
    found = parity.differences
    contradictions = list(parity.contradictions)
    parts = []
    if found:
        counted = Counter(each.kind for each in found)
        kinds = "".join(f"<li><b>{count:,}</b> {escape(kind)}</li>" for kind, count in counted.most_common())
        firsts = parity.firsts()
        rows = [
            (each.item_id, each.kind, each.where, each.expected, each.found, f"{more:,}" if more else "")
            for each, more in firsts[:_LISTED]
        ]
        table = html_table(("Item", "Kind", "First", "Endpoint", "Batch", "More of it"), rows)
        listed = f"<p>The first {_LISTED} of {len(firsts):,} rows.</p>" if len(firsts) > _LISTED else ""
        parts.append(f"<section><h2>What is different</h2><ul>{kinds}</ul>{listed}{table}</section>")
    if contradictions:
        twice = [(each.item_id, each.where, each.expected, each.found) for each in contradictions[:_LISTED]]
        table = html_table(("Item", "Where", "First answer", "Second answer"), twice)
        parts.append(f"<section><h2>Where the endpoint contradicts itself</h2>{table}</section>")
    return "".join(parts)


def _sample(parity: Parity) -> str:
    wrong = Counter(one.record.stratum for one in parity.compared if one.differences)
    rows = [(name, f"{count:,}", f"{wrong[name]:,}") for name, count in parity.strata.most_common()]
    return f"<section><h2>The sample</h2>{html_table(('Records', 'Compared', 'Different'), rows)}</section>"
