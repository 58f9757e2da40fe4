"""How far a transform is: its output objects counted against the manifest's shards."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from batchcast.runs.follow import StepView
from batchcast.session.session import Session
from batchcast.steps.shards.manifest import MANIFEST_FILE
from batchcast.steps.store.documents import parse_document
from batchcast.steps.store.objects import ObjectMissingError, ObjectStore, join_uri

_ROUNDS = {"Transform": 0, "TransformRetry": 1}
_OBJECTS_A_PAGE = 1000
# One listing call in so many seconds, whatever the number of shards: 480 calls in ten hours.
_SECONDS_A_PAGE = 75.0
_LEAST_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProgress:
    """How far a transform step is; a total is None while it is not known."""

    files_done: int
    files_total: int
    records_done: int
    records_total: int | None


def count_shards(store: ObjectStore, runs_uri: str, run_id: str, step: str, records: Mapping[str, int]) -> StepProgress:
    """Count the outputs of a transform step; one listing call for every thousand shards.

    `records` has the number of records by shard for the first round. In the retry round a shard is one record.
    """
    retry_round = _ROUNDS[step]
    done = _names(store, join_uri(runs_uri, run_id, "output", f"r{retry_round}") + "/")
    done = {name.removesuffix(".out") for name in done}
    if retry_round:
        sent = _names(store, join_uri(runs_uri, run_id, "input", f"r{retry_round}") + "/")
        records = dict.fromkeys(sent, 1)
    return StepProgress(
        files_done=len(done),
        files_total=len(records),
        records_done=sum(records.get(name, 0) for name in done),
        records_total=sum(records.values()),
    )


class ShardCounts:
    """`progress_of` for a display, that lists objects no more often than a listing is worth.

    What was counted before is told until the next count is due.
    """

    def __init__(self, session: Session, runs_uri: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._session, self._runs_uri, self._clock = session, runs_uri, clock
        self._records: dict[str, int] = {}
        self._counted: dict[str, _Counted] = {}

    def __call__(self, run_id: str, step: StepView) -> StepProgress | None:
        """None for a step that is no transform, and before there is a manifest."""
        if step.name not in _ROUNDS:
            return None
        self._records = self._records or shard_records(self._session.store, self._runs_uri, run_id)
        if not self._records:
            return None
        last = self._counted.get(step.name)
        if last is None or last.is_stale(step, self._clock()):
            progress = count_shards(self._session.store, self._runs_uri, run_id, step.name, self._records)
            last = _Counted(progress=progress, status=step.status, when=self._clock())
            self._counted[step.name] = last
        return last.progress


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    progress: StepProgress
    status: str
    when: float

    def is_stale(self, step: StepView, now: float) -> bool:
        if step.status != self.status:
            return True
        pages = 1 + self.progress.files_done // _OBJECTS_A_PAGE
        return step.status == "Executing" and now - self.when >= max(_LEAST_SECONDS, _SECONDS_A_PAGE * pages)


def shard_records(store: ObjectStore, runs_uri: str, run_id: str) -> dict[str, int]:
    """Shard name to its number of records, from the manifest; empty before there is one."""
    uri = join_uri(runs_uri, run_id, "manifest", MANIFEST_FILE)
    try:
        data = store.read(uri)
    except ObjectMissingError:
        return {}
    manifest = parse_document(data, {"shards": list}, code="manifest", where=uri, remedy="Start a new run.")
    shards = [shard for shard in manifest["shards"] if isinstance(shard, dict)]
    return {str(shard.get("name")): int(shard.get("records") or 0) for shard in shards}


def _names(store: ObjectStore, prefix: str) -> set[str]:
    return {stored.uri.removeprefix(prefix) for stored in store.list(prefix)}
