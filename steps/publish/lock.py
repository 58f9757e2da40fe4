"""The lock of the publish prefix: one run at a time works for the readers of a pointer.

    <PublishUri>/lock.json    {"run_id": …, "run_label": …, "taken": …, "order": […]}; run_id null when it is free

BuildShards takes it before it reads the history, so that a second run ends before it costs anything; the step that
decides the run gives it back. A run that is killed gives nothing back: its lock ends by itself after `LOCK_HOURS`,
or is freed by whoever sees that the run has ended. How old it is says the store: no other clock counts.

`order` has the runs that took the lock, the last one first. A run whose lock was over and taken by another is before
that one there, and never moves the pointer from it: `superseded_by` is asked before the pointer moves.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from batchcast.steps.errors import BatchcastError, DataError, Problem, ServiceError
from batchcast.steps.publish.stored_json import to_json
from batchcast.steps.store.documents import parse_document
from batchcast.steps.store.objects import ConflictError, ObjectMissingError, ObjectStore, join_uri

LOCK_HOURS = 72
"""Longer than a run takes, shorter than a week: a run that was killed must not keep the next one from running."""
_MAX_ATTEMPTS = 10
_REMEMBERED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishLock:
    """Which run has the prefix for itself, and for how long it has had it by the store's clock."""

    run_id: str
    run_label: str
    held: timedelta

    @property
    def left(self) -> timedelta:
        """Until it ends by itself; negative once it is over."""
        return timedelta(hours=LOCK_HOURS) - self.held


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What lies there: `lock` as a run took it and did not give it back, the runs in the order of taking, the etag."""

    lock: PublishLock | None = None
    order: tuple[str, ...] = ()
    etag: str | None = None


def lock_uri(publish_uri: str) -> str:
    return join_uri(publish_uri, "lock.json")


def read_lock(store: ObjectStore, publish_uri: str) -> PublishLock | None:
    """The lock if a run has it; None when it is free or over."""
    lock = _read(store, publish_uri).lock
    return lock if lock and lock.left > timedelta() else None


def take_lock(store: ObjectStore, publish_uri: str, *, run_id: str, run_label: str, now: datetime) -> None:
    """Take the lock for this run, or take it anew when the run has it already. `now` is only written down.

    Raises ServiceError naming the run that has it.
    """
    for _ in range(_MAX_ATTEMPTS):
        found = _read(store, publish_uri)
        lock = found.lock
        if lock and lock.run_id != run_id and lock.left > timedelta():
            raise held_by(lock, publish_uri)
        order = (run_id, *(other for other in found.order if other != run_id))
        try:
            store.put_if(lock_uri(publish_uri), _text(run_id, run_label, now, order), found.etag)
        except ConflictError:
            continue
        if lock and lock.run_id != run_id:
            what = f"run {lock.run_id} had the lock for {_hours(lock.held)}, and it is over: this run has taken it"
            sys.stderr.write(f"{what}; what that run publishes from now on stays out of the readers' sight\n")
        return
    what = f"other runs changed it {_MAX_ATTEMPTS} times in a row."
    raise ServiceError(Problem("lock_busy", what, lock_uri(publish_uri), "Start the run again."))


def superseded_by(store: ObjectStore, publish_uri: str, run_id: str, pointed: str | None) -> str | None:
    """The run that took the lock after `run_id` had it, and has it still or is `pointed` at by the pointer.

    None when there is none, and for a run that took no lock, as one without a network does not.
    """
    found = _read(store, publish_uri)
    if run_id not in found.order:
        return None
    later = found.order[: found.order.index(run_id)]
    holder = found.lock.run_id if found.lock else None
    return next((other for other in later if other in (holder, pointed)), None)


def free_lock(store: ObjectStore, publish_uri: str, run_id: str) -> bool:
    """Give the lock back if this run has it; whether it had."""
    found = _read(store, publish_uri)
    if found.lock is None or found.lock.run_id != run_id:
        return False
    try:
        store.put_if(lock_uri(publish_uri), _text(None, "", None, found.order), found.etag)
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
    held = f"has had it for {_hours(lock.held)}; it ends by itself in {_hours(lock.left)} at the latest"
    remedy = "Wait for that run, or stop it; once it has ended, `start` frees the lock."
    what = f"run {lock.run_id}, label {lock.run_label}, {held}."
    return ServiceError(Problem("locked", what, lock_uri(publish_uri), remedy))


def _hours(time: timedelta) -> str:
    minutes = max(round(time.total_seconds() / 60), 0)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _read(store: ObjectStore, publish_uri: str) -> _Found:
    uri = lock_uri(publish_uri)
    try:
        data, etag = store.read_tagged(uri)
        held = store.age(uri)
    except ObjectMissingError:
        return _Found()
    try:
        found = parse_document(data, {"run_id": str | None}, code="lock", where=uri, remedy="It counts as free.")
        order = tuple(str(other) for other in found.get("order", ()))[:_REMEMBERED]
    except (DataError, TypeError) as error:
        # It says of no run that it goes on. What keeps the readers safe is the pointer, not the lock.
        sys.stderr.write(f"{error}\n")
        return _Found(etag=etag)
    run_id = found["run_id"]
    if run_id is None:
        return _Found(order=order, etag=etag)
    lock = PublishLock(run_id=run_id, run_label=str(found.get("run_label")), held=held)
    return _Found(lock=lock, order=order or (run_id,), etag=etag)


def _text(run_id: str | None, run_label: str, now: datetime | None, order: tuple[str, ...]) -> bytes:
    taken = {} if now is None else {"run_label": run_label, "taken": now.astimezone(UTC).isoformat()}
    return to_json({"schema": 1, "run_id": run_id, **taken, "order": list(order[:_REMEMBERED])})
