"""Cron expressions, and what changes of clocks make of their times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batchcast.pipelines.cron import Occurrence, next_irregular, next_runs, parse_cron, time_zone
from batchcast.steps.errors import ConfigError

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Sydney")


def local_times(expression: str, after: str, count: int = 3) -> list[str]:
    """The next times on the wall clock."""
    return [f"{at:%Y-%m-%d %H:%M}" for at in islice(parse_cron(expression).after(datetime.fromisoformat(after)), count)]


@pytest.mark.parametrize(
    ("expression", "times"),
    [
        ("cron(30 3 ? * SUN *)", ["2026-11-29 03:30", "2026-12-06 03:30", "2026-12-13 03:30"]),
        ("cron(30 3 ? * 1 *)", ["2026-11-29 03:30", "2026-12-06 03:30", "2026-12-13 03:30"]),
        ("cron(0 4 ? * mon,WED *)", ["2026-11-23 04:00", "2026-11-25 04:00", "2026-11-30 04:00"]),
        ("cron(0/20 0 1 * ? *)", ["2026-12-01 00:00", "2026-12-01 00:20", "2026-12-01 00:40"]),
        ("cron(0 0 L * ? *)", ["2026-11-30 00:00", "2026-12-31 00:00", "2027-01-31 00:00"]),
        ("cron(0 0 29 2 ? *)", ["2028-02-29 00:00", "2032-02-29 00:00", "2036-02-29 00:00"]),
        ("cron(0 0 ? * 6#3 *)", ["2026-12-18 00:00", "2027-01-15 00:00", "2027-02-19 00:00"]),
        ("cron(0 0 ? * FRIL *)", ["2026-11-27 00:00", "2026-12-25 00:00", "2027-01-29 00:00"]),
        ("cron(0 0 ? * L *)", ["2026-11-28 00:00", "2026-12-05 00:00", "2026-12-12 00:00"]),
        ("cron(0 0 1W * ? *)", ["2026-12-01 00:00", "2027-01-01 00:00", "2027-02-01 00:00"]),
        ("cron(0 0 31W * ? *)", ["2026-12-31 00:00", "2027-01-29 00:00", "2027-03-31 00:00"]),
        ("cron(0 0 15W 5-6 ? *)", ["2027-05-14 00:00", "2027-06-15 00:00", "2028-05-15 00:00"]),
        ("cron(0 12 1 JAN ? 2027-2028)", ["2027-01-01 12:00", "2028-01-01 12:00"]),
        ("cron(59 23 31 12 ? 2199)", ["2199-12-31 23:59"]),
        ("cron(0 0 1 1 ? 1999)", []),
    ],
)
def test_the_next_times_of_an_expression(expression: str, times: list[str]) -> None:
    assert local_times(expression, "2026-11-22T03:30") == times


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("30 3 ? * SUN *", "is not a cron expression of six fields"),
        ("cron(30 3 * * SUN)", "is not a cron expression of six fields"),
        ("rate(7 days)", "is not a cron expression of six fields"),
        ("cron(60 3 ? * SUN *)", "'60' is no minutes of 0 to 59"),
        ("cron(30 24 ? * SUN *)", "'24' is no hours of 0 to 23"),
        ("cron(30 3 ? * SUNDAY *)", "'SUNDAY' is no day-of-week of 1 to 7"),
        ("cron(30 3 ? * 0 *)", "'0' is no day-of-week"),
        ("cron(30 3 ? 13 SUN *)", "'13' is no month"),
        ("cron(30 3 32 * ? *)", "'32' is no day-of-month"),
        ("cron(30 3 0W * ? *)", "'0W' is no day-of-month"),
        ("cron(30 3 ? * SUN 2200)", "'2200' is no year"),
        ("cron(30 3 * * SUN *)", "both say which day"),
        ("cron(30 3 ? * ? *)", "neither day-of-month nor day-of-week"),
        ("cron(5-1 3 ? * SUN *)", "'5-1' is no minutes"),
        ("cron(0/0 3 ? * SUN *)", "'0/0' is no minutes"),
        ("cron(30 3 ? * SUN#6 *)", "'SUN#6' is no day-of-week"),
        ("cron(٣ 3 ? * SUN *)", "is no minutes"),
    ],
)
def test_a_wrong_expression_is_refused_by_its_field(expression: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_cron(expression)
    assert said in str(raised.value)


def test_all_wrong_fields_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        parse_cron("cron(60 24 32 13 ? 1)")
    assert len(raised.value.problems) == 5


def runs(expression: str, zone: str, after: str, count: int) -> list[Occurrence]:
    """The next runs after a moment in UTC."""
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    return list(next_runs(parse_cron(expression), ZoneInfo(zone), moment, count))


def told(occurrences: list[Occurrence]) -> list[str]:
    """Local time, UTC, and whether it is unusual."""
    return [
        f"{one.local:%m-%d %H:%M} {'skipped' if one.utc is None else f'{one.utc:%m-%d %H:%M}'}"
        + (" twice" if one.repeated else "")
        for one in occurrences
    ]


@pytest.mark.parametrize(
    ("zone", "after", "expected"),
    [
        ("Europe/Berlin", "2026-03-20", ["03-22 02:30 03-22 01:30", "03-29 02:30 skipped", "04-05 02:30 04-05 00:30"]),
        ("Europe/Berlin", "2026-10-20", ["10-25 02:30 10-25 00:30 twice", "11-01 02:30 11-01 01:30"]),
        ("America/New_York", "2026-03-02", ["03-08 02:30 skipped", "03-15 02:30 03-15 06:30"]),
        ("America/New_York", "2026-10-30", ["11-01 02:30 11-01 07:30", "11-08 02:30 11-08 07:30"]),
        ("Australia/Sydney", "2026-10-01", ["10-04 02:30 skipped", "10-11 02:30 10-10 15:30"]),
        ("Australia/Sydney", "2026-04-01", ["04-05 02:30 04-04 15:30 twice", "04-12 02:30 04-11 16:30"]),
        ("UTC", "2026-03-27", ["03-29 02:30 03-29 02:30"]),
    ],
)
def test_half_past_two_on_sundays_over_a_change_of_clocks(zone: str, after: str, expected: list[str]) -> None:
    count = sum("skipped" not in one for one in expected)
    assert told(runs("cron(30 2 ? * SUN *)", zone, after, count)) == expected


def test_the_notes_say_what_happens() -> None:
    (_, gap, _), (twice,) = (
        runs("cron(30 2 ? * SUN *)", "Europe/Berlin", "2026-03-20", 2),
        runs("cron(30 2 ? * SUN *)", "Europe/Berlin", "2026-10-24", 1),
    )
    assert gap.note == "skipped: the clocks go forward, 02:30 does not exist"
    assert twice.note == "the clocks go back, 02:30 comes twice; it runs once"


@pytest.mark.parametrize(
    ("expression", "zone", "expected"),
    [
        ("cron(30 2 ? * SUN *)", "Europe/Berlin", "2027-03-28 02:30"),
        ("cron(30 3 ? * SUN *)", "Europe/Berlin", None),
        ("cron(30 3 ? * SUN *)", "Europe/Helsinki", "2027-03-28 03:30"),
        ("cron(30 1 ? * SUN *)", "America/New_York", "2027-11-07 01:30"),
        ("cron(15 2 ? * SUN *)", "Australia/Lord_Howe", "2027-10-03 02:15"),
        ("cron(30 2 ? * MON *)", "Europe/Berlin", None),
        ("cron(30 2 ? * SUN *)", "UTC", None),
        ("cron(30 2 28 3 ? 2027)", "Europe/Berlin", "2027-03-28 02:30"),
        ("cron(30 2 25 3 ? 2029)", "Europe/Berlin", None),
    ],
)
def test_the_next_time_that_a_change_of_clocks_concerns(expression: str, zone: str, expected: str | None) -> None:
    last = Occurrence(local=datetime(2026, 12, 6, 2, 30), utc=datetime(2026, 12, 6, 2, 30, tzinfo=UTC), repeated=False)
    found = next_irregular(parse_cron(expression), ZoneInfo(zone), last)
    assert (found and f"{found.local:%Y-%m-%d %H:%M}") == expected


@settings(max_examples=50, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    hour=st.integers(0, 5),
    minute=st.integers(0, 59),
    after=st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)),
)
@example(zone="Europe/Berlin", hour=2, minute=30, after=datetime(2026, 3, 28))
@example(zone="Australia/Sydney", hour=2, minute=0, after=datetime(2026, 10, 3))
@example(zone="America/New_York", hour=1, minute=30, after=datetime(2026, 10, 31, 6))
def test_every_minute_of_utc_agrees(zone: str, hour: int, minute: int, after: datetime) -> None:
    """The slow and obvious way: walk the minutes of UTC and look at the wall clock, first sight of a time counts."""
    begin, tz = after.replace(second=0, microsecond=0, tzinfo=UTC), ZoneInfo(zone)
    found = list(next_runs(parse_cron(f"cron({minute} {hour} * * ? *)"), tz, begin, 4))
    seen: dict[datetime, datetime] = {}
    moment = begin - timedelta(days=1)
    later: list[datetime] = []
    while len(later) < 4:
        moment += timedelta(minutes=1)
        local = moment.astimezone(tz).replace(tzinfo=None)
        if (local.hour, local.minute) == (hour, minute) and local not in seen:
            seen[local] = moment
            later += [moment] if moment > begin else []
    assert [one.utc for one in found if one.utc] == later
    skipped = {one.local for one in found if one.utc is None}
    assert not skipped & set(seen)
    days = {one.local.date() for one in found}
    assert len(days) == len(found)
    assert max(days) - min(days) == timedelta(days=len(days) - 1)


def test_an_unknown_zone_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean Europe/Berlin"):
        time_zone("Europe/Berln")
    with pytest.raises(ConfigError, match="Did you mean Europe/Berlin"):
        time_zone("Berlin")
