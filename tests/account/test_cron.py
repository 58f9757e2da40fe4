"""Which days and minutes an expression names, held against a slow and obvious walk through the calendar."""

from __future__ import annotations

import calendar
from datetime import date, datetime, timedelta
from itertools import islice, takewhile

import pytest

from batchcast.pipelines.cron import parse_cron
from batchcast.steps.errors import ConfigError

FIRST, LAST = date(2026, 1, 1), date(2029, 1, 1)


def days(expression: str) -> list[date]:
    """The days of three years on which the expression matches."""
    times = parse_cron(expression).after(datetime(2025, 12, 31, 23, 59))
    return [at.date() for at in takewhile(lambda at: at.date() < LAST, times)]


def every_day() -> list[date]:
    return [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days)]


def last_day(day: date) -> date:
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


@pytest.mark.parametrize("weekday", range(1, 8))
def test_the_last_weekday_of_a_month_is_followed_by_none_of_its_kind(weekday: int) -> None:
    found = days(f"cron(0 0 ? * {weekday}L *)")
    assert len(found) == 36
    for day in found:
        assert day.isoweekday() % 7 + 1 == weekday
        assert day + timedelta(days=7) > last_day(day)


@pytest.mark.parametrize("number", range(1, 6))
def test_the_nth_weekday_of_a_month_has_so_many_before_it(number: int) -> None:
    expected = [day for day in every_day() if day.weekday() == 2 and (day.day - 1) // 7 == number - 1]
    assert days(f"cron(0 0 ? * WED#{number} *)") == expected


@pytest.mark.parametrize("wanted", [1, 2, 15, 28, 29, 30, 31])
def test_the_nearest_weekday_is_in_the_month_and_at_most_two_days_away(wanted: int) -> None:
    found = days(f"cron(0 0 {wanted}W * ? *)")
    months = {(day.year, day.month): day for day in found}
    assert len(months) == len(found)
    for first in (day for day in every_day() if day.day == 1):
        if wanted > last_day(first).day:
            assert (first.year, first.month) not in months
            continue
        around = [first.replace(day=wanted) + timedelta(days=away) for away in (0, -1, 1, -2, 2)]
        working = [day for day in around if day.month == first.month and day.weekday() < 5]
        assert months[first.year, first.month] == working[0]


def test_the_last_day_of_each_month() -> None:
    assert days("cron(0 0 L * ? *)") == [day for day in every_day() if day == last_day(day)]


def test_l_as_a_day_of_the_week_is_saturday() -> None:
    assert days("cron(0 0 ? * L *)") == [day for day in every_day() if day.weekday() == 5]


@pytest.mark.parametrize(
    ("field", "minutes"),
    [
        ("*", list(range(60))),
        ("*/20", [0, 20, 40]),
        ("0/1", list(range(60))),
        ("55/2", [55, 57, 59]),
        ("10-13", [10, 11, 12, 13]),
        ("10-16/3", [10, 13, 16]),
        ("59", [59]),
        ("0,59", [0, 59]),
        ("7-7", [7]),
    ],
)
def test_a_field_is_a_set_of_numbers(field: str, minutes: list[int]) -> None:
    cron = parse_cron(f"cron({field} 5 ? * * 2026)")
    found = [at.minute for at in islice(cron.after(datetime(2025, 1, 1)), len(minutes) + 1)]
    assert found[:-1] == minutes
    assert sorted(cron.minutes) == minutes


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        ("cron(0 0 1 1 ? 1970)", True),
        ("cron(0 0 1 1 ? 1969)", False),
        ("cron(0 0 1 1 ? 2199)", True),
        ("cron(0 0 1 1 ? 2200)", False),
        ("cron(59 23 ? * 7 *)", True),
        ("cron(0 0 ? * 8 *)", False),
        ("cron(0 0 31 12 ? *)", True),
        ("cron(0 0 31W 12 ? *)", True),
        ("cron(0 0 32W 12 ? *)", False),
        ("cron(0 0 ? * 0#1 *)", False),
        ("cron(0 0 ? * 8L *)", False),
        ("cron(0 0 ? DEC SAT *)", True),
        ("cron(0 0 ? * ² *)", False),
        ("cron(0/² 0 ? * 1 *)", False),
        ("cron(0/x 0 ? * 1 *)", False),
    ],
)
def test_the_ends_of_each_field(expression: str, matches: bool) -> None:
    if matches:
        parse_cron(expression)
    else:
        with pytest.raises(ConfigError):
            parse_cron(expression)


def test_a_time_is_later_than_the_moment_and_the_next_one_is_not_skipped() -> None:
    cron = parse_cron("cron(0,30 3,4 ? * SUN *)")
    found = list(islice(cron.after(datetime(2026, 11, 22, 3, 30)), 4))
    assert [f"{at:%d %H:%M}" for at in found] == ["22 04:00", "22 04:30", "29 03:00", "29 03:30"]


def test_days_of_the_week_by_number_begin_with_sunday() -> None:
    assert {day.weekday() for day in days("cron(0 0 ? * 2-6 *)")} == {0, 1, 2, 3, 4}


def test_the_last_year_is_the_last_that_is_looked_at() -> None:
    assert list(parse_cron("cron(0 0 1 1 ? *)").after(datetime(2198, 6, 1))) == [datetime(2199, 1, 1)]


def test_nothing_but_one_of_the_two_days_is_left_open() -> None:
    with pytest.raises(ConfigError) as neither:
        parse_cron("cron(0 0 ? * ? *)")
    with pytest.raises(ConfigError) as both:
        parse_cron("cron(0 0 1 * 1 *)")
    assert "neither" in str(neither.value)
    assert "both" in str(both.value)
