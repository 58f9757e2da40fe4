"""A transform job from its request to its end: Batch Transform on one machine, an instance a model server."""

import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from batchcast.engine.errors import not_emulated
from batchcast.engine.faults import NO_FAULTS, FaultPlan
from batchcast.engine.jobs import JobEnd
from batchcast.engine.server.model_server import ModelSource, ModelUrl, free_ports
from batchcast.engine.transform.context import FailedFile, TransformContext, TransformProgress, TransformTally
from batchcast.engine.transform.data.packing import input_objects
from batchcast.engine.transform.instance import TransformInstance
from batchcast.engine.transform.plan import TransformOptions, transform_plan
from batchcast.steps.store.objects import ObjectStore

_SECONDS_BETWEEN_LOOKS = 0.1
_MAX_REASON_CHARACTERS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformResult(JobEnd):
    """Also which files failed, which the service only logs."""

    start: datetime
    end: datetime
    failed_files: tuple[FailedFile, ...] = ()


def run_transform_job(
    request: Mapping[str, Any],
    *,
    store: ObjectStore,
    model: ModelSource,
    workdir: Path,
    options: TransformOptions | None = None,
    faults: FaultPlan = NO_FAULTS,
    stop: threading.Event | None = None,
    on_progress: Callable[[TransformProgress], None] | None = None,
) -> TransformResult:
    """Run a request that passed `check_transform_request`; returns when every model server it started is ended.

    Logs go to `workdir/logs`. Setting `stop` is StopTransformJob: within 2 s nothing runs and the job's outputs are
    removed. Raises BatchcastError where the engine itself cannot go on: a command that cannot be one, a store that
    fails, a running server that cannot be given the job's Environment.
    """
    start = datetime.now(UTC)
    job_name, count = request["TransformJobName"], request["TransformResources"]["InstanceCount"]
    if isinstance(model, ModelUrl) and request.get("Environment"):
        what = "a server that already runs cannot be given an environment."
        raise not_emulated(what, where="Environment", remedy="Give the model as a command, or leave Environment out.")
    source = request["TransformInput"]["DataSource"]["S3DataSource"]
    objects = input_objects(source, request["TransformOutput"]["S3OutputPath"], store)
    job = TransformContext(
        plan=transform_plan(request),
        options=options or TransformOptions(),
        faults=faults,
        store=store,
        model=model,
        log_folder=workdir / "logs" / "aws" / "sagemaker" / "TransformJobs" / job_name,
        partial_folder=workdir / "partial" / job_name,
        tally=TransformTally(len(objects.names), on_progress),
        stop=stop or threading.Event(),
    )
    instances = [
        TransformInstance(job, number, objects.share(number, count), port=port)
        for number, port in enumerate(free_ports(count))
    ]
    shutil.rmtree(job.partial_folder, ignore_errors=True)  # what a killed process left in it
    job.partial_folder.mkdir(parents=True)
    try:
        _run(instances, job)
    finally:
        shutil.rmtree(job.partial_folder, ignore_errors=True)
    job.tally.report()
    if job.stop.is_set():
        for name in job.outputs:
            store.delete(objects.output_uri(name))
    return _result(job, instances, start)


def _run(instances: Sequence[TransformInstance], job: TransformContext) -> None:
    """All instances to their end; a stop, an error or an instance that failed to start ends them all."""
    with ThreadPoolExecutor(len(instances), thread_name_prefix="transform") as threads:
        running: set[Future[None]] = {threads.submit(instance.run) for instance in instances}
        try:
            while running:
                done, running = wait_for(running, timeout=_SECONDS_BETWEEN_LOOKS, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
                job.tally.report()
                if job.stop.is_set() or any(instance.failed_to_start for instance in instances):
                    break
        finally:
            if running:
                for instance in instances:
                    instance.abort()


def _result(job: TransformContext, instances: Sequence[TransformInstance], start: datetime) -> TransformResult:
    failed = tuple(sorted(job.failed, key=lambda file: file.uri.encode()))
    reason = next((instance.failure for instance in instances if instance.failure), None)
    if reason is None and failed:
        blame = "AlgorithmError" if any(file.blame == "AlgorithmError" for file in failed) else "ClientError"
        reason = f"{blame}: See job logs for more information"
    status = "Failed" if reason else "Completed"
    if job.stop.is_set():
        status, reason, failed = "Stopped", None, ()
    return TransformResult(
        status=status,
        failure_reason=reason and reason[:_MAX_REASON_CHARACTERS],
        start=start,
        end=datetime.now(UTC),
        failed_files=failed,
    )
