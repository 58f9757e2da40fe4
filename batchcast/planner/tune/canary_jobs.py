"""Run canary transform jobs, on AWS or on the local engine, one level after the other."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from batchcast.steps.errors import ModelError, Problem
from batchcast.steps.store.objects import join_uri, split_uri

if TYPE_CHECKING:
    from batchcast.planner.tune.levels import MeasuredLevel
    from batchcast.planner.tune.search import Limits, Measurements
    from batchcast.session.session import Session

_ENDED = ("Completed", "Failed", "Stopped")
_POLL_SECONDS = 15.0
_LOCAL_POLL_SECONDS = 0.1


def measured_by_canaries(
    session: Session,
    *,
    model: str,
    instance_type: str,
    prefix: str,
    records: Sequence[bytes],
    limits: Limits,
    say: Callable[[str], None],
) -> Measurements:
    """A job a level until a rule stops. Raises ModelError when one request at a time already fails."""
    from batchcast.planner.arithmetic.workload import ASSUMED_SECONDS_CV
    from batchcast.planner.tune.canary_levels import canary_level, failed_level, seconds_a_record
    from batchcast.planner.tune.search import Measurements, stop_reason

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
        level = (
            failed_level(concurrency, len(records), failure)
            if failure
            else canary_level(concurrency, len(records), outputs, alone)
        )
        levels.append(level)
        say(f"  {concurrency:>3} in flight: {failure or f'{level.work:.2f} times one'}")
        if stop := stop_reason(level, levels, limits):
            reason = stop
            break
    assert alone is not None
    return Measurements(levels=levels, stop_reason=reason, seconds_mean=alone, seconds_cv=ASSUMED_SECONDS_CV)


class _Jobs:
    """Transform jobs of one model below one prefix; each has its own input and output."""

    def __init__(self, session: Session, model: str, instance_type: str, prefix: str, records: Sequence[bytes]) -> None:
        self._sagemaker = session.client("sagemaker")
        self._s3 = session.client("s3")
        self._store = session.store
        self._local = session.region == "local"
        self._model = model
        self._instance_type = instance_type
        self._prefix = prefix
        self._records = records

    def run(self, concurrency: int) -> tuple[list[float], str | None]:
        """When each shard's output appeared, in seconds, or why the job failed."""
        from batchcast.planner.tune.canary_levels import SHARDS, records_a_shard

        name = f"{self._prefix.rsplit('/', 1)[-1]}-m{concurrency}"
        place = join_uri(self._prefix, f"m{concurrency}")
        count = records_a_shard(len(self._records), concurrency)
        shard = b"".join(self._records[line % len(self._records)] + b"\n" for line in range(count))
        for number in range(SHARDS):
            self._store.write(join_uri(place, "input", f"part-{number:05d}.jsonl"), shard)
        self._sagemaker.create_transform_job(**self._request(name, place, concurrency))
        while (job := self._sagemaker.describe_transform_job(TransformJobName=name))[
            "TransformJobStatus"
        ] not in _ENDED:
            time.sleep(_LOCAL_POLL_SECONDS if self._local else _POLL_SECONDS)
        if job["TransformJobStatus"] != "Completed":
            return [], str(job.get("FailureReason") or job["TransformJobStatus"])
        return [self._modified(join_uri(place, "output", f"part-{n:05d}.jsonl.out")) for n in range(SHARDS)], None

    def _request(self, name: str, place: str, concurrency: int) -> dict[str, Any]:
        from batchcast.planner.tune.sample import payload_limit_mb

        return {
            "TransformJobName": name,
            "ModelName": self._model,
            "MaxConcurrentTransforms": concurrency,
            "MaxPayloadInMB": payload_limit_mb(max(map(len, self._records))),
            "BatchStrategy": "SingleRecord",
            # A failure must show as one, not as a slow record.
            "ModelClientConfig": {"InvocationsMaxRetries": 0},
            "TransformInput": {
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": join_uri(place, "input") + "/"}},
                "ContentType": "application/json",
                "SplitType": "Line",
            },
            "TransformOutput": {
                "S3OutputPath": join_uri(place, "output"),
                "Accept": "application/json",
                "AssembleWith": "Line",
            },
            "TransformResources": {"InstanceType": self._instance_type, "InstanceCount": 1},
        }

    def _modified(self, uri: str) -> float:
        bucket, key = split_uri(uri)
        return float(self._s3.head_object(Bucket=bucket, Key=key)["LastModified"].timestamp())
