"""Start, stop and list executions of the pipeline, on AWS or in a workspace, and the run that would overlap.

Who has the publish prefix for itself, and whether that run is still going on.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from batchcast.pipelines.definition import defaults_of
from batchcast.pipelines.parameters import Parameters, check_parameters, declared_parameters
from batchcast.pipelines.tuning import check_tuning_fits, image_identity, read_tuning
from batchcast.runs.follow import ENDED
from batchcast.session.service_errors import answer_or_none
from batchcast.session.session import Session, WorkspaceSession, pages
from batchcast.session.workspace_inputs import fixed_inputs
from batchcast.steps.arguments import AUTO
from batchcast.steps.contract.model_contract import parse_contract
from batchcast.steps.errors import ConfigError, DataError, Problem, ServiceError
from batchcast.steps.publish.lock import PublishLock, free_lock, held_by, lock_uri, read_lock
from batchcast.steps.store.objects import ObjectStore


def deployed_pipeline(session: Session, name: str, version: int | None = None) -> dict[str, Any] | None:
    """DescribePipeline's answer, of the latest version unless one is named; None when there is no such pipeline."""
    describe = session.client("sagemaker").describe_pipeline
    which = {"PipelineName": name, **({"PipelineVersionId": version} if version else {})}
    return answer_or_none(describe, "ResourceNotFound", **which)


_TOKEN_LENGTH = 64
_MAX_DISPLAY_NAME = 82
_CLOCKS_APART = timedelta(days=1)
"""No two time zones are further apart: a date that is tomorrow here may be today where the run was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One execution in a list; `label` is its run label as far as a display name can hold it."""

    run_id: str
    status: str
    started: datetime
    label: str


def required_pipeline(session: Session, name: str, version: int | None = None) -> dict[str, Any]:
    """DescribePipeline's answer. Raises ConfigError when there is no such pipeline, or no such version."""
    pipeline = deployed_pipeline(session, name, version)
    if pipeline is None:
        what = f"there is no pipeline {name!r}{f' of version {version}' if version else ''} in {session.region}."
        raise ConfigError(Problem("not_deployed", what, name, "Deploy it first, or name another."))
    return pipeline


def run_parameters(pipeline: Mapping[str, Any], overrides: Mapping[str, str]) -> Parameters:
    """The parameters of a run: the deployed pipeline's defaults, and what is given instead.

    `pipeline` is DescribePipeline's answer. Raises ConfigError when it is of another version of batchcast, and when a
    value is missing or wrong.
    """
    definition = json.loads(pipeline["PipelineDefinition"])
    ours, theirs = {one.name for one in declared_parameters()}, {one["Name"] for one in definition["Parameters"]}
    if ours != theirs:
        other = ", ".join(sorted(ours ^ theirs))
        what = f"the deployed pipeline has other parameters than this version of batchcast: {other}."
        raise ConfigError(Problem("other_version", what, pipeline["PipelineName"], "Deploy it again."))
    return check_parameters({**defaults_of(definition), **overrides})


def start_run(
    client: Any,
    pipeline_name: str,
    values: Mapping[str, str],
    *,
    once: bool = False,
    description: str = "",
    version: int | None = None,
) -> str:
    """Start an execution with these parameters; its ARN.

    `once`: the same parameters with the same run label are one execution, however often they are started; under the
    default label every start is a run of its own all the same. `version` is the pipeline's, the latest by default.
    """
    label = values["RunLabel"]
    token = _token("start", pipeline_name, {**values, "version": str(version or "")})
    request = {
        "PipelineName": pipeline_name,
        # It may have letters, digits and inner hyphens.
        "PipelineExecutionDisplayName": re.sub(r"[^A-Za-z0-9]+", "-", label).strip("-")[:_MAX_DISPLAY_NAME],
        "PipelineParameters": [{"Name": name, "Value": value} for name, value in values.items()],
        "PipelineExecutionDescription": description,
        "PipelineVersionId": version,
        "ClientRequestToken": token if once and label != default_label() else "",
    }
    started = client.start_pipeline_execution(**{name: value for name, value in request.items() if value})
    return str(started["PipelineExecutionArn"])


def started_status(client: Any, arn: str, label: str) -> str:
    """The status of an execution that was just started; one API call. Raises ConfigError when it is an earlier one of
    the same label that failed or was stopped: starting it again would answer with it for ever."""
    status = str(client.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionStatus"])
    if status in ENDED - {"Succeeded", "CompletedWithFailures"}:
        run_id = arn.rsplit("/", 1)[-1]
        what = f"run {run_id} was started with this label and these parameters, and is {status}."
        remedy = f"`rerun {run_id}`, or give another label."
        raise ConfigError(Problem("label_taken", what, f"RunLabel {label}", remedy))
    return status


def pointer_problem(store: ObjectStore, publish_uri: str, run_date: str, today: date) -> Problem | None:
    """Why a run of this date (ISO, or `auto`) would be published and not be seen, None when nothing is in its way.
    Raises ServiceError for an identity that may not read the pointer."""
    from batchcast.steps.publish.publication import pointer_uri, read_pointer

    try:
        pointer, _ = read_pointer(store, publish_uri)
    except DataError as error:
        return error.problems[0]
    if pointer is None:
        return None
    named = f"names run {pointer.run_id} of {pointer.run_date}"
    if pointer.run_date.isoformat()[:10] > (today + _CLOCKS_APART).isoformat():
        what = f"{named}, a date in the future: until then every run is published and none becomes visible."
        remedy = "`published` lists the runs, `rollback --to RUN_ID` lets readers see another one."
    elif run_date != AUTO and run_date < pointer.run_date.isoformat():
        what = f"{named}: this run is of {run_date}, and will be published without becoming what readers see."
        remedy = "`rollback --to` its run id lets them see it."
    else:
        return None
    return Problem("pointer", what, pointer_uri(publish_uri), remedy)


def stop_run(client: Any, arn: str) -> None:
    """Ask for the execution to be stopped; its jobs are stopped with it. Asking twice is asking once."""
    client.stop_pipeline_execution(**stop_request(arn))


def stop_request(arn: str) -> dict[str, str]:
    return {"PipelineExecutionArn": arn, "ClientRequestToken": _token("stop", arn)}


def list_runs(client: Any, pipeline_name: str, most: int) -> Iterator[Listed]:
    """The newest executions first; one API call for every hundred."""
    listing = pages(client.list_pipeline_executions, PipelineName=pipeline_name, MaxResults=min(most, 100))
    for one in islice((one for page in listing for one in page["PipelineExecutionSummaries"]), most):
        yield Listed(
            run_id=one["PipelineExecutionArn"].rsplit("/", 1)[-1],
            status=one["PipelineExecutionStatus"],
            started=one["StartTime"],
            label=one.get("PipelineExecutionDisplayName", ""),
        )


def default_label() -> str:
    return str(Parameters.model_fields["run_label"].default)


def _token(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:_TOKEN_LENGTH]


def tuned_run(session: Session, pipeline: Mapping[str, Any], path: Path, overrides: Mapping[str, str]) -> Parameters:
    """The parameters of a run with what the measurement in `path` sets, under the overrides.

    `pipeline` is DescribePipeline's answer. Raises ConfigError as `run_parameters`, for a file that is no measurement,
    and for one of another instance type, another image, or another number of records a request than was deployed.
    """
    tuning = read_tuning(path)
    values = run_parameters(pipeline, {**tuning.pipeline_parameters(), **overrides})
    model = session.client("sagemaker").describe_model(ModelName=values.model_name)
    check_tuning_fits(
        tuning,
        instance_type=values.transform_instance_type,
        image_digest=find_model_image(model),
        on_this_machine=isinstance(session, WorkspaceSession),
        items_per_request=_deployed_items(session, pipeline) if tuning.items_per_request else None,
    )
    return values


def _deployed_items(session: Session, pipeline: Mapping[str, Any]) -> int:
    uri = fixed_inputs(pipeline["PipelineDefinition"])["contract"]
    return parse_contract(session.store.read(uri), where=uri).request.items_per_request


def find_model_image(model: Mapping[str, Any]) -> str | None:
    """The identity of the image in DescribeModel's answer; None for several containers, and without an image."""
    containers = model.get("Containers") or [model.get("PrimaryContainer", {})]
    images = [image_identity(one["Image"]) for one in containers if "Image" in one]
    return images[0] if len(images) == 1 == len(containers) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The run that has the lock; `status` of its execution, "" when this pipeline knows no such execution."""

    lock: PublishLock
    status: str

    @property
    def ended(self) -> bool:
        """Whether the run has ended without giving the lock back, as one does that was stopped or killed."""
        return self.status in ENDED


def find_holder(session: Session, pipeline_name: str, publish_uri: str) -> Holder | None:
    """Who has the lock; None when nobody has. Two API calls and one read.

    A run in a workspace has ended with the process that drove it, although it could go on.
    """
    lock = read_lock(session.store, publish_uri)
    if lock is None:
        return None
    sagemaker = session.client("sagemaker")
    arn = f"{sagemaker.describe_pipeline(PipelineName=pipeline_name)['PipelineArn']}/execution/{lock.run_id}"
    if isinstance(session, WorkspaceSession) and arn in session.engine.interrupted():
        return Holder(lock=lock, status="Stopped")
    describe = sagemaker.describe_pipeline_execution
    found = answer_or_none(describe, "ResourceNotFound", "ValidationException", PipelineExecutionArn=arn) or {}
    return Holder(lock=lock, status=str(found.get("PipelineExecutionStatus", "")))


def check_no_overlap(session: Session, pipeline_name: str, values: Mapping[str, str], *, once: bool = False) -> None:
    """Before a run with these parameters is started: free the lock of a run that has ended.

    Raises ServiceError when the run that has it goes on. `once`: a start that is repeated under its own label is
    answered with the run that it began, which is in nobody's way. An identity that may not read the lock learns
    from BuildShards whether it is free.
    """
    publish_uri = values["PublishUri"]
    try:
        holder = find_holder(session, pipeline_name, publish_uri)
    except ServiceError as error:
        if error.problems[0].code != "s3":
            raise
        return
    if holder is None:
        return
    if holder.ended:
        free_lock(session.store, publish_uri, holder.lock.run_id)
    elif not (once and values["RunLabel"] == holder.lock.run_label != default_label()):
        raise in_the_way(holder, pipeline_name, publish_uri)


def check_prefix(
    session: Session,
    pipeline_name: str,
    values: Mapping[str, str],
    report: Callable[[str], None],
    *,
    once: bool = False,
) -> None:
    """As `check_no_overlap`; `report` is told where readers would not see the run."""
    check_no_overlap(session, pipeline_name, values, once=once)
    with suppress(ServiceError):  # this identity may not read it
        problem = pointer_problem(session.store, values["PublishUri"], values["RunDate"], datetime.now(UTC).date())
        if problem:
            report(str(problem))


def in_the_way(holder: Holder, pipeline_name: str, publish_uri: str) -> ServiceError:
    """The error for a run that finds this one before it. Of a run of another pipeline nobody here knows the end."""
    error = held_by(holder.lock, publish_uri)
    if holder.status:
        return error
    remedy = (
        f"It is no run of the pipeline {pipeline_name}: wait for it; once it has ended, delete {lock_uri(publish_uri)}."
    )
    return ServiceError(replace(error.problems[0], remedy=remedy))
