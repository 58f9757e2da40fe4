"""What became of requests, found by listing where their answers and failures are to lie."""

from __future__ import annotations

from collections.abc import Iterable

from batchcast.serving.bulk.run import AsyncRun, Sent
from batchcast.steps.store.objects import ObjectStore


class RequestTracker:
    """By record: `answered` and where; `lost` without an answer; `open` while either can come. `attempts` counts
    requests; `failures` has where a failure lies."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.answered: dict[int, str] = {}
        self.lost: set[int] = set()
        self.open: dict[int, Sent] = {}
        self.attempts: dict[int, int] = {}
        self.failures: dict[int, str] = {}

    def add(self, sent: Sent) -> None:
        """A request that was sent; a later one for the same record takes the place of an earlier one."""
        self.attempts[sent.index] = max(self.attempts.get(sent.index, 0), sent.attempt + 1)
        if sent.index not in self.answered:
            self.open[sent.index] = sent
            self.lost.discard(sent.index)

    def poll(self, now: float) -> None:
        """Find answers and failures of what is open. What is past its deadline without either is lost."""
        there = self._there(uri for sent in self.open.values() for uri in (sent.output, sent.failure))
        for index, sent in list(self.open.items()):
            if sent.output in there:
                self.answered[index] = sent.output
            elif sent.failure in there:
                self.failures[index] = sent.failure
                self.lost.add(index)
            elif now > sent.deadline:
                self.lost.add(index)
            else:
                continue
            del self.open[index]

    def oldest(self, now: float) -> float:
        """Seconds since the oldest open request was sent; 0 without any."""
        return now - min((sent.at for sent in self.open.values()), default=now)

    def _there(self, uris: Iterable[str]) -> set[str]:
        folders = {uri.rsplit("/", 1)[0] for uri in uris}
        return {stored.uri for folder in sorted(folders) for stored in self._store.list(folder + "/")}


def track_requests(run: AsyncRun, sent: Iterable[Sent], store: ObjectStore) -> RequestTracker:
    """Those of the run's records by what was sent; what was sent of shards that have their output is of no matter."""
    wanted = {record.index for record in run.records}
    tracker = RequestTracker(store)
    for each in sent:
        if each.index in wanted:
            tracker.add(each)
    return tracker
