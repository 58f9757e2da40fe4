"""The picture of the README: what a week costs on an endpoint and in batch, drawn from what `plan` computes."""

from __future__ import annotations

from html import escape
from typing import Any

_ITEMS, _SECONDS = 100_000, 30.0
_WIDTH, _HEIGHT, _LEFT, _RIGHT = 960, 262, 212, 936
_HOURS, _START = 168, 20  # a week from Saturday, 20:00
_DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
_NIGHT = 22, 8  # it begins at 22:00, and has eight hours
_ENDPOINT, _ENDPOINT_IDLE, _BATCH = "#b45309", "#fcd9a0", "#1d4ed8"


def week_svg() -> str:
    """One week: an endpoint that is always on, and the transform job of the same records."""
    endpoint, batch, inputs = _planned()
    title = f"{_ITEMS:,} forecasts of {_SECONDS:.0f} s each, every week"
    say = f"{title}: ${endpoint['cost_usd']:,.0f} on an endpoint, ${batch['cost_usd']:,.0f} in batch"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{say}" '
        'font-family="system-ui, sans-serif" font-size="14" fill="#0f172a">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="10" fill="#f8fafc"/>',
        _text(24, 34, title, 'font-size="17" font-weight="600"'),
        _text(_RIGHT, 34, f"{inputs['instance_type']}, {inputs['region']}, prices of {inputs['price']['as_of']}", _END),
        *_nights(),
        *_row(
            78,
            f"Endpoint, {inputs['endpoint_instances']} instances",
            f"paid all week, at work {_clock(endpoint['wall_hours'])}, {inputs['endpoint_requests']} requests at once",
            f"${endpoint['cost_usd']:,.0f} a week",
        ),
        _bar(78, _HOURS, _ENDPOINT_IDLE),
        _bar(78, endpoint["wall_hours"], _ENDPOINT),
        *_row(
            152,
            f"Batch, {inputs['instances']} instances",
            f"paid and at work {_clock(batch['wall_hours'])}, then nothing runs",
            f"${batch['cost_usd']:,.0f} a week",
        ),
        _bar(152, batch["wall_hours"], _BATCH),
        "</svg>",
    ]
    return "\n".join(parts)


_END = 'text-anchor="end" font-size="12.5" fill="#475569"'


def _planned() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The endpoint with several requests at once, the transform job, and what both were counted with."""
    from batchcast.planner.plan.plan import plan

    document = plan(items=_ITEMS, seconds=_SECONDS).document()
    scenarios = {each["name"]: each for each in document["scenarios"]}
    return scenarios["endpoint_concurrent"], scenarios["batch"], document["inputs"]


def _text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y}" {more}>{escape(words)}</text>'


def _at(hour: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * hour / _HOURS


def _nights() -> list[str]:
    begins, lasts = _NIGHT
    parts = []
    for number, day in enumerate(_DAYS):
        left, right = _at(24 * number + begins - _START), _at(24 * number + begins - _START + lasts)
        parts.append(f'<rect x="{left:.1f}" y="58" width="{right - left:.1f}" height="166" fill="#e2e8f0"/>')
        parts.append(_text((left + right) / 2, 244, day, 'text-anchor="middle" font-size="12.5" fill="#475569"'))
    return parts


def _row(y: int, name: str, words: str, price: str) -> list[str]:
    return [
        _text(24, y + 18, name, 'font-weight="600"'),
        _text(24, y + 40, price, 'font-size="17"'),
        _text(_LEFT + 6, y + 54, words, 'font-size="12.5"'),
    ]


def _bar(y: int, hours: float, colour: str) -> str:
    return f'<rect x="{_LEFT}" y="{y}" width="{_at(hours) - _LEFT:.1f}" height="36" rx="3" fill="{colour}"/>'


def _clock(hours: float) -> str:
    whole, minutes = divmod(round(hours * 60), 60)
    return f"{whole} h {minutes:02} m"
