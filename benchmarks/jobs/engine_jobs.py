"""Transform jobs of known seconds, run by the local engine against a server of known capacity, and what they cost it.

The engine's own clocks, such as timeouts, run 100 times faster than the job's; the seconds of a record are real ones.
"""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from batchcast.engine.server.model_server import ModelCommand
from batchcast.engine.transform.job import run_transform_job
from batchcast.engine.transform.plan import TransformOptions
from batchcast.planner.arithmetic.capacity import Capacity, ideal_capacity
from batchcast.planner.arithmetic.conditions import PRIOR, Conditions, LogNormal
from batchcast.steps.store.objects import DirectoryStore

Array = npt.NDArray[np.float64]
SERVER = Path(__file__).resolve().parents[1] / "servers" / "sharing_server.py"
IDEAL = ideal_capacity()
MEAN = 0.1
CALIBRATING = 3
TIME_SCALE = 0.01
# Records of a calibrating job on each of two instances, and its shards there.
FEW, MANY, SHARDS = 2, 62, 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """`shards` are the true seconds of every record; `expected` what the planner expects of them, give or take `cv`."""

    name: str
    shards: Sequence[Array]
    expected: Sequence[Array]
    cv: float
    instances: int = 2
    concurrency: int = 4
    capacity: Capacity = IDEAL
    timeout: int = 3600
    retries: int = 3

    @property
    def server(self) -> str:
        """The command of a server with this capacity."""
        return shlex.join([sys.executable, str(SERVER), "{port}", *map(str, self.capacity.theta)])


def known(name: str, shards: Sequence[Array], **more: Any) -> Workload:
    """Records whose seconds follow from their rows, give or take 5 %."""
    return Workload(name=name, shards=shards, expected=shards, cv=0.05, **more)


def measured_seconds(workload: Workload) -> float:
    """How long the engine takes for the job."""
    with tempfile.TemporaryDirectory() as folder:
        return _seconds_in(Path(folder), workload)


def _seconds_in(folder: Path, workload: Workload) -> float:
    store = DirectoryStore(folder / "s3")
    for number, shard in enumerate(workload.shards):
        lines = (json.dumps({"item_id": f"{number}-{at}", "seconds": round(s, 6)}) for at, s in enumerate(shard))
        store.write(f"s3://b/in/part-{number:05d}.jsonl", "".join(line + "\n" for line in lines).encode())
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/in/"}}
    request = {
        "TransformJobName": "planner",
        "ModelName": "sharing",
        "MaxConcurrentTransforms": workload.concurrency,
        "MaxPayloadInMB": 6,
        "BatchStrategy": "SingleRecord",
        "TransformInput": {"DataSource": source, "ContentType": "application/json", "SplitType": "Line"},
        "TransformOutput": {"S3OutputPath": "s3://b/out/", "Accept": "application/json", "AssembleWith": "Line"},
        "ModelClientConfig": {
            "InvocationsTimeoutInSeconds": workload.timeout,
            "InvocationsMaxRetries": workload.retries,
        },
        "TransformResources": {"InstanceType": "ml.m5.4xlarge", "InstanceCount": workload.instances},
    }
    began = time.monotonic()
    result = run_transform_job(
        request,
        store=store,
        model=ModelCommand(command=workload.server),
        workdir=folder,
        options=TransformOptions(time_scale=TIME_SCALE),
    )
    # A job that loses a file to a timeout ends as failed.
    assert result.status == "Completed" or workload.timeout < 3600, result
    return time.monotonic() - began


def calibrating() -> list[Workload]:
    """Three small jobs, one request in flight: few records, more records, as many in more shards.

    Their records are as slow as those of the twelve: a request costs more after a long wait than after a short one.
    """
    return [
        known("", [np.full(2 * count // files, MEAN)] * files, concurrency=1)
        for count, files in ((FEW, 2), (MANY, 2), (MANY, 2 * SHARDS))
    ]


def calibrated(few: float, many: float, files: float) -> Conditions:
    """Start, overhead of a request and of a shard, from the seconds that the calibrating jobs took."""
    request = max(0.0, (many - few) / (MANY - FEW) - MEAN)
    shard = max(0.0, (files - many) / (SHARDS - 1))
    return replace(
        PRIOR,
        provision=LogNormal(median=0.0, sigma=0.0),
        start=LogNormal(median=few - FEW * (MEAN + request) - shard, sigma=0.1),
        request_overhead=request,
        shard_overhead=shard,
        speed_sigma=0.01,
        instance_sigma=0.005,
    )


def calibrate(times: int) -> Conditions:
    """What this machine costs a job, measured so often; the fastest counts, as a busy machine only makes it slower."""
    found = [[measured_seconds(workload) for workload in calibrating()] for _ in range(times)]
    return calibrated(*(min(each) for each in zip(*found, strict=True)))


def overheads(conditions: Conditions) -> str:
    """In words."""
    return (
        f"Calibrated: start {conditions.start.median:.2f} s, {1000 * conditions.request_overhead:.1f} ms a request, "
        f"{1000 * conditions.shard_overhead:.1f} ms a shard."
    )
