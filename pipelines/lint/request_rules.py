"""What the service takes and then does differently than a job's request seems to say, beside the documented limits, and
what `tune` measured of the model, held against the request of a transform job."""

from collections.abc import Iterator, Mapping
from itertools import combinations, pairwise
from typing import Any

from batchcast.engine.limits import DEFAULT_INVOCATION_TIMEOUT_SECONDS, has_local_storage
from batchcast.engine.processing.job import processing_problems
from batchcast.engine.requests.request_check import get_path
from batchcast.engine.transform.request import transform_problems
from batchcast.pipelines.requests import JobRequest
from batchcast.pipelines.tuning import Tuning
from batchcast.steps.arguments import ALL, NONE
from batchcast.steps.errors import Problem

# Flags of BuildShards that name an object it opens, and the value that names none.
_USED_BY_THE_STEP = {"--resume-from": NONE, "--items-uri": ALL, "--publish-uri": NONE}


def documented_problems(job: JobRequest) -> Iterator[Problem]:
    """What the service refuses, or takes and does differently than the request seems to say."""
    rules = {"CreateTransformJob": _transform, "CreateProcessingJob": _processing}
    return rules[job.operation](job.request) if job.operation in rules else iter(())


def _transform(request: Mapping[str, Any]) -> Iterator[Problem]:
    yield from transform_problems(request)
    yield from _volume_key(get_path(request, "TransformResources"), "TransformResources")
    yield from _transform_prefixes(request)
    yield from _defaults(request)


def _defaults(request: Mapping[str, Any]) -> Iterator[Problem]:
    """What is not set where records are split, and is seldom what is meant; what does nothing where they are not."""
    split = get_path(request, "TransformInput", "SplitType", default="None")
    if split == "None" and request.get("BatchStrategy") == "MultiRecord":
        what = "MultiRecord does nothing with SplitType None: each object is one request."
        remedy = "Set TransformInput.SplitType to Line, RecordIO or TFRecord, or leave BatchStrategy out."
        yield Problem("no_split", what, "BatchStrategy", remedy)
    if split != "Line":
        return
    if "BatchStrategy" not in request:
        what = "is not set: unless the container says otherwise, a request then has as many records as fit."
        yield Problem("default_strategy", what, "BatchStrategy", "Write SingleRecord or MultiRecord.")
    output = get_path(request, "TransformOutput", default={})
    if isinstance(output, Mapping) and "AssembleWith" not in output:
        what = "is not set: the answers are put together without a newline between them."
        yield Problem("default_assembly", what, "TransformOutput.AssembleWith", "Write Line.")


def _volume_key(resources: Any, where: str) -> Iterator[Problem]:
    instance_type = get_path(resources, "InstanceType")
    keyed = get_path(resources, "VolumeKmsKeyId")
    if keyed and isinstance(instance_type, str) and has_local_storage(instance_type):
        what = f"{instance_type} keeps data on NVMe disks of its own, which take no key."
        remedy = "Leave the key out or choose a type without local storage."
        yield Problem("volume_key", what, f"{where}.VolumeKmsKeyId", remedy)


def _transform_prefixes(request: Mapping[str, Any]) -> Iterator[Problem]:
    """The input is a string match, and what a job writes must not be what it, or the next one, reads."""
    source = get_path(request, "TransformInput", "DataSource", "S3DataSource")
    kind, uri = get_path(source, "S3DataType"), get_path(source, "S3Uri")
    output = get_path(request, "TransformOutput", "S3OutputPath")
    where = "TransformInput.DataSource.S3DataSource"
    if kind in ("AugmentedManifestFile", "Converse"):
        what = f"Batch Transform does not read {kind}."
        yield Problem("input_type", what, f"{where}.S3DataType", "Use S3Prefix or ManifestFile.")
    if kind != "S3Prefix" or not isinstance(uri, str):
        return
    if not uri.endswith("/") and "." not in uri.rpartition("/")[2]:
        what = f"{uri} is a string prefix: it also matches {uri}-old/ and all else that begins so."
        yield Problem("open_prefix", what, f"{where}.S3Uri", "End it in '/', unless it is one object.")
    if isinstance(output, str):
        yield from _overlap(uri, output)


def _overlap(uri: str, output: str) -> Iterator[Problem]:
    folder = f"{output.rstrip('/')}/"
    remedy = "Use two prefixes side by side that end in '/', below the run's own prefix."
    what = f"the input {uri} lies inside the output {folder}."
    if folder.startswith(uri):
        what = f"{folder} begins with the input prefix {uri}: the next job would read this one's output as input."
    if folder.startswith(uri) or uri.startswith(folder):
        yield Problem("overlapping_prefixes", what, "TransformOutput.S3OutputPath", remedy)


def _processing(request: Mapping[str, Any]) -> Iterator[Problem]:
    cluster = get_path(request, "ProcessingResources", "ClusterConfig")
    yield from _volume_key(cluster, "ProcessingResources.ClusterConfig")
    if "StoppingCondition" not in request:
        remedy = "Give StoppingCondition.MaxRuntimeInSeconds."
        yield Problem("no_time_limit", "a hanging job runs, and is billed, for 24 hours.", "StoppingCondition", remedy)
    inputs = get_path(request, "ProcessingInputs", default=[])
    outputs = get_path(request, "ProcessingOutputConfig", "Outputs", default=[])
    yield from processing_problems(request)
    yield from _isolated_reads(request)
    yield from _same_destination(outputs)
    for index, each in enumerate(inputs):
        mode, compression = (get_path(each, "S3Input", key) for key in ("S3InputMode", "S3CompressionType"))
        if compression == "Gzip" and mode != "Pipe":
            where = f"ProcessingInputs[{index}].S3Input.S3CompressionType"
            yield Problem("compression", f"Gzip is unpacked in Pipe mode only, not in {mode}.", where, "Use None.")


def _isolated_reads(request: Mapping[str, Any]) -> Iterator[Problem]:
    """What BuildShards reads and locks on S3 by itself, when asked to, it cannot reach from an isolated container."""
    if get_path(request, "NetworkConfig", "EnableNetworkIsolation") is not True:
        return
    arguments = get_path(request, "AppSpecification", "ContainerArguments", default=[])
    values = dict(pairwise(argument for argument in arguments if isinstance(argument, str)))
    for flag, idle in _USED_BY_THE_STEP.items():
        if values.get(flag, idle) != idle:
            what = f"{flag} {values[flag]}: the step itself would go to S3 for it, and has no network."
            remedy = f"Use {idle}, or compile the pipeline without network isolation."
            yield Problem("isolated", what, "NetworkConfig.EnableNetworkIsolation", remedy)


def _same_destination(outputs: Any) -> Iterator[Problem]:
    uris = [get_path(each, "S3Output", "S3Uri") for each in outputs]
    for (first, one), (second, other) in combinations(enumerate(uris), 2):
        if isinstance(one, str) and isinstance(other, str) and one.rstrip("/") == other.rstrip("/"):
            what = f"outputs {first} and {second} both go to {one} and may overwrite each other's objects."
            yield Problem("same_destination", what, "ProcessingOutputConfig.Outputs", "Give each its own prefix.")


def measured_problems(job: JobRequest, tuning: Tuning) -> Iterator[Problem]:
    """Settings that the measurement speaks against. Values that only a running execution has are passed over."""
    if job.operation != "CreateTransformJob":
        return
    instance_type = get_path(job.request, "TransformResources", "InstanceType")
    if isinstance(instance_type, str) and instance_type != tuning.measured.instance_type:
        what = f"the job has {instance_type}, the model was measured on {tuning.measured.instance_type}."
        yield Problem("not_checked", what, "TransformResources.InstanceType", "Measure the type that the job uses.")
        return
    concurrency = get_path(job.request, "MaxConcurrentTransforms")
    if not isinstance(concurrency, int):
        return
    measured = [level for level in tuning.levels if level.m >= concurrency]
    if not measured:
        most = max(level.m for level in tuning.levels)
        what = f"{concurrency} requests at once; no more than {most} were measured."
        yield Problem("not_measured", what, "MaxConcurrentTransforms", f"Use {most}, or measure with --levels.")
        return
    level = min(measured, key=lambda one: one.m)
    timeout = get_path(
        job.request, "ModelClientConfig", "InvocationsTimeoutInSeconds", default=DEFAULT_INVOCATION_TIMEOUT_SECONDS
    )
    if isinstance(timeout, int) and timeout < level.p99_s:
        what = f"{timeout} s; with {level.m} requests at once one in a hundred took {level.p99_s:.3g} s or longer."
        enough = tuning.parameters.invocations_timeout_in_seconds
        remedy = f"Use {enough}: what times out is sent again, and is paid again."
        yield Problem("short_timeout", what, "ModelClientConfig.InvocationsTimeoutInSeconds", remedy)
