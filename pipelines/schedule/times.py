"""When a schedule runs: wall-clock times of a time zone, and what its changes of clocks do to them.

EventBridge Scheduler user guide, "Daylight saving time", read 2023-11: a time that a change of clocks leaves out is
skipped, a time that it repeats is run once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from zoneinfo import ZoneInfo, available_timezones

from batchcast.pipelines.schedule.cron import Cron
from batchcast.steps.errors import ConfigError, Problem

# Clocks change twice a year. An hourly schedule has so many times in it; of one that runs oftener the next weeks do.
_YEAR = timedelta(days=366)
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
        near = get_close_matches(name, known, n=1) or [one for one in known if one.endswith(f"/{name}")]
        remedy = f"Did you mean {near[0]}?" if near else "Write it like Europe/Berlin, or UTC."
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
        if one.local - after.local > _YEAR:
            return None
        if one.note:
            return one
    return None


def _occurrence(local: datetime, zone: ZoneInfo) -> Occurrence:
    """Of a repeated time the first one counts."""
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first.astimezone(zone).replace(tzinfo=None) != local:
        return Occurrence(local=local, utc=None, repeated=False)
    return Occurrence(local=local, utc=first, repeated=first != second)


def _if_it_existed(local: datetime, zone: ZoneInfo) -> datetime:
    return local.replace(tzinfo=zone).astimezone(UTC)
