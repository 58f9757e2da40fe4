"""EventBridge Scheduler's cron expressions, `cron(minutes hours day-of-month month day-of-week year)`, and their times.

Source: EventBridge Scheduler user guide, "Schedule types", read 2023-11. A time is matched on the wall clock of the
schedule's time zone. What its changes of clocks do to it, "Daylight saving time" of the same guide: a time that is left
out is skipped, a time that is repeated is run once.
"""

import calendar
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

from batchcast.steps.errors import ConfigError, Problem, did_you_mean

_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_WEEKDAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
_FORM = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")
_LAST_YEAR = 2199


# Field -> the numbers that it may have, and names for them.
_FIELDS: Mapping[str, tuple[int, int, Mapping[str, int]]] = {
    "minutes": (0, 59, {}),
    "hours": (0, 23, {}),
    "day-of-month": (1, 31, {}),
    "month": (1, 12, _MONTHS),
    "day-of-week": (1, 7, _WEEKDAYS),
    "year": (1970, _LAST_YEAR, {}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    minutes: frozenset[int]
    hours: frozenset[int]
    months: frozenset[int]
    years: frozenset[int]
    on_day: Callable[[date], bool]

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Every matching time later than `moment`, in order; wall-clock times, which have no time zone."""
        times = [time(hour, minute) for hour in sorted(self.hours) for minute in sorted(self.minutes)]
        day = moment.date()
        while day.year <= _LAST_YEAR:
            if day.year not in self.years or day.month not in self.months:
                day = (day.replace(day=28) + timedelta(days=4)).replace(day=1)  # of the next month
                continue
            if self.on_day(day):
                yield from (at for each in times if (at := datetime.combine(day, each)) > moment)
            day += timedelta(days=1)


def parse_cron(expression: str) -> Cron:
    """Raises ConfigError with every field that is wrong; `rate` and `at` have no wall-clock times and are refused."""
    form = _FORM.fullmatch(expression)
    if form is None:
        what = f"{expression!r} is not a cron expression of six fields."
        remedy = "Write cron(minutes hours day-of-month month day-of-week year), like cron(30 3 ? * SUN *)."
        raise ConfigError(Problem("cron", what, "--cron", remedy))
    minutes, hours, day_of_month, month, day_of_week, year = form.groups()
    problems: list[Problem] = []
    cron = Cron(
        minutes=_numbers(minutes, "minutes", problems),
        hours=_numbers(hours, "hours", problems),
        months=_numbers(month, "month", problems),
        years=_numbers(year, "year", problems),
        on_day=_days(day_of_month, day_of_week, problems),
    )
    ConfigError.raise_any(problems)
    return cron


def _numbers(text: str, field: str, problems: list[Problem]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        numbers = _range(part, field)
        if not numbers:
            low, high, _ = _FIELDS[field]
            what = f"{part!r} is no {field} of {low} to {high}."
            problems.append(Problem("cron", what, "--cron", "Use numbers, names where there are any, and , - * /."))
        found |= set(numbers)
    return frozenset(found)


def _range(part: str, field: str) -> range:
    """Empty for what is none."""
    span, slash, step = part.partition("/")
    if slash and not (step.isascii() and step.isdigit() and int(step)):
        return range(0)
    low, high, _ = _FIELDS[field]
    if span == "*":
        return range(low, high + 1, int(step or 1))
    first, dash, last = span.partition("-")
    begin = _number(first, field)
    end = _number(last, field) if dash else (high if slash else begin)
    return range(0) if begin is None or end is None else range(begin, end + 1, int(step or 1))


def _number(text: str, field: str) -> int | None:
    low, high, names = _FIELDS[field]
    number = names.get(text.upper())
    if number is None and text.isascii() and text.isdigit() and len(text) <= len("2199"):
        number = int(text)
    return number if number is not None and low <= number <= high else None


def _days(day_of_month: str, day_of_week: str, problems: list[Problem]) -> Callable[[date], bool]:
    """Exactly one of the two fields is `?`; the other decides."""
    if (day_of_month == "?") == (day_of_week == "?"):
        what = f"day-of-month {day_of_month!r} and day-of-week {day_of_week!r} both say which day."
        if day_of_month == "?":
            what = "neither day-of-month nor day-of-week says which day."
        problems.append(Problem("cron", what, "--cron", "Write ? in exactly one of the two."))
        return lambda _: False
    if day_of_month == "?":
        return _weekdays(day_of_week, problems)
    return _monthdays(day_of_month, problems)


def _monthdays(text: str, problems: list[Problem]) -> Callable[[date], bool]:
    if text == "L":
        return lambda day: day.day == _length(day)
    if nearest := re.fullmatch(r"(\d{1,2})W", text):
        wanted = int(nearest[1])
        if wanted in range(1, 32):
            return lambda day: day.day == _nearest_weekday(day, wanted)
    numbers = _numbers(text, "day-of-month", problems)
    return lambda day: day.day in numbers


def _weekdays(text: str, problems: list[Problem]) -> Callable[[date], bool]:
    if text == "L":
        return lambda day: _weekday(day) == _WEEKDAYS["SAT"]
    if nth := re.fullmatch(r"(\w+)#([1-5])", text):
        weekday, number = _number(nth[1], "day-of-week"), int(nth[2])
        if weekday is not None:
            return lambda day: _weekday(day) == weekday and (day.day - 1) // 7 + 1 == number
    if last := re.fullmatch(r"(\w+)L", text):
        weekday = _number(last[1], "day-of-week")
        if weekday is not None:
            return lambda day: _weekday(day) == weekday and day.day + 7 > _length(day)
    numbers = _numbers(text, "day-of-week", problems)
    return lambda day: _weekday(day) in numbers


def _weekday(day: date) -> int:
    """1 is Sunday."""
    return day.isoweekday() % 7 + 1


def _length(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def _nearest_weekday(day: date, wanted: int) -> int | None:
    """The Monday to Friday nearest to a day of this month, within the month; None where the month has no such day."""
    if wanted > _length(day):
        return None
    weekday = day.replace(day=wanted).isoweekday()
    if weekday == 6:
        return wanted - 1 if wanted > 1 else wanted + 2
    if weekday == 7:
        return wanted + 1 if wanted < _length(day) else wanted - 2
    return wanted


# Clocks change twice a year. An hourly schedule has so many times in it; of one that runs oftener the next weeks do.
_A_YEAR = timedelta(days=366)
_MOST_LOOKED_AT = 9000


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One time of a schedule. `utc` is None for a time that does not exist that day: the run is skipped."""

    local: datetime
    utc: datetime | None
    repeated: bool

    @property
    def note(self) -> str:
        """What is unusual about it, in words."""
        if self.utc is None:
            return f"skipped: the clocks go forward, {self.local:%H:%M} does not exist"
        if self.repeated:
            return f"the clocks go back, {self.local:%H:%M} comes twice; it runs once"
        return ""


def time_zone(name: str) -> ZoneInfo:
    """Raises ConfigError for a name that is not in the time zone database."""
    known = available_timezones()
    if name not in known:
        city = [f"Did you mean {one}?" for one in known if one.endswith(f"/{name}")]
        remedy = did_you_mean(name, known, next(iter(city), "Write it like Europe/Berlin, or UTC."))
        raise ConfigError(Problem("time_zone", f"there is no time zone {name!r}.", "--timezone", remedy))
    return ZoneInfo(name)


def next_runs(cron: Cron, zone: ZoneInfo, after: datetime, count: int) -> Iterator[Occurrence]:
    """The next `count` times that run, later than `after` (UTC), and the skipped ones among them."""
    begin = (after.astimezone(zone) - timedelta(days=1)).replace(tzinfo=None)
    for local in cron.after(begin):
        found = _occurrence(local, zone)
        if (found.utc or _if_it_existed(local, zone)) <= after:
            continue
        if count == 0:
            return
        yield found
        count -= found.utc is not None


def next_irregular(cron: Cron, zone: ZoneInfo, after: Occurrence) -> Occurrence | None:
    """The first time within a year after this one that does not exist or comes twice."""
    for one in next_runs(cron, zone, after.utc or _if_it_existed(after.local, zone), _MOST_LOOKED_AT):
        if one.local - after.local > _A_YEAR:
            return None
        if one.note:
            return one
    return None


def describe_times(cron: str, timezone: str, count: int = 3) -> Iterator[str]:
    """A line for each of so many times that run, and for the first after them that a change of clocks concerns, if
    there is one in a year."""
    parsed, zone = parse_cron(cron), time_zone(timezone)
    found = list(next_runs(parsed, zone, datetime.now(UTC), count))
    if not found:
        yield f"It never runs: no time from now on matches {cron}."
        return
    yield from (_words(one, timezone) for one in found)
    later = next_irregular(parsed, zone, found[-1])
    if later:
        yield "…"
        yield _words(later, timezone)


def _words(one: Occurrence, timezone: str) -> str:
    utc = "not run         " if one.utc is None else f"{one.utc:%Y-%m-%d %H:%M} UTC"
    return f"{one.local:%a %Y-%m-%d %H:%M} {timezone}   {utc}   {one.note}".rstrip()


def _occurrence(local: datetime, zone: ZoneInfo) -> Occurrence:
    """Of a repeated time the first one counts."""
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first.astimezone(zone).replace(tzinfo=None) != local:
        return Occurrence(local=local, utc=None, repeated=False)
    return Occurrence(local=local, utc=first, repeated=first != second)


def _if_it_existed(local: datetime, zone: ZoneInfo) -> datetime:
    return local.replace(tzinfo=zone).astimezone(UTC)
