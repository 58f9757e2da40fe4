"""Send a whole run through an asynchronous endpoint without losing a record.

A request expires after at most six hours in the queue, so the queue is held short: as long as all instances need to
stay busy and scaling needs to ask for them, and no longer than the instances there are serve in half of that time.
Records that expire or fail all the same are sent again.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from batchcast.serving.bulk.run import AsyncRun, BulkRecord, Journal, RequestTracker, Sent, ShardReader, track_requests
from batchcast.serving.endpoint.endpoint import Client, Sleep, instances_of
from batchcast.serving.endpoint.settings import (
    DEFAULT_TIMEOUT,
    DEFAULT_TTL,
    MAX_INLINE_BYTES,
    TIMEOUT_RANGE,
    TTL_RANGE,
    AsyncSettings,
)
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.store.objects import ObjectStore

Clock = Callable[[], float]
_BATCH = 50
_POLL_RANGE = (1.0, 30.0)
# A failure or an answer is looked for so long after the last moment it can be written.
LATE_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitPace:
    """How fast a run may be sent. `seconds` a record takes, `ttl` it may wait, `timeout` the model may take.

    `attempts` at a record in all; `senders` requests are sent at once.
    """

    seconds: float
    ttl: int = DEFAULT_TTL
    timeout: int = DEFAULT_TIMEOUT
    attempts: int = 2
    senders: int = 8

    def __post_init__(self) -> None:
        limits = {"ttl": TTL_RANGE, "timeout": TIMEOUT_RANGE, "attempts": (1, 10), "senders": (1, 64)}
        problems = [
            Problem("pace", f"{getattr(self, name)}; it must be {least} to {most}.", f"--{name}")
            for name, (least, most) in limits.items()
            if not least <= getattr(self, name) <= most
        ]
        if self.seconds <= 0:
            problems.append(Problem("pace", f"{self.seconds}; it must be above 0.", "--seconds"))
        if self.seconds > self.timeout:
            what = f"{self.seconds:g}; a record has {self.timeout} s, the --timeout, and is given up then."
            problems.append(Problem("pace", what, "--seconds", f"Give a longer --timeout, up to {TIMEOUT_RANGE[1]}."))
        if problems:
            raise ConfigError(*problems)

    @property
    def poll_seconds(self) -> float:
        """How often answers are looked for: about as often as records are answered, which a listing costs little of."""
        least, most = _POLL_RANGE
        return min(most, max(least, self.seconds))

    def window(self, settings: AsyncSettings, instances: int) -> int:
        """How many requests may be unanswered at once while so many instances serve."""
        slots = settings.max_instances * settings.concurrency
        busy = max(2 * settings.target * settings.max_instances, 3 * slots * self.poll_seconds / self.seconds)
        safe = self.ttl / 2 * max(1, instances) * settings.concurrency / self.seconds
        return max(1, math.floor(min(busy, safe)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitProgress:
    """How far a submission is: records of the run, and of these answered, given up, and unanswered requests."""

    records: int
    answered: int
    failed: int
    in_flight: int
    instances: int


def submit_run(
    run: AsyncRun,
    settings: AsyncSettings,
    pace: SubmitPace,
    client: Client,
    store: ObjectStore,
    *,
    now: Clock = time.time,
    sleep: Sleep = time.sleep,
    on_progress: Callable[[SubmitProgress], None] = lambda _: None,
) -> SubmitProgress:
    """Send every record that has no answer yet, and stay until each has one or was tried `pace.attempts` times.

    Ended anywhere and started again it goes on; at most the last batch is sent twice.
    """
    journal = run.journal(store)
    tracker = track_requests(run, journal.read(), store, now())
    waiting = _Waiting(run.records, tracker, pace.attempts)
    sender = _Sender(run, settings, pace, client, store, now)
    try:
        while True:
            tracker.poll(now())
            instances, _ = instances_of(client("sagemaker").describe_endpoint(EndpointName=settings.endpoint))
            room = pace.window(settings, instances) - len(tracker.open)
            if tracker.oldest(now()) > pace.ttl / 2:
                room = 0
            sent_now = _send(waiting, room, sender, journal, tracker)
            progress = SubmitProgress(
                records=len(run.records),
                answered=int(tracker.answered.sum()),
                failed=int(tracker.lost.sum()),
                in_flight=len(tracker.open),
                instances=instances,
            )
            on_progress(progress)
            if not tracker.open and not sent_now:
                return progress
            sleep(pace.poll_seconds)
    finally:
        sender.close()


def invoke_async(
    runtime: Any, store: ObjectStore, body: bytes, input_uri: str, request: Mapping[str, Any]
) -> dict[str, Any]:
    """Send a record inline, or from `input_uri` where it is too long for that; the service's answer."""
    place: dict[str, Any] = {"Body": body}
    if len(body) > MAX_INLINE_BYTES:
        store.write(input_uri, body)
        place = {"InputLocation": input_uri}
    kind = {"ContentType": "application/json", "Accept": "application/json"}
    answer: dict[str, Any] = runtime.invoke_endpoint_async(**request, **kind, **place)
    return answer


class _Waiting:
    """Records still to be sent, those to be sent again first."""

    def __init__(self, records: Sequence[BulkRecord], tracker: RequestTracker, attempts: int) -> None:
        self._records = records
        # The place of each record.
        self._places = np.zeros(len(tracker.attempts), np.int64)
        self._places[np.fromiter((record.index for record in records), np.int64, len(records))] = range(len(records))
        self._tracker = tracker
        self._attempts = attempts
        self._fresh: Iterator[BulkRecord] = (each for each in records if not tracker.attempts[each.index])

    def take(self, count: int) -> list[tuple[BulkRecord, int]]:
        """Up to so many, each with the number of its attempt (from 0)."""
        attempts, lost = self._tracker.attempts, self._tracker.lost
        again = np.flatnonzero(lost & (attempts < self._attempts))[:count]
        lost[again] = False
        fresh = islice(self._fresh, count - len(again))
        sent = [(self._records[int(self._places[index])], int(attempts[index])) for index in again]
        return [*sent, *((record, 0) for record in fresh)]


class _Sender:
    def __init__(
        self, run: AsyncRun, settings: AsyncSettings, pace: SubmitPace, client: Client, store: ObjectStore, now: Clock
    ) -> None:
        self._run, self._settings, self._pace, self._store, self._now = run, settings, pace, store, now
        self._runtime = client("sagemaker-runtime")
        self._reader = ShardReader(store, run)
        self._pool = ThreadPoolExecutor(max_workers=pace.senders)

    def send(self, batch: Sequence[tuple[BulkRecord, int]]) -> list[Sent]:
        """Raises what the service says; some of the batch may be on its way then."""
        bodies = [(record, attempt, self._reader.read(record)) for record, attempt in batch]
        return list(self._pool.map(lambda each: self._send_one(*each), bodies))

    def close(self) -> None:
        """Wait for what is being sent."""
        self._pool.shutdown()
        self._reader.close()

    def _send_one(self, record: BulkRecord, attempt: int, body: bytes) -> Sent:
        request = {
            "EndpointName": self._settings.endpoint,
            "InferenceId": self._run.inference_id(record),
            "S3OutputPathExtension": self._run.folder(record),
            "Filename": f"{record.line:06d}-{attempt}.out",
            "RequestTTLSeconds": self._pace.ttl,
            "InvocationTimeoutSeconds": self._pace.timeout,
        }
        placed = invoke_async(self._runtime, self._store, body, self._run.input_uri(record), request)
        at = self._now()
        return Sent(
            index=record.index,
            attempt=attempt,
            output=placed["OutputLocation"],
            failure=placed["FailureLocation"],
            deadline=at + self._pace.ttl + self._pace.timeout + LATE_SECONDS,
            at=at,
        )


def _send(waiting: _Waiting, room: int, sender: _Sender, journal: Journal, tracker: RequestTracker) -> int:
    sent = 0
    while room > sent and (batch := waiting.take(min(_BATCH, room - sent))):
        placed = sender.send(batch)
        journal.write(placed)
        for each in placed:
            tracker.add(each)
        sent += len(batch)
    return sent
