"""One processing job: its request checked, then the definition's own command on every host with a private /opt/ml.

Rules that the documentation states in prose let values pass that are not known yet. Source: SageMaker developer guide,
"Build your own processing container", read 2023-03.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from batchcast.engine.errors import NotEmulatedError
from batchcast.engine.jobs import JobEnd
from batchcast.engine.limits import local_storage_gb
from batchcast.engine.processing.data import InputError, private_path, stage_inputs, upload_outputs
from batchcast.engine.requests.request_check import (
    check_request,
    get_path,
    rebuilt,
    refusals,
    refuse_as_service,
    values_at,
)
from batchcast.engine.server.guarded_process import kill_group, start_guarded, stop_group
from batchcast.steps.errors import Problem
from batchcast.steps.store.job_logs import LOGS_VARIABLE
from batchcast.steps.store.objects import ObjectStore


def check_processing_request(request: Mapping[str, Any]) -> None:
    """What CreateProcessingJob checks before it answers, and what only this engine refuses. Raises ServiceException as
    the service would, and NotEmulatedError with every member that is not emulated."""
    check_request("CreateProcessingJob", request)
    refuse_as_service(processing_problems(request))
    NotEmulatedError.raise_any(_refused_values(request))


def _refused_values(request: Mapping[str, Any]) -> Iterator[Problem]:
    for path, refused in refusals()["values"]["CreateProcessingJob"].items():
        if refused["value"] in values_at(request, path):
            what = f"{refused['value']} is not emulated locally."
            yield Problem("not_emulated", what, where=path, remedy=refused["remedy"])
    if "ContainerEntrypoint" not in request["AppSpecification"]:
        what = "an image's own entrypoint cannot run without Docker."
        remedy = "Give the command, e.g. python3 and a script."
        yield Problem("not_emulated", what, where="AppSpecification.ContainerEntrypoint", remedy=remedy)


_ROOT = "/opt/ml/processing/"
_PLACES = (("ProcessingInputs", "InputName", "S3Input"), ("ProcessingOutputConfig.Outputs", "OutputName", "S3Output"))


def processing_problems(request: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything that these rules find in a request whose members have the service model's types."""
    cluster = "ProcessingResources", "ClusterConfig"
    kind, volume = (get_path(request, *cluster, name) for name in ("InstanceType", "VolumeSizeInGB"))
    disk = local_storage_gb(kind) if isinstance(kind, str) else None
    if disk and isinstance(volume, int) and volume > disk:
        what = f"{volume} GB are more than the {disk} GB of local disks that {kind} has in place of a volume."
        yield Problem("volume_size", what, ".".join((*cluster, "VolumeSizeInGB")), f"Ask for {disk} GB at most.")
    for where, name, location in _PLACES:
        places = get_path(request, *where.split("."), default=())
        if isinstance(places, list | tuple):
            names = [str(each.get(name)) for each in places if isinstance(each, Mapping)]
            for value in sorted({value for value in names if names.count(value) > 1}):
                yield Problem("repeated_name", f"the {name} {value} is used twice.", where, "Give each its own.")
            for index, place in enumerate(places):
                yield from _location(place, location, f"{where}[{index}]")


def _location(place: Any, member: str, where: str) -> Iterator[Problem]:
    if not isinstance(place, Mapping) or not {member, "DatasetDefinition", "FeatureStoreOutput"} & place.keys():
        yield Problem("no_location", "has no S3 location.", where, f"Give {member}.")
        return
    if member not in place:
        return
    path = get_path(place, member, "LocalPath", default="")
    if isinstance(path, str) and (not f"{path}/".startswith(_ROOT) or ".." in path.split("/")):
        what = f"{path or 'no path'} is not under {_ROOT}, the only place a processing job may use."
        remedy = f"Use {_ROOT}input/… or {_ROOT}output/…."
        yield Problem("local_path", what, f"{where}.{member}.LocalPath", remedy)
    uri = get_path(place, member, "S3Uri")
    if isinstance(uri, str) and not uri.startswith("s3://"):
        yield Problem("s3_uri", f"{uri} is not an s3:// URI.", f"{where}.{member}.S3Uri", "Write s3://bucket/key.")


DEFAULT_MAX_RUNTIME_SECONDS = 86_400
_STOP_GRACE_SECONDS = 10.0

_POLL_SECONDS = 0.02
_MESSAGE_CHARACTERS = 1024
_OPT_ML = re.compile(r"(?<![\w./-])/opt/ml(?=/|$)")
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "JAVA_HOME")
_PYTHON = ("python", "python3")
_INPUT_DEFAULTS = {
    "S3DataDistributionType": "FullyReplicated",
    "S3InputMode": "File",
    "S3CompressionType": "None",
    "S3DownloadMode": "StartOfJob",
}


def run_processing_job(
    request: Mapping[str, Any],
    *,
    arn: str,
    store: ObjectStore,
    workdir: Path,
    log_folder: Path,
    stop: threading.Event,
) -> JobEnd:
    """Run a checked CreateProcessingJob request to its end; everything in `workdir` is made anew.

    Outputs are uploaded only when every host exited 0; `workdir` stays when the job failed, to be looked at.
    """
    shutil.rmtree(workdir, ignore_errors=True)
    count = request["ProcessingResources"]["ClusterConfig"].get("InstanceCount", 1)
    roots = [workdir / f"algo-{number}" for number in range(1, count + 1)]
    outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    for root in roots:
        _lay_out(request, arn, root, sorted(each.name for each in roots), outputs)
    try:
        stage_inputs(request.get("ProcessingInputs", []), store, roots)
    except InputError as error:
        return JobEnd(status="Failed", failure_reason=f"ClientError: {error}")
    status, code = _run_hosts(request, roots, store, log_folder, stop)
    written = (root / "output" / "message" for root in roots)
    try:
        message = b"".join(path.read_bytes() for path in written if path.is_file()).decode()[:_MESSAGE_CHARACTERS]
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
    request: Mapping[str, Any], arn: str, root: Path, names: Sequence[str], outputs: Sequence[Mapping[str, Any]]
) -> None:
    for folder in ("config", "output", "processing"):
        (root / folder).mkdir(parents=True)
    for each in outputs:
        private_path(root, each["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)
    config, job = root / "config", _private(_job_config(request, arn), root)
    (config / "resourceconfig.json").write_text(json.dumps({"current_host": root.name, "hosts": names}))
    (config / "processingjobconfig.json").write_text(json.dumps(job, indent=1))


def _job_config(request: Mapping[str, Any], arn: str) -> dict[str, Any]:
    left_out = ("Tags", "NetworkConfig", "ExperimentConfig")
    inputs = request.get("ProcessingInputs", [])
    return {
        "ProcessingJobArn": arn,
        "Environment": {},
        "ProcessingOutputConfig": {"Outputs": []},
        "StoppingCondition": {"MaxRuntimeInSeconds": _max_runtime(request)},
        **{key: value for key, value in request.items() if key not in left_out},
        "ProcessingInputs": [
            {"InputName": each["InputName"], "S3Input": {**_INPUT_DEFAULTS, **each["S3Input"]}} for each in inputs
        ],
    }


def _private(value: Any, root: Path) -> Any:
    """`value` with every absolute path under /opt/ml moved to the host's private root."""
    return rebuilt(value, lambda part: _OPT_ML.sub(lambda _: str(root), part) if isinstance(part, str) else part)


def _run_hosts(
    request: Mapping[str, Any],
    roots: Sequence[Path],
    store: ObjectStore,
    log_folder: Path,
    stop: threading.Event,
) -> tuple[str, int]:
    """The job's status and, when it failed, the first exit code that was not 0."""
    deadline = time.monotonic() + _max_runtime(request)
    processes: list[subprocess.Popen[bytes]] = []
    with ExitStack() as running:
        for root in roots:
            processes.append(_start(request, root, store, log_folder))
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
                    stop_group(process, grace_seconds=_STOP_GRACE_SECONDS)
                return "Stopped", 0
            stop.wait(_POLL_SECONDS)


def _start(request: Mapping[str, Any], root: Path, store: ObjectStore, log_folder: Path) -> subprocess.Popen[bytes]:
    application = request["AppSpecification"]
    command: list[str] = [*application["ContainerEntrypoint"], *application.get("ContainerArguments", [])]
    if command[0] in _PYTHON:
        command[0] = sys.executable
    folder = log_folder / root.name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "container-log").open("ab") as log:
        return start_guarded(
            [_private(word, root) for word in command],
            env=_environment(request, root, store, log_folder),
            cwd=root,
            output=log,
        )


def _environment(request: Mapping[str, Any], root: Path, store: ObjectStore, log_folder: Path) -> dict[str, str]:
    """A container's own environment: of this process's only what finding programs needs, and the way to the store.

    On real S3 that includes credentials, which stand for the job's role; they are in no file and no log.
    """
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment |= store.environment
    environment |= {key: _private(value, root) for key, value in request.get("Environment", {}).items()}
    # <logs>/aws/sagemaker/ProcessingJobs/<job>: a step finds the logs of other jobs there, as it would on CloudWatch.
    return {**environment, "OPT_ML": str(root), LOGS_VARIABLE: str(log_folder.parents[3])}


def _max_runtime(request: Mapping[str, Any]) -> int:
    return int(request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_SECONDS))
