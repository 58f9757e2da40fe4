"""One processing job: the definition's own command on every host, each with a private /opt/ml.

Source: SageMaker developer guide, "Build your own processing container", read 2023-03.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchcast.engine.jobs import JobEnd
from batchcast.engine.processing.data import InputError, private_path, stage_inputs, upload_outputs
from batchcast.engine.server.guarded_process import kill_group, start_guarded, stop_group
from batchcast.steps.store.job_logs import LOGS_VARIABLE
from batchcast.steps.store.objects import ObjectStore

DEFAULT_MAX_RUNTIME_SECONDS = 86_400
STOP_GRACE_SECONDS = 10.0

_POLL_SECONDS = 0.02
_MESSAGE_CHARACTERS = 1024
_OPT_ML = re.compile(r"(?<![\w./-])/opt/ml(?=/|$)")
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
_PYTHON = ("python", "python3")


@dataclass(frozen=True, slots=True)
class _Host:
    name: str
    root: Path


def run_processing_job(
    request: Mapping[str, Any],
    *,
    arn: str,
    store: ObjectStore,
    workdir: Path,
    log_folder: Path,
    stop: threading.Event,
    stop_grace_seconds: float = STOP_GRACE_SECONDS,
) -> JobEnd:
    """Run a checked CreateProcessingJob request to its end; everything in `workdir` is made anew.

    Outputs are uploaded only when every host exited 0; `workdir` stays when the job failed, to be looked at.
    """
    shutil.rmtree(workdir, ignore_errors=True)
    count = request["ProcessingResources"]["ClusterConfig"].get("InstanceCount", 1)
    hosts = [_Host(f"algo-{number}", workdir / f"algo-{number}") for number in range(1, count + 1)]
    roots = [host.root for host in hosts]
    outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    for host in hosts:
        _lay_out(request, arn, host, sorted(each.name for each in hosts), outputs)
    try:
        stage_inputs(request.get("ProcessingInputs", []), store, roots)
    except InputError as error:
        return JobEnd(status="Failed", failure_reason=str(error))
    status, code = _run_hosts(request, hosts, store, log_folder, stop, stop_grace_seconds)
    try:
        message = _exit_message(roots)
    except UnicodeDecodeError:
        return JobEnd(status="Failed", failure_reason="ClientError: /opt/ml/output/message is not UTF-8.")
    if status == "Failed":
        reason = f"AlgorithmError: See job logs for more information, exit code: {code}"
        return JobEnd(status=status, failure_reason=reason, exit_message=message)
    if status == "Completed":
        upload_outputs(outputs, store, roots)
    shutil.rmtree(workdir)
    return JobEnd(status=status, exit_message=message)


def _lay_out(
    request: Mapping[str, Any], arn: str, host: _Host, names: Sequence[str], outputs: Sequence[Mapping[str, Any]]
) -> None:
    for folder in ("config", "output", "processing"):
        (host.root / folder).mkdir(parents=True)
    for each in outputs:
        private_path(host.root, each["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)
    config = host.root / "config"
    resources = {"current_host": host.name, "hosts": names}
    (config / "resourceconfig.json").write_text(json.dumps(resources))
    (config / "processingjobconfig.json").write_text(
        json.dumps(_private(_job_config(request, arn), host.root), indent=1)
    )


def _job_config(request: Mapping[str, Any], arn: str) -> dict[str, Any]:
    left_out = ("Tags", "NetworkConfig", "ExperimentConfig")
    inputs = [_with_defaults(each) for each in request.get("ProcessingInputs", [])]
    return {
        "ProcessingJobArn": arn,
        "Environment": {},
        "ProcessingOutputConfig": {"Outputs": []},
        "StoppingCondition": {"MaxRuntimeInSeconds": _max_runtime(request)},
        **{key: value for key, value in request.items() if key not in left_out},
        "ProcessingInputs": inputs,
    }


def _with_defaults(each: Mapping[str, Any]) -> dict[str, Any]:
    defaults = {
        "S3DataDistributionType": "FullyReplicated",
        "S3InputMode": "File",
        "S3CompressionType": "None",
        "S3DownloadMode": "StartOfJob",
    }
    return {"InputName": each["InputName"], "S3Input": {**defaults, **each["S3Input"]}}


def _private(value: Any, root: Path) -> Any:
    """`value` with every absolute path under /opt/ml moved to the host's private root."""
    if isinstance(value, str):
        return _OPT_ML.sub(lambda _: str(root), value)
    if isinstance(value, Mapping):
        return {key: _private(item, root) for key, item in value.items()}
    if isinstance(value, list):
        return [_private(item, root) for item in value]
    return value


def _run_hosts(
    request: Mapping[str, Any],
    hosts: Sequence[_Host],
    store: ObjectStore,
    log_folder: Path,
    stop: threading.Event,
    stop_grace_seconds: float,
) -> tuple[str, int]:
    """The job's status and, when it failed, the first exit code that was not 0."""
    deadline = time.monotonic() + _max_runtime(request)
    processes: list[subprocess.Popen[bytes]] = []
    with ExitStack() as running:
        for host in hosts:
            processes.append(_start(request, host, store, log_folder))
            running.callback(kill_group, processes[-1])
        while True:
            codes = [process.poll() for process in processes]
            failed = next((code for code in codes if code), None)
            if failed is not None:
                return "Failed", failed
            if None not in codes:
                return "Completed", 0
            # API reference, ProcessingStoppingCondition: after the condition is met, the job is stopped.
            if stop.is_set() or time.monotonic() > deadline:
                for process in processes:
                    stop_group(process, grace_seconds=stop_grace_seconds)
                return "Stopped", 0
            stop.wait(_POLL_SECONDS)


def _start(request: Mapping[str, Any], host: _Host, store: ObjectStore, log_folder: Path) -> subprocess.Popen[bytes]:
    application = request["AppSpecification"]
    command: list[str] = [*application["ContainerEntrypoint"], *application.get("ContainerArguments", [])]
    if command[0] in _PYTHON:
        command[0] = sys.executable
    folder = log_folder / host.name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "container-log").open("ab") as log:
        return start_guarded(
            [_private(word, host.root) for word in command],
            env=_environment(request, host, store, log_folder),
            cwd=host.root,
            output=log,
        )


def _environment(request: Mapping[str, Any], host: _Host, store: ObjectStore, log_folder: Path) -> dict[str, str]:
    """A container's own environment: of this process's only what finding programs needs, and the way to the store.

    On real S3 that includes credentials, which stand for the job's role; they are in no file and no log.
    """
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment |= store.environment
    environment |= {key: _private(value, host.root) for key, value in request.get("Environment", {}).items()}
    # <logs>/aws/sagemaker/ProcessingJobs/<job>: a step finds the logs of other jobs there, as it would on CloudWatch.
    return {**environment, "OPT_ML": str(host.root), LOGS_VARIABLE: str(log_folder.parents[3])}


def _exit_message(roots: Sequence[Path]) -> str | None:
    texts = [path.read_bytes() for root in roots if (path := root / "output" / "message").is_file()]
    message = b"".join(texts).decode()[:_MESSAGE_CHARACTERS]
    return message or None


def _max_runtime(request: Mapping[str, Any]) -> int:
    seconds: int = request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_SECONDS)
    return seconds
