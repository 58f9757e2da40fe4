"""`tuning.json`: what was measured of a model on an instance type, and the job settings that follow.

A run takes it only for the model and the type it was measured on: another image or type is refused by name.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.store.documents import read_file
from batchcast.steps.store.objects import write_file

# The form of a capacity curve.
CapacityKind = Literal["ideal", "assumed", "knee", "usl", "measured"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Model(_Part):
    """What answered. `image_digest` is `image_identity` of its image, None where none is known (a local command)."""

    name: str
    image_digest: str | None = None
    model_data_etag: str | None = None


class Sample(_Part):
    """The records that every level was measured with; `sha256` over their bytes in order."""

    n: int
    how: str
    sha256: str
    seconds_mean: float
    seconds_cv: float
    max_record_mb: float


class Measured(_Part):
    """Where and when. `vcpu` and `mem_gib` are those of the instance type, or of this machine."""

    where: Literal["local", "endpoint", "transform-canary"]
    instance_type: str
    vcpu: int | None
    mem_gib: float | None
    at: str
    sample: Sample


class Served(_Part):
    """What the container says of itself on GET /execution-parameters."""

    source: Literal["GET /execution-parameters", "cloudwatch-log-line", "absent"]
    max_concurrent_transforms: Annotated[int | None, Field(alias="MaxConcurrentTransforms")] = None
    max_payload_in_mb: Annotated[int | None, Field(alias="MaxPayloadInMB")] = None
    batch_strategy: Annotated[str | None, Field(alias="BatchStrategy")] = None


class Level(_Part):
    """One concurrency: throughput, its relative standard error, latencies in seconds, requests used, failures."""

    m: int
    items_per_s: float
    relse: float
    p50_s: float
    p99_s: float
    n: int
    errors: int
    cpu_pct: float | None = None
    mem_pct: float | None = None


class Curve(_Part):
    """`batchcast.planner.arithmetic.capacity.Capacity` as stored."""

    kind: CapacityKind
    theta: tuple[float, ...]
    rmse_pct: float | None
    max_tested: int


class Caps(_Part):
    """The largest concurrency that each limit allows; None where there is no such limit or it is not known."""

    payload: int
    memory: int | None
    workers: int | None


class JobSettings(_Part):
    """The recommendation, in the names of CreateTransformJob. Shards follow from it by the shard rule."""

    max_concurrent_transforms: Annotated[int, Field(alias="MaxConcurrentTransforms", ge=1)]
    max_payload_in_mb: Annotated[int, Field(alias="MaxPayloadInMB", ge=1, le=100)]
    batch_strategy: Annotated[Literal["SingleRecord"], Field(alias="BatchStrategy")]
    invocations_timeout_in_seconds: Annotated[int, Field(alias="InvocationsTimeoutInSeconds", ge=1, le=3600)]
    invocations_max_retries: Annotated[int, Field(alias="InvocationsMaxRetries", ge=0, le=3)]


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class LogNormal:
    """A duration that is never negative and has a long right tail, `median` in seconds."""

    median: float
    sigma: float


class ColdStart(_Part):
    """Seconds before (`provision_s`, not billed) and after (`start_s`) TransformStartTime."""

    provision_s: LogNormal
    start_s: LogNormal
    source: str


class Assignment(_Part):
    """How objects were seen to be mapped to instances; `busiest_share` as in `conditions.Conditions`."""

    rule: Literal["unknown", "round-robin", "hash"]
    evidence: str
    busiest_share: Annotated[float, Field(ge=1)] = 1.0


class Variant(_Part):
    """One way the server was started, and the best it did: environment variables and words of its command."""

    settings: Mapping[str, str]
    items_per_s: float
    m: int


class Tuning(_Part):
    """The document. `variants` has a row for each way the server was started, or for each number of records a request;
    the rest is of the one that is recommended. `items_per_request` is None where whole requests were given. `requests`
    were sent for its levels, of which `not_told_apart` are as good as the best within two standard errors, while other
    programs took up to `others_pct` of the machine's processors.
    """

    schema_: Annotated[Literal[1], Field(alias="schema")]
    model: Model
    measured: Measured
    execution_parameters: Served
    levels: Sequence[Level]
    capacity: Curve
    stop_reason: str
    caps: Caps
    parameters: JobSettings
    cold_start: ColdStart
    assignment: Assignment
    variants: Sequence[Variant] = ()
    items_per_request: Annotated[int | None, Field(ge=1)] = None
    requests: int = 0
    not_told_apart: Sequence[int] = ()
    others_pct: float | None = None

    def pipeline_parameters(self) -> dict[str, str]:
        """The settings that are parameters of the pipeline, as StartPipelineExecution takes them."""
        values = self.parameters.model_dump(by_alias=True, exclude={"batch_strategy"})
        return {name: str(value) for name, value in values.items()}


def image_identity(image: str) -> str:
    """The digest of an image reference that has one, else the reference: a tag is the best that is known then."""
    return image.rpartition("@")[2]


def read_tuning(path: Path) -> Tuning:
    """Raises ConfigError for a file that is none, with every field that is wrong."""
    try:
        return Tuning.model_validate_json(read_file(path, "tuning"))
    except ValidationError as error:
        problems = [
            Problem("tuning", f"{'.'.join(map(str, one['loc'])) or 'document'}: {one['msg']}.", where=str(path))
            for one in error.errors()
        ]
        raise ConfigError(*problems) from error


def write_tuning(tuning: Tuning, path: Path) -> None:
    """Whole or not at all."""
    text = tuning.model_dump_json(by_alias=True, indent=1)
    write_file(path, text.encode() + b"\n")


def check_tuning_fits(
    tuning: Tuning,
    *,
    instance_type: str,
    image_digest: str | None = None,
    on_this_machine: bool = False,
    items_per_request: int | None = None,
    local_model: str | None = None,
) -> None:
    """Raises ConfigError unless it was measured on this type, with this model and as many records a request.

    `local_model` is the command of a model that runs here, where one was given.

    Images are compared where both are known by their digest or both by their tag. `on_this_machine`: instances of
    whatever type are this machine, as in a workspace, so that what was measured here fits all of them.
    """
    problems = []
    measured_here = on_this_machine and tuning.measured.where == "local"
    if tuning.measured.instance_type != instance_type and not measured_here:
        what = f"it was measured on {tuning.measured.instance_type}, the run has {instance_type}."
        problems.append(Problem("tuning_type", what, "tuning", "Measure the type that the run uses."))
    known = tuning.model.image_digest
    if image_digest and known and _is_digest(known) == _is_digest(image_digest) and known != image_digest:
        what = f"it was measured with image {known}, the model has {image_digest}."
        problems.append(Problem("tuning_image", what, "tuning", "Measure the model again."))
    if local_model and tuning.measured.where == "local" and tuning.model.name != local_model:
        what = f"it was measured with {tuning.model.name!r}, the run has {local_model!r}."
        problems.append(Problem("tuning_model", what, "tuning", "Measure the model that the run asks."))
    if items_per_request and tuning.items_per_request not in (None, items_per_request):
        what = f"it was measured with {tuning.items_per_request} records a request, the run has {items_per_request}."
        problems.append(Problem("tuning_items", what, "tuning", "Measure what the run sends."))
    ConfigError.raise_any(problems)


def _is_digest(image: str) -> bool:
    return image.startswith("sha256:")
