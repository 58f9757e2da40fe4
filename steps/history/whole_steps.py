"""Where rows are put together: which steps their moments, sorted seconds, fill, and where steps of several base periods
begin. Steps are counted from a base period `origin`, which names step 0."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from batchcast.steps.contract.frequency import Frequency, Seconds

_STEPS = 100
_CALENDAR: Mapping[str, int] = {"MS": 12, "ME": 12, "h": 24, "min": 1440}
"""Base periods of a year or a day, which steps of several divide."""


def last_whole_step(seconds: Seconds, frequency: Frequency, origin: int) -> int:
    """The last step whose end the moments reach as they do that of nine in ten before it."""
    steps = frequency.steps(seconds, origin)
    last = np.append(np.flatnonzero(np.diff(steps)), len(steps) - 1)[-_STEPS:]
    short = np.array([frequency.begin(origin, int(step) + 1) for step in steps[last]]) - seconds[last]
    usual = float(np.quantile(short[:-1], 0.9)) if len(short) > 1 else 0.0
    return int(steps[-1]) - int(short[-1] > max(usual, _apart(seconds)))


def begins_within(seconds: Seconds, frequency: Frequency, origin: int) -> bool:
    """Whether the moments begin later in their first step than they do in nine in ten of those after it."""
    steps = frequency.steps(seconds, origin)
    first = np.append(0, np.flatnonzero(np.diff(steps)) + 1)[: _STEPS + 1]
    late = seconds[first] - np.array([frequency.begin(origin, int(step)) for step in steps[first]])
    usual = float(np.quantile(late[1:], 0.9)) if len(late) > 1 else 0.0
    return bool(late[0] > max(usual, _apart(seconds)))


def step_origin(seconds: Seconds, frequency: Frequency) -> int:
    """A base period that names a step: the moments' own where they lie in every second, third … base period alone, else
    the calendar's, so that 3ME are its quarters; where it has none, the last that has ended ends a step."""
    ordinals, multiple = np.unique(frequency.ordinals(seconds)), frequency.multiple
    if multiple == 1 or not np.any((ordinals - ordinals[-1]) % multiple):
        return int(ordinals[-1])
    ahead = 0 if frequency.named_last else multiple - 1
    if frequency.unit in _CALENDAR and _CALENDAR[frequency.unit] % multiple == 0:
        return multiple - 1 - ahead
    base = replace(frequency, multiple=1)
    return int(ordinals[-1]) + last_whole_step(seconds, base, int(ordinals[-1])) - ahead


def _apart(seconds: Seconds) -> int:
    return int(np.diff(seconds).min()) if len(seconds) > 1 else 0
