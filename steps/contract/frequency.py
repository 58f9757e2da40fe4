"""How far apart the rows of a series lie, in pandas' aliases: D, B, W-SUN … W-SAT, MS, ME, QS, h, min and multiples.

A frequency is a grid of moments without a zone. Base periods are counted by whole numbers (days, weeks, months …
since 1970), so that steps are subtractions; moments are seconds since 1970-01-01T00:00:00.
"""

import math
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import numpy.typing as npt

DAY, HOUR, MINUTE = 86_400, 3_600, 60
_THURSDAY = 3
"""1970-01-01 was one; Monday is 0."""
_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_SEASONS = {"D": 7, "B": 5, "W": 52, "MS": 12, "ME": 12, "QS": 4, "h": 24, "min": 1440}
"""Base periods after which a pattern recurs: a week, a year, a day."""
_SIZES = {"D": DAY, "h": HOUR, "min": MINUTE}
_MONTHS_EACH = {"MS": 1, "ME": 1, "QS": 3}
_A_YEAR = {"D": 366, "B": 262, "W": 53, "MS": 12, "ME": 12, "QS": 4, "h": 366 * 24, "min": 366 * 1440}
_ALIAS = re.compile(r"([1-9][0-9]{0,3})?(D|B|W|MS|ME|QS|h|min)(?:-([A-Z]{3}))?")
_OTHER_NAMES = {"H": (1, "h"), "T": (1, "min"), "d": (1, "D"), "w": (1, "W-SUN"), "M": (1, "ME")} | {
    name: (multiple, unit)
    for multiple, unit, names in ((3, "ME", "Q QE"), (12, "ME", "A Y YE"), (12, "MS", "AS YS"))
    for name in names.split()
}
"""What older versions of pandas, or others of its aliases, call a frequency or the nearest to it."""
_EPOCH = datetime(1970, 1, 1)
_MIDNIGHT_SHARE = 0.95
_LEAST_WEEKDAYS = 10
Seconds = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frequency:
    """`multiple` base periods of `unit`; `anchor` is the weekday of W (Monday 0) or the first month of QS (January 0).

    Where the period's name is its last moment (W, ME) it holds what came before, as in pandas' resample.
    """

    unit: str
    multiple: int = 1
    anchor: int = 0

    @property
    def alias(self) -> str:
        """As pandas writes it: `W-SUN`, `15min`."""
        name = self.unit
        if name == "W":
            name = f"W-{_WEEKDAYS[self.anchor]}"
        elif name == "QS" and self.anchor:
            name = f"QS-{_MONTHS[self.anchor]}"
        return name if self.multiple == 1 else f"{self.multiple}{name}"

    @property
    def below_day(self) -> bool:
        return self.unit in ("h", "min")

    @property
    def season(self) -> int:
        """Steps after which the calendar's pattern recurs: 7 for D, 52 for W, 12 for MS, 24 for h, 96 for 15min."""
        base = _SEASONS[self.unit]
        return math.lcm(base, self.multiple) // self.multiple

    @property
    def steps_a_year(self) -> int:
        """Steps in a year, rounded up."""
        return -(-_A_YEAR[self.unit] // self.multiple)

    def ordinals(self, seconds: Seconds) -> Seconds:
        """The number of the base period that holds each moment."""
        if self.unit == "B":
            weeks, weekday = np.divmod(seconds // DAY + _THURSDAY, 7)
            return weeks * 5 + np.minimum(weekday, 4)
        if self.unit == "W":
            return (seconds // DAY - self._first_day + 6) // 7
        if self.unit in _MONTHS_EACH:
            return (_months(seconds) - self.anchor) // _MONTHS_EACH[self.unit]
        return seconds // _SIZES[self.unit]

    def seconds(self, ordinals: Seconds) -> Seconds:
        """The moment that names each base period: the only one of it that is on the grid."""
        if self.unit == "B":
            return (ordinals // 5 * 7 - _THURSDAY + ordinals % 5) * DAY
        if self.unit == "W":
            return (ordinals * 7 + self._first_day) * DAY
        if self.unit == "ME":
            return _month_starts(ordinals + 1) - DAY
        if self.unit in _MONTHS_EACH:
            return _month_starts(ordinals * _MONTHS_EACH[self.unit] + self.anchor)
        return ordinals * _SIZES[self.unit]

    @property
    def _first_day(self) -> int:
        """The first day from 1970-01-01 on that is the weekday of W."""
        return (self.anchor - _THURSDAY) % 7

    def steps(self, seconds: Seconds, origin: int) -> Seconds:
        """How many steps after the base period `origin` each moment lies; moments inside a step count to it."""
        away = self.ordinals(seconds) - origin
        return -(-away // self.multiple) if self.named_last else away // self.multiple

    def on_grid(self, seconds: Seconds, origin: int) -> npt.NDArray[np.bool_]:
        """Which moments name a step counted from the base period `origin`."""
        ordinals = self.ordinals(seconds)
        found: npt.NDArray[np.bool_] = (self.seconds(ordinals) == seconds) & ((ordinals - origin) % self.multiple == 0)
        return found

    def begin(self, origin: int, step: int) -> int:
        """The first moment that counts to the step."""
        ordinal = origin + (step - 1) * self.multiple + 1 if self.named_last else origin + step * self.multiple
        moment = int(self.seconds(np.array([ordinal]))[0])
        if self.unit == "W":
            return moment - 6 * DAY
        return int(_month_starts(np.array([ordinal]))[0]) if self.unit == "ME" else moment

    def ordinal(self, moment: date) -> int:
        """The number of the base period that holds the moment."""
        return int(self.ordinals(np.array([to_second(moment)]))[0])

    def holds(self, moment: date) -> bool:
        """Whether the moment names a base period."""
        second = to_second(moment)
        return int(self.seconds(self.ordinals(np.array([second])))[0]) == second

    def after(self, moment: date, steps: int) -> list[date]:
        """The next `steps` moments: dates, or date-times below a day. Raises OverflowError beyond the year 9999."""
        ordinals = self.ordinal(moment) + self.multiple * np.arange(1, steps + 1)
        return [to_moment(second, self) for second in self.seconds(ordinals).tolist()]

    def before(self, moment: date, steps: int) -> list[date]:
        """The last `steps` moments up to this one, oldest first."""
        ordinals = self.ordinal(moment) + self.multiple * np.arange(1 - steps, 1)
        return [to_moment(second, self) for second in self.seconds(ordinals).tolist()]

    @property
    def named_last(self) -> bool:
        """Whether a period's name is its last moment, so that a step of several is named by the last of them."""
        return self.unit in ("W", "ME")


DAILY = Frequency(unit="D")


def parse_frequency(text: str) -> Frequency:
    """The frequency of an alias. Raises ValueError that says what is wrong and what to write."""
    found = _ALIAS.fullmatch(text)
    if found is None:
        found = re.match(r"([0-9]*)([A-Za-z]*)-?([A-Z]*)", text)
        digits, name, anchor = found.groups()  # type: ignore[union-attr]  # matches any text
        known = "D, B, W-SUN to W-SAT, MS, ME, QS, h, min and multiples such as 2W-SUN, 4h, 15min"
        if name in _OTHER_NAMES and int(digits or 1):
            multiple, unit = _OTHER_NAMES[name]
            multiple *= int(digits or 1)
            known = unit if multiple == 1 else f"{multiple}{unit}"
            if name in ("Q", "QE") and anchor in _MONTHS[:-1]:
                known += f", or with aggregate {digits}QS-{_MONTHS[_MONTHS.index(anchor) + 1]}"
        raise ValueError(f"is not known; write {known}")
    number, unit, anchor = found.groups()
    names = {"W": _WEEKDAYS, "QS": _MONTHS}.get(unit, ())
    if anchor is not None and anchor not in names:
        raise ValueError(f"has no such anchor; write {unit}{f'-{names[-1]}' if names else ''}")
    default = names[-1] if unit == "W" else names[0] if names else None
    place = names.index(anchor or default) if default else 0
    return Frequency(unit=unit, multiple=int(number or 1), anchor=place)


def infer_frequency(seconds: Seconds, rows: Seconds) -> Frequency:
    """The frequency of a history from its different moments, sorted, and the number of rows at each.

    The coarsest grid that (nearly) all rows lie on. Raises ValueError that says why there is none: rows that are days
    apart, such as the 15th of each month, are no daily history with gaps.
    """
    at_midnight = seconds % DAY == 0
    if rows[at_midnight].sum() < _MIDNIGHT_SHARE * rows.sum():
        return _infer_below_day(seconds)
    seconds, rows = seconds[at_midnight], rows[at_midnight]
    for candidate in _candidates(seconds):
        ordinals = candidate.ordinals(seconds)
        if rows[candidate.seconds(ordinals) == seconds].sum() >= _MIDNIGHT_SHARE * rows.sum():
            return candidate
    days = seconds // DAY
    gap = int(np.median(np.diff(days))) if len(days) > 1 else 1
    if gap < 2:
        return DAILY
    if len(days) > 2 and rows[(days[-1] - days) % gap == 0].sum() >= _MIDNIGHT_SHARE * rows.sum():
        return Frequency(unit="D", multiple=gap)
    raise ValueError(f"the rows lie {gap} days apart as a rule, and on no weekday, first or last day of a month")


def to_second(moment: date) -> int:
    """Seconds since 1970-01-01T00:00:00 of a date's midnight, or of a date-time."""
    if isinstance(moment, datetime):
        return (moment - _EPOCH) // timedelta(seconds=1)
    return (moment.toordinal() - _EPOCH.toordinal()) * DAY


def to_moment(second: int, frequency: Frequency) -> date:
    """The date of a second, or the date-time below a day. Raises OverflowError outside the years 1 to 9999."""
    moment = _EPOCH + timedelta(seconds=int(second))
    return moment if frequency.below_day else moment.date()


def _infer_below_day(seconds: Seconds) -> Frequency:
    gaps, counts = np.unique(np.diff(seconds), return_counts=True)
    usual = int(gaps[np.argmax(counts)]) if len(gaps) else DAY
    if usual >= DAY:
        example = to_moment(int(seconds[-1]), Frequency(unit="h"))
        raise ValueError(f"the rows lie {usual // HOUR} hours apart and not at midnight, as {example.isoformat()}")
    for unit, size in (("h", HOUR), ("min", MINUTE)):
        if usual % size == 0 and (seconds % size == 0).mean() >= _MIDNIGHT_SHARE:
            return Frequency(unit=unit, multiple=usual // size)
    raise ValueError(f"the rows lie {usual} seconds apart, and the shortest frequency is a minute")


def _candidates(seconds: Seconds) -> list[Frequency]:
    """Grids of at least a day that the distances of the moments allow, the coarsest first."""
    days = seconds // DAY
    gap = int(np.median(np.diff(days))) if len(days) > 1 else 1
    found = []
    if gap >= 28:
        months = _months(seconds)
        apart = max(int(np.median(np.diff(months))), 1)
        if apart == 3:
            found.append(Frequency(unit="QS", anchor=int(months[-1] % 3)))
        found += [Frequency(unit="MS", multiple=apart), Frequency(unit="ME", multiple=apart)]
    if gap >= 7:
        weekday = int(np.bincount((days + _THURSDAY) % 7).argmax())
        found.append(Frequency(unit="W", anchor=weekday, multiple=2 if gap == 14 else 4 if gap == 28 else 1))
    if gap < 7 and len(days) >= _LEAST_WEEKDAYS:
        found.append(Frequency(unit="B"))
    return found


def _months(seconds: Seconds) -> Seconds:
    return (seconds // DAY).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def _month_starts(months: Seconds) -> Seconds:
    starts: Seconds = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) * DAY
    return starts
