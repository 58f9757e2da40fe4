"""A forecast and its history, to look at: in the terminal, and as a page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Self

import numpy as np
from rich.table import Table
from rich.text import Text

from batchcast.serving.adhoc.records import AdHocRecord, AdHocRecords
from batchcast.steps.arguments import parse_moment
from batchcast.steps.contract.answer import AnswerError, answered_item, read_answer, split_answers
from batchcast.steps.contract.frequency import DAILY, Frequency
from batchcast.steps.errors import ModelError, Problem
from batchcast.steps.outcome.answer_types import decode_stored_answer
from batchcast.steps.outcome.comparison import Array
from batchcast.steps.plain_text import html_text as escape
from batchcast.steps.report.charts import axis_top, forecast_chart
from batchcast.steps.report.html import html_figure, html_page

_SHOWN_STEPS = 56
_ROWS, _DOTS_ACROSS, _DOTS_DOWN = 10, 2, 4
# Where a dot of 2 x 4 sits in a Braille character (Unicode 2800 and on), by column and row.
_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
# Line -> what it is called, and its style in the terminal; page and picture have styles of their own.
LINES = {"naive": "seasonal naive", "history": "history", "actual": "actual", "model": "forecast"}
_STYLES = {"history": "default", "actual": "green", "model": "bold cyan"}
_MORE_STYLE = (
    "section .plots { grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); }"
    " figure { width: 100%; max-width: 44rem; margin: 0 auto; }"
    " path.actual { stroke: var(--ok); } .legend .actual::before { border-color: var(--ok); }"
)
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlottedForecast:
    """Values by moment. `actual` and `naive` are of the forecast steps, and may be empty."""

    item_id: str
    target: str
    history: Mapping[date, float]
    forecast: Mapping[date, float]
    naive: Mapping[date, float]
    actual: Mapping[date, float]
    frequency: Frequency = DAILY

    @classmethod
    def of(cls, record: AdHocRecord, answer: bytes, built: AdHocRecords) -> Self:
        """What a model answered to a record. Raises ModelError for an answer that is no forecast of it."""
        expected = built.expected
        try:
            document = decode_stored_answer(answer, built.contract.request)
            (found,) = split_answers(document, expected.outputs, 1)
            echoed = answered_item(found, expected.outputs)
            if echoed not in (None, record.item_id):
                raise AnswerError("wrong_id", f"the answer is of item {echoed!r}")
            values = read_answer(found, expected)
        except (ValueError, AnswerError) as error:
            what = f"the answer is no forecast: {': '.join(map(str, error.args))}."
            raise ModelError(Problem("answer", what, record.item_id, "Run `check-container`.")) from error
        days = [parse_moment(day) for day in expected.dates]
        return cls(
            item_id=record.item_id,
            target=expected.targets[0],
            history=record.history,
            forecast=dict(zip(days, values[:, expected.points[0]].tolist(), strict=True)),
            naive=record.naive,
            actual=record.actual,
            frequency=built.frequency,
        )

    @property
    def days(self) -> list[date]:
        """Every moment that is shown: at most the last 56 steps of the history, and the forecast."""
        first = min([*self.history, *self.forecast])
        moments = self.frequency.before(max(self.forecast), _SHOWN_STEPS + len(self.forecast))
        return [moment for moment in moments if moment >= first]

    @property
    def lines(self) -> dict[str, Array]:
        """What there is to draw over `days`, the last on top; the forecast begins where the history ends."""
        joint = {day: self.history[day] for day in [max(self.history, default=None)] if day}
        given = zip(LINES, (self.naive, self.history, self.actual, {**joint, **self.forecast}), strict=True)
        days = self.days
        drawn = {name: np.array([line.get(day, np.nan) for day in days]) for name, line in given}
        return {name: line for name, line in drawn.items() if np.isfinite(line).any()}

    @property
    def total(self) -> str:
        """What the forecast comes to, in as many digits as are worth reading."""
        value = sum(self.forecast.values())
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"

    @property
    def summary(self) -> str:
        """The forecast days, and what the forecast comes to over them."""
        first, last = min(self.forecast), max(self.forecast)
        start = "" if first == last else f"{first:%d %b %Y} to "
        return f"{start}{last:%d %b %Y}: {self.total} in all"

    @property
    def score(self) -> str:
        """How far the forecast is from what came, beside the naive one; empty where that is not known."""
        error, naive = self.wape(self.forecast), self.wape(self.naive)
        return "" if error is None or naive is None else f"WAPE {error:.2f}, seasonal naive {naive:.2f}"

    def wape(self, values: Mapping[date, float]) -> float | None:
        """Sum of absolute errors over sum of actual values; None where nothing is known."""
        known = [day for day in self.actual if day in values]
        total = sum(abs(self.actual[day]) for day in known)
        return sum(abs(values[day] - self.actual[day]) for day in known) / total if total else None


def terminal_plot(plotted: PlottedForecast, width: int) -> Text:
    """The plot in Braille dots, `width` characters wide: the history, a line, then the forecast and the actuals."""
    days, lines = plotted.days, {name: line for name, line in plotted.lines.items() if name in _STYLES}
    top = axis_top(float(np.nanmax([*lines.values()])))
    margin = max(len(f"{value:,.4g}") for value in (top, top / 2)) + 2
    columns = max(20, width - margin - 1)
    cells = _cells(lines, len(days), top, columns)
    begin = _column(days, min(plotted.forecast), columns)
    text = Text()
    for row in range(_ROWS):
        label = {0: f"{top:,.4g}", _ROWS // 2: f"{top / 2:,.4g}", _ROWS - 1: "0"}.get(row, "")
        text.append(f"{label:>{margin - 1}} ", style="dim")
        text.append("┤" if label else "│", style="dim")
        for column in range(columns):
            bits, style = cells.get((row, column), (0, "default"))
            empty = "┊" if column == begin else chr(0x2800)
            text.append(chr(0x2800 + bits) if bits else empty, style=style if bits else "dim")
        text.append("\n")
    text.append(" " * (margin + 1) + _date_line(days, min(plotted.forecast), columns) + "\n", style="dim")
    return text


def week_table(plotted: PlottedForecast) -> Table:
    """The forecast a week a row; a step a row where it is not daily."""
    if plotted.frequency != DAILY:
        table = Table("From", plotted.target, box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for moment, value in plotted.forecast.items():
            table.add_row(moment.isoformat().replace("T", " "), f"{value:,.1f}")
        return table
    table = Table("Week of", *_WEEKDAYS, "Total", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    first = min(plotted.forecast)
    monday = first - timedelta(days=first.weekday())
    while monday <= max(plotted.forecast):
        week = [plotted.forecast.get(monday + timedelta(days=number)) for number in range(7)]
        cells = ["" if value is None else f"{value:,.1f}" for value in week]
        total = sum(value for value in week if value is not None)
        table.add_row(f"{monday:%d %b %Y}", *cells, f"{total:,.1f}")
        monday += timedelta(days=7)
    return table


def forecast_page(plots: Sequence[PlottedForecast], source_text: str) -> str:
    """The plots as a page that needs nothing else; `source_text` says whose forecast it is."""
    figures = []
    for plotted in plots:
        dates = [day.isoformat() for day in plotted.days]
        chart = forecast_chart(f"Forecast of {plotted.item_id}", dates, plotted.lines)
        error = plotted.wape(plotted.forecast)
        score = "" if error is None else f", WAPE {error:.2f}"
        figures.append(html_figure(plotted.item_id, f"{plotted.target}{score}", chart))
    title = f"Forecast of {', '.join(plotted.item_id for plotted in plots)}"
    shown = {name for plotted in plots for name in plotted.lines}
    legend = "".join(f'<span class="{name}">{text}</span>' for name, text in LINES.items() if name in shown)
    body = (
        f'<header class="complete"><h1>{escape(title)}</h1>'
        f'<p class="facts">{escape(source_text)}</p><p class="legend">{legend}</p></header>'
        f'<section><div class="plots">{"".join(figures)}</div></section>'
    )
    return html_page(title, body, _MORE_STYLE)


def _column(days: Sequence[date], day: date, columns: int) -> int:
    """The column of characters in which a day is."""
    return round(days.index(day) * _across(len(days), columns)) // _DOTS_ACROSS


def _across(days: int, columns: int) -> float:
    """Dots from one day to the next."""
    return (columns * _DOTS_ACROSS - 1) / max(1, days - 1)


def _date_line(days: Sequence[date], start: date, columns: int) -> str:
    """The first day, the first of the forecast where there is room, and the last."""
    first, last, middle = (f"{day:%d %b %Y}" for day in (days[0], days[-1], start))
    place = _column(days, start, columns)
    if len(first) < place < columns - len(middle) - len(last):
        first = first.ljust(place) + middle
    if len(first) + len(last) >= columns:
        first, last = f"{days[0]:%d %b}", f"{days[-1]:%d %b}"
    return first.ljust(columns - len(last)) + last


def _cells(lines: Mapping[str, Array], days: int, top: float, columns: int) -> dict[tuple[int, int], tuple[int, str]]:
    """Row and column of a character to its dots and style."""
    cells: dict[tuple[int, int], tuple[int, str]] = {}
    across = _across(days, columns)
    down = _ROWS * _DOTS_DOWN - 1
    for name, line in lines.items():
        known = np.flatnonzero(np.isfinite(line)).tolist()
        points = [(round(at * across), round((1 - max(0.0, line[at]) / top) * down)) for at in known]
        # A day that was sold is a short dash, so that it differs from the line without colours too.
        dots = [(x - x % 2 + each, y) for x, y in points for each in (0, 1)] if name == "actual" else _joined(points)
        for x, y in dots:
            cell = (y // _DOTS_DOWN, x // _DOTS_ACROSS)
            bits, _ = cells.get(cell, (0, ""))
            cells[cell] = (bits | _BITS[x % _DOTS_ACROSS][y % _DOTS_DOWN], _STYLES[name])
    return cells


def _joined(points: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    yield from points[:1]
    for (x0, y0), (x1, y1) in pairwise(points):
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for step in range(1, steps + 1):
            yield round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps)
