"""The lock of the publish prefix: one run at a time works for the readers of a pointer.

    <PublishUri>/lock.json    {"run_id": …, "run_label": …, "taken": …, "until": …}; run_id null when it is free

BuildShards takes it before it reads the history, so that a second run ends before it costs anything; the step that
decides the run gives it back. A run that is killed gives nothing back: its lock ends by itself after `LOCK_HOURS`,
or is freed by whoever sees that the run has ended. The lock saves money and instances; what keeps the readers safe
is the pointer, which moves by the same rule with or without it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from batchcast.steps.errors import BatchcastError, DataError, Problem, ServiceError
from batchcast.steps.publish.publication import to_json
from batchcast.steps.store.objects import ConflictError, ObjectMissingError, ObjectStore, join_uri

__all__ = [
    "LOCK_HOURS",
    "PublishLock",
    "end_lock",
    "free_lock",
    "held_by",
    "lock_uri",
    "locked",
    "read_lock",
    "take_lock",
]

LOCK_HOURS = 72
"""Longer than a run takes, shorter than a week: a run that was killed must not keep the next one from running."""
_MAX_ATTEMPTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishLock:
    """Which run has the prefix for itself, and from when to when (UTC)."""

    run_id: str
    run_label: str
    taken: datetime
    until: datetime


def lock_uri(publish_uri: str) -> str:
    """Where the lock lies."""
    return join_uri(publish_uri, "lock.json")


def read_lock(store: ObjectStore, publish_uri: str, now: datetime) -> PublishLock | None:
    """The lock if a run has it at `now`; None when it is free or over. Raises DataError for what is no lock."""
    held, _ = _read(store, publish_uri)
    return held if held and now < held.until else None


def take_lock(store: ObjectStore, publish_uri: str, *, run_id: str, run_label: str, now: datetime) -> None:
    """Take the lock for this run, or take it anew when the run has it already.

    Raises ServiceError naming the run that has it.
    """
    mine = PublishLock(run_id=run_id, run_label=run_label, taken=now, until=now + timedelta(hours=LOCK_HOURS))
    for _ in range(_MAX_ATTEMPTS):
        held, etag = _read(store, publish_uri)
        if held and held.run_id != run_id and now < held.until:
            raise held_by(held, publish_uri)
        try:
            store.put_if(lock_uri(publish_uri), _text(mine), etag)
        except ConflictError:
            continue
        return
    what = f"other runs changed it {_MAX_ATTEMPTS} times in a row."
    raise ServiceError(Problem("lock_busy", what, lock_uri(publish_uri), "Start the run again."))


def free_lock(store: ObjectStore, publish_uri: str, run_id: str) -> bool:
    """Give the lock back if this run has it; whether it had."""
    held, etag = _read(store, publish_uri)
    if held is None or held.run_id != run_id:
        return False
    try:
        store.put_if(lock_uri(publish_uri), _text(None), etag)
    except ConflictError:
        return False  # It was over, and another run has taken it just now.
    return True


def end_lock(store: ObjectStore, publish_uri: str, run_id: str) -> None:
    """Give the lock back where a step ends. A lock that cannot be given back changes nothing about how the step ended:
    it is said on stderr, and the lock ends by itself."""
    try:
        free_lock(store, publish_uri, run_id)
    except BatchcastError as error:
        sys.stderr.write(f"the lock was not given back: {error}\n")


@contextmanager
def locked(store: ObjectStore, publish_uri: str, *, run_id: str, run_label: str, now: datetime) -> Iterator[None]:
    """Take the lock, and give it back only when what is done inside fails: after it the run goes on.

    Raises ServiceError naming the run that has it.
    """
    take_lock(store, publish_uri, run_id=run_id, run_label=run_label, now=now)
    try:
        yield
    except BaseException:
        end_lock(store, publish_uri, run_id)
        raise


def held_by(lock: PublishLock, publish_uri: str) -> ServiceError:
    """The error for a run that finds the lock taken."""
    since, until = (f"{moment:%Y-%m-%d %H:%M}" for moment in (lock.taken, lock.until))
    what = f"run {lock.run_id}, label {lock.run_label}, has it since {since} UTC, at most until {until} UTC."
    remedy = "Wait for that run, or stop it; once it has ended, `start` frees the lock."
    return ServiceError(Problem("locked", what, lock_uri(publish_uri), remedy))


def _read(store: ObjectStore, publish_uri: str) -> tuple[PublishLock | None, str | None]:
    """The lock as a run took it and did not give it back, and the object's etag (None: no object)."""
    try:
        data, etag = store.read_tagged(lock_uri(publish_uri))
    except ObjectMissingError:
        return None, None
    try:
        found = json.loads(data)
        if found["run_id"] is None:
            return None, etag
        taken, until = (datetime.fromisoformat(found[key]).astimezone(UTC) for key in ("taken", "until"))
        return PublishLock(run_id=found["run_id"], run_label=found["run_label"], taken=taken, until=until), etag
    except (ValueError, KeyError, TypeError) as error:
        remedy = "Delete it when no run is going on."
        raise DataError(Problem("lock", f"not a lock: {error!r}.", lock_uri(publish_uri), remedy)) from error


def _text(lock: PublishLock | None) -> bytes:
    if lock is None:
        return to_json({"schema": 1, "run_id": None})
    times = {"taken": lock.taken.isoformat(), "until": lock.until.isoformat()}
    return to_json({"schema": 1, "run_id": lock.run_id, "run_label": lock.run_label, **times})
