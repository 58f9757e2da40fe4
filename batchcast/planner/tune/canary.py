"""Levels measured by short transform jobs, where nobody sees a single request.

A job of one instance works through a few shards that hold the same records, and what is seen is when each shard's
output appeared. The time between two outputs is one shard's; what comes before the first, starting and loading, is left
out. Every shard ends with a drain, which is taken off as `batchcast.planner.arithmetic.estimate` expects it.
"""

import math
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from batchcast.pipelines.definition import with_request
from batchcast.planner.arithmetic.capacity import ideal_capacity
from batchcast.planner.arithmetic.estimate import drain_of
from batchcast.planner.arithmetic.inputs import ASSUMED_SECONDS_CV
from batchcast.planner.tune.levels import MeasuredLevel
from batchcast.planner.tune.measure import payload_limit_mb
from batchcast.planner.tune.search import Limits, Measurements, stop_reason
from batchcast.session.session import Session, finished_transform_job
from batchcast.steps.contract.request import PLAIN_REQUEST
from batchcast.steps.errors import ModelError, Problem
from batchcast.steps.store.objects import join_uri

SHARDS = 4
_WAVES = 4
_Z99 = 2.326


def records_a_shard(sample: int, concurrency: int) -> int:
    """Whole rounds of the sample, so that every shard of every level holds the same mix, and at least four waves."""
    return sample * math.ceil(max(1, _WAVES * concurrency / sample))


def seconds_a_record(sample: int, outputs: Sequence[float]) -> float:
    """The mean seconds of a record, from the outputs of the level with one request in flight."""
    return float(np.diff(np.sort(np.array(outputs, dtype=np.float64))).mean()) / records_a_shard(sample, 1)


def canary_level(concurrency: int, sample: int, outputs: Sequence[float], mean: float) -> MeasuredLevel:
    """`outputs` are the times in seconds at which the shards' outputs appeared; `mean` is `seconds_a_record`."""
    records = records_a_shard(sample, concurrency)
    seconds = np.diff(np.sort(np.array(outputs, dtype=np.float64)))
    drain = drain_of(ideal_capacity().table(concurrency), concurrency, ASSUMED_SECONDS_CV).mean
    # The drain that is expected cannot be more than a part of what was seen.
    rates = records * mean / np.maximum(seconds - drain * mean, 0.5 * seconds)
    latency = concurrency * mean / float(rates.mean())
    sigma = math.sqrt(math.log1p(ASSUMED_SECONDS_CV**2))
    return MeasuredLevel(
        concurrency=concurrency,
        work=float(rates.mean()),
        relative_error=float(rates.std(ddof=1) / rates.mean() / math.sqrt(len(rates))),
        p50=latency * math.exp(-(sigma**2) / 2),
        p99=latency * math.exp(_Z99 * sigma - sigma**2 / 2),
        requests=records * len(outputs),
    )


def measured_by_canaries(
    session: Session,
    *,
    model: str,
    instance_type: str,
    prefix: str,
    records: Sequence[bytes],
    limits: Limits,
    report: Callable[[str], None],
) -> Measurements:
    """A job a level until a rule stops. Raises ModelError when one request at a time already fails."""
    jobs = _Jobs(session, model, instance_type, join_uri(prefix, f"tune-{uuid.uuid4().hex[:12]}"), records)
    tried, reason = limits.ladder()
    levels: list[MeasuredLevel] = []
    alone: float | None = None
    for concurrency in tried:
        outputs, failure = jobs.run(concurrency)
        if alone is None:
            if failure:
                raise ModelError(Problem("canary", f"one request at a time already fails: {failure}."))
            alone = seconds_a_record(len(records), outputs)
        if failure:
            sent = records_a_shard(len(records), concurrency) * SHARDS
            level = MeasuredLevel(concurrency=concurrency, requests=sent, failures=sent, first_failure=failure)
        else:
            level = canary_level(concurrency, len(records), outputs, alone)
        levels.append(level)
        report(f"  {concurrency:>3} in flight: {failure or f'{level.work:.2f} times one'}")
        if stop := stop_reason(level, levels, limits):
            reason = stop
            break
    assert alone is not None
    return Measurements(levels=levels, stop_reason=reason, seconds_mean=alone, seconds_cv=ASSUMED_SECONDS_CV)


@dataclass(frozen=True, slots=True)
class _Jobs:
    """Transform jobs of one model below one prefix; each has its own input and output."""

    _session: Session
    _model: str
    _instance_type: str
    _prefix: str
    _records: Sequence[bytes]

    def run(self, concurrency: int) -> tuple[list[float], str | None]:
        """When each shard's output appeared, in seconds, or why the job failed."""
        name = f"{self._prefix.rsplit('/', 1)[-1]}-m{concurrency}"
        place = join_uri(self._prefix, f"m{concurrency}")
        count = records_a_shard(len(self._records), concurrency)
        shard = b"".join(self._records[line % len(self._records)] + b"\n" for line in range(count))
        for number in range(SHARDS):
            self._session.store.write(join_uri(place, "input", f"part-{number:05d}.jsonl"), shard)
        job = finished_transform_job(self._session, self._request(name, place, concurrency))
        if job["TransformJobStatus"] != "Completed":
            return [], str(job.get("FailureReason") or job["TransformJobStatus"])
        outputs = self._session.store.list(join_uri(place, "output") + "/")
        return [each.modified.timestamp() for each in outputs if each.modified], None

    def _request(self, name: str, place: str, concurrency: int) -> dict[str, Any]:
        source = {"S3DataType": "S3Prefix", "S3Uri": join_uri(place, "input") + "/"}
        job = {
            "TransformJobName": name,
            "ModelName": self._model,
            "MaxConcurrentTransforms": concurrency,
            "MaxPayloadInMB": payload_limit_mb(max(map(len, self._records))),
            # A failure must show as one, not as a slow record.
            "ModelClientConfig": {"InvocationsMaxRetries": 0},
            "TransformInput": {"DataSource": {"S3DataSource": source}},
            "TransformOutput": {"S3OutputPath": join_uri(place, "output")},
            "TransformResources": {"InstanceType": self._instance_type, "InstanceCount": 1},
        }
        return with_request(job, replace(PLAIN_REQUEST, pairing="position"))
