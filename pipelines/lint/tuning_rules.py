"""What `tune` measured of the model, held against the request of a transform job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from batchcast.engine.limits import DEFAULT_INVOCATION_TIMEOUT_SECONDS
from batchcast.engine.requests.members import known_member
from batchcast.pipelines.requests import JobRequest
from batchcast.pipelines.tuning import Tuning
from batchcast.steps.errors import Problem

# API reference, ModelClientConfig (botocore 1.44.8).


def measured_problems(job: JobRequest, tuning: Tuning) -> Iterator[Problem]:
    """Settings that the measurement speaks against. Values that only a running execution has are passed over."""
    if job.operation == "CreateTransformJob":
        for problem in _transform(job, tuning):
            yield replace(problem, where=f"{job.step}.{problem.where}")


def _transform(job: JobRequest, tuning: Tuning) -> Iterator[Problem]:
    instance_type = known_member(job.request, "TransformResources", "InstanceType")
    if isinstance(instance_type, str) and instance_type != tuning.measured.instance_type:
        what = f"the job has {instance_type}, the model was measured on {tuning.measured.instance_type}."
        yield Problem("not_checked", what, "TransformResources.InstanceType", "Measure the type that the job uses.")
        return
    concurrency = known_member(job.request, "MaxConcurrentTransforms")
    if not isinstance(concurrency, int):
        return
    measured = [level for level in tuning.levels if level.m >= concurrency]
    if not measured:
        most = max(level.m for level in tuning.levels)
        what = f"{concurrency} requests at once; no more than {most} were measured."
        yield Problem("not_measured", what, "MaxConcurrentTransforms", f"Use {most}, or measure with --levels.")
        return
    level = min(measured, key=lambda one: one.m)
    timeout = known_member(
        job.request, "ModelClientConfig", "InvocationsTimeoutInSeconds", default=DEFAULT_INVOCATION_TIMEOUT_SECONDS
    )
    if isinstance(timeout, int) and timeout < level.p99_s:
        what = f"{timeout} s; with {level.m} requests at once one in a hundred took {level.p99_s:.3g} s or longer."
        remedy = (
            f"Use {tuning.parameters.invocations_timeout_in_seconds}: what times out is sent again, and is paid again."
        )
        yield Problem("short_timeout", what, "ModelClientConfig.InvocationsTimeoutInSeconds", remedy)
