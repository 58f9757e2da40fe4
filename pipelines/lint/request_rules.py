"""Limits of job requests that the documentation states in prose and the service's model does not hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

from batchcast.pipelines.instance_types import has_local_storage
from batchcast.pipelines.parameter_rules import MEGABYTES_IN_FLIGHT, payload_in_flight
from batchcast.pipelines.requests import JobRequest, is_expression, known_member
from batchcast.steps.arguments import ALL, NONE
from batchcast.steps.errors import Problem

__all__ = ["documented_problems"]

# API reference, CreateTransformJob and TransformResources (botocore 1.44.8).
_DEFAULT_PAYLOAD_IN_MB = 6
_MAX_TRANSFORM_INSTANCES = 100
# Developer guide, "Associate Prediction Results with Input Records", read 2023-03.
_FILTERED_TYPES = ("text/csv", "application/json", "application/jsonlines")
# Developer guide, "Build Your Own Processing Container", read 2023-03.
_PROCESSING_ROOT = "/opt/ml/processing/"
# Flags of BuildShards that name an object it opens, and the value that names none.
_USED_BY_THE_STEP = {"--resume-from": NONE, "--items-uri": ALL, "--publish-uri": NONE}


def documented_problems(job: JobRequest) -> Iterator[Problem]:
    """What the service refuses, or takes and does differently than the request seems to say."""
    rules = {"CreateTransformJob": _transform, "CreateProcessingJob": _processing}
    if job.operation in rules:
        for problem in rules[job.operation](job.request):
            yield replace(problem, where=f"{job.step}.{problem.where}")


def _transform(request: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _transform_size(request)
    yield from _volume_key(known_member(request, "TransformResources"), "TransformResources")
    yield from _transform_prefixes(request)
    yield from _data_processing(request)


def _transform_size(request: Mapping[str, Any]) -> Iterator[Problem]:
    count = known_member(request, "TransformResources", "InstanceCount")
    if isinstance(count, int) and count > _MAX_TRANSFORM_INSTANCES:
        what = f"{count} instances; a transform job takes {_MAX_TRANSFORM_INSTANCES}."
        remedy = f"Use at most {_MAX_TRANSFORM_INSTANCES}."
        yield Problem("above_maximum", what, "TransformResources.InstanceCount", remedy)
    payload = request.get("MaxPayloadInMB", _DEFAULT_PAYLOAD_IN_MB)
    concurrency = request.get("MaxConcurrentTransforms")
    if not isinstance(payload, int):
        return
    if payload > MEGABYTES_IN_FLIGHT:
        remedy = f"Use at most {MEGABYTES_IN_FLIGHT}."
        what = f"{payload} MB; SageMaker allows {MEGABYTES_IN_FLIGHT} MB."
        yield Problem("above_maximum", what, "MaxPayloadInMB", remedy)
    elif isinstance(concurrency, int) and concurrency and payload:
        yield from payload_in_flight(concurrency, payload)


def _volume_key(resources: Any, where: str) -> Iterator[Problem]:
    instance_type = known_member(resources, "InstanceType")
    if (
        isinstance(instance_type, str)
        and known_member(resources, "VolumeKmsKeyId")
        and has_local_storage(instance_type)
    ):
        what = f"{instance_type} keeps data on NVMe disks of its own, which take no key."
        remedy = "Leave the key out or choose a type without local storage."
        yield Problem("volume_key", what, f"{where}.VolumeKmsKeyId", remedy)


def _transform_prefixes(request: Mapping[str, Any]) -> Iterator[Problem]:
    """The input is a string match, and what a job writes must not be what it, or the next one, reads."""
    source = known_member(request, "TransformInput", "DataSource", "S3DataSource")
    kind, uri = known_member(source, "S3DataType"), known_member(source, "S3Uri")
    output = known_member(request, "TransformOutput", "S3OutputPath")
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
    if folder.startswith(uri):
        what = f"{folder} begins with the input prefix {uri}: the next job would read this one's output as input."
        yield Problem("overlapping_prefixes", what, "TransformOutput.S3OutputPath", remedy)
    elif uri.startswith(folder):
        what = f"the input {uri} lies inside the output {folder}."
        yield Problem("overlapping_prefixes", what, "TransformOutput.S3OutputPath", remedy)


def _data_processing(request: Mapping[str, Any]) -> Iterator[Problem]:
    processing = known_member(request, "DataProcessing")
    if not isinstance(processing, Mapping):
        return
    filtered = [processing.get(name, "$") != "$" for name in ("InputFilter", "OutputFilter")]
    if processing.get("JoinSource", "None") == "None" and not any(filtered):
        return
    content, accept = (
        known_member(request, "TransformInput", "ContentType"),
        known_member(request, "TransformOutput", "Accept"),
    )
    split = known_member(request, "TransformInput", "SplitType", default="None")
    assemble = known_member(request, "TransformOutput", "AssembleWith", default="None")
    where = "DataProcessing"
    if content != accept and not (is_expression(content) or is_expression(accept)):
        what = f"ContentType {content} and Accept {accept} differ."
        yield Problem("data_processing", what, where, "A join or filter needs the same type in and out.")
    elif isinstance(content, str) and content not in _FILTERED_TYPES:
        remedy = f"Use one of {', '.join(_FILTERED_TYPES)}."
        yield Problem("data_processing", f"a join or filter cannot read {content}.", where, remedy)
    if split != assemble and not (is_expression(split) or is_expression(assemble)):
        what = f"SplitType {split} and AssembleWith {assemble} differ."
        yield Problem("data_processing", what, where, "A join or filter needs both to be the same.")


def _processing(request: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _volume_key(
        known_member(request, "ProcessingResources", "ClusterConfig"), "ProcessingResources.ClusterConfig"
    )
    if "StoppingCondition" not in request:
        remedy = "Give StoppingCondition.MaxRuntimeInSeconds."
        yield Problem("no_time_limit", "a hanging job runs, and is billed, for 24 hours.", "StoppingCondition", remedy)
    inputs = known_member(request, "ProcessingInputs", default=[])
    outputs = known_member(request, "ProcessingOutputConfig", "Outputs", default=[])
    yield from _local_paths(inputs, "S3Input", "ProcessingInputs")
    yield from _local_paths(outputs, "S3Output", "ProcessingOutputConfig.Outputs")
    yield from _isolated_reads(request)
    yield from _repeated(inputs, "InputName", "ProcessingInputs")
    yield from _repeated(outputs, "OutputName", "ProcessingOutputConfig.Outputs")
    yield from _same_destination(outputs)
    for index, each in enumerate(inputs):
        mode, compression = (
            known_member(each, "S3Input", "S3InputMode"),
            known_member(each, "S3Input", "S3CompressionType"),
        )
        if compression == "Gzip" and mode != "Pipe":
            where = f"ProcessingInputs[{index}].S3Input.S3CompressionType"
            yield Problem("compression", f"Gzip is unpacked in Pipe mode only, not in {mode}.", where, "Use None.")


def _isolated_reads(request: Mapping[str, Any]) -> Iterator[Problem]:
    """What BuildShards reads and locks on S3 by itself, when asked to, it cannot reach from an isolated container."""
    if known_member(request, "NetworkConfig", "EnableNetworkIsolation") is not True:
        return
    arguments = known_member(request, "AppSpecification", "ContainerArguments", default=[])
    values = dict(pairwise(argument for argument in arguments if isinstance(argument, str)))
    for flag, idle in _USED_BY_THE_STEP.items():
        if values.get(flag, idle) != idle:
            what = f"{flag} {values[flag]}: the step itself would go to S3 for it, and has no network."
            remedy = f"Use {idle}, or compile the pipeline without network isolation."
            yield Problem("isolated", what, "NetworkConfig.EnableNetworkIsolation", remedy)


def _local_paths(places: Any, member: str, where: str) -> Iterator[Problem]:
    for index, each in enumerate(places):
        path = known_member(each, member, "LocalPath")
        if isinstance(path, str) and not path.startswith(_PROCESSING_ROOT):
            here = f"{where}[{index}].{member}.LocalPath"
            what = f"{path} is not under {_PROCESSING_ROOT}, the only place a processing job may use."
            yield Problem("local_path", what, here, f"Use {_PROCESSING_ROOT}input/… or {_PROCESSING_ROOT}output/….")


def _repeated(places: Any, name: str, where: str) -> Iterator[Problem]:
    names = [each.get(name) for each in places if isinstance(each, Mapping)]
    for value in sorted({str(value) for value in names if names.count(value) > 1}):
        yield Problem("repeated_name", f"the {name} {value} is used twice.", where, "Give each its own.")


def _same_destination(outputs: Any) -> Iterator[Problem]:
    uris = [known_member(each, "S3Output", "S3Uri") for each in outputs]
    for (first, one), (second, other) in combinations(enumerate(uris), 2):
        if isinstance(one, str) and isinstance(other, str) and one.rstrip("/") == other.rstrip("/"):
            what = f"outputs {first} and {second} both go to {one} and may overwrite each other's objects."
            yield Problem("same_destination", what, "ProcessingOutputConfig.Outputs", "Give each its own prefix.")
