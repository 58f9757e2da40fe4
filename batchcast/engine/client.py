"""A SageMaker on this machine: the operations that a forecast run needs, by boto3's method names, and nothing else.

Same keyword arguments, same response shapes, same error codes; tests hold them against botocore's service model. List
calls filter, order and page with the defaults of the API reference; where it names none, the newest come first, as the
consoles show them.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from batchcast.engine import resources
from batchcast.engine.errors import ServiceException, not_emulated, storage_error
from batchcast.engine.faults import NO_FAULTS, FaultPlan
from batchcast.engine.pipeline import pipelines
from batchcast.engine.pipeline.execution import executions
from batchcast.engine.requests.request_check import answer_members, check_request, idempotency_tokens
from batchcast.engine.server.model_server import ModelSource, to_model_source
from batchcast.engine.transform.context import TransformProgress
from batchcast.engine.transform.plan import TransformOptions
from batchcast.engine.workspace import Workspace
from batchcast.steps.store.objects import DirectoryStore, ObjectStore

Answer = dict[str, Any]
Summary = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """How one List call answers: the member that holds the summaries, and theirs that it sorts and filters by."""

    summaries: Callable[[Workspace, Mapping[str, Any]], Iterable[Summary]]
    answer: str
    name: str
    created: str = "CreationTime"
    status: str = ""
    newest_first: bool = True
    page_size: int = 100


def _listed(operation: str, workspace: Workspace, request: Mapping[str, Any]) -> Answer:
    """One page of the summaries that the request asks for. Raises ServiceException for a token nobody gave out."""
    listing = _LISTINGS[operation]
    found = [each for each in listing.summaries(workspace, request) if _passes(listing, each, request)]
    keys = {"CreationTime": listing.created, "Status": listing.status}
    member = keys.get(request.get("SortBy", "CreationTime"), listing.name)
    descending = request.get("SortOrder", "Descending" if listing.newest_first else "Ascending") == "Descending"
    found.sort(key=lambda each: (each[member], each[listing.name]), reverse=descending)
    token = request.get("NextToken", "0")  # the place of its page's first summary
    if not token.isdecimal():
        raise ServiceException("ValidationException", f"Invalid NextToken: {token!r}")
    first = int(token)
    last = first + request.get("MaxResults", listing.page_size)
    shown = [_with_times(answer_members(operation, each)) for each in found[first:last]]
    answer: dict[str, Any] = {listing.answer: shown}
    return answer if last >= len(found) else {**answer, "NextToken": str(last)}


def _passes(listing: Listing, summary: Summary, request: Mapping[str, Any]) -> bool:
    tests: Mapping[str, Callable[[Any], bool]] = {
        "NameContains": lambda text: text.lower() in summary[listing.name].lower(),
        "PipelineNamePrefix": lambda text: summary[listing.name].startswith(text),
        "StatusEquals": lambda status: summary[listing.status] == status,
        "CreationTimeAfter": lambda moment: _aware(summary[listing.created]) > _aware(moment),
        "CreationTimeBefore": lambda moment: _aware(summary[listing.created]) < _aware(moment),
        "CreatedAfter": lambda moment: _aware(summary[listing.created]) > _aware(moment),
        "CreatedBefore": lambda moment: _aware(summary[listing.created]) < _aware(moment),
        "LastModifiedTimeAfter": lambda moment: _aware(summary["LastModifiedTime"]) > _aware(moment),
        "LastModifiedTimeBefore": lambda moment: _aware(summary["LastModifiedTime"]) < _aware(moment),
    }
    return all(test(request[name]) for name, test in tests.items() if name in request)


def _aware(moment: datetime | str | float) -> datetime:
    """As botocore reads a time: seconds since 1970 or ISO 8601; UTC where no zone is told."""
    if isinstance(moment, int | float):
        return datetime.fromtimestamp(moment, UTC)
    read = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _job_operations(kind: str) -> Mapping[str, Callable[[Workspace, Mapping[str, Any]], Answer | None]]:
    name = f"{kind}JobName"
    return {
        f"Create{kind}Job": lambda workspace, request: {f"{kind}JobArn": workspace.jobs[kind].start(request)},
        f"Describe{kind}Job": lambda workspace, request: workspace.jobs[kind].describe(request[name]),
        f"Stop{kind}Job": lambda workspace, request: workspace.jobs[kind].stop(request[name]),
    }


# Their request is checked where jobs are made, those of pipelines too.
_CHECKED_BY_JOBS = ("CreateProcessingJob", "CreateTransformJob")
_LISTINGS: Mapping[str, Listing] = {
    "ListModels": Listing(lambda workspace, _: workspace.all_models(), "Models", "ModelName"),
    "ListPipelines": Listing(pipelines.pipeline_summaries, "PipelineSummaries", "PipelineName"),
    "ListPipelineVersions": Listing(pipelines.version_summaries, "PipelineVersionSummaries", "PipelineVersionId"),
    "ListPipelineExecutions": Listing(
        executions.execution_summaries, "PipelineExecutionSummaries", "PipelineExecutionArn", created="StartTime"
    ),
    "ListPipelineExecutionSteps": Listing(
        executions.execution_steps, "PipelineExecutionSteps", "StepName", created="StartTime"
    ),
    "ListPipelineParametersForExecution": Listing(
        executions.parameters_of_execution, "PipelineParameters", "Name", created="Name", newest_first=False
    ),
    "ListTags": Listing(resources.list_tags, "Tags", "Key", created="Key", newest_first=False),
    "ListTransformJobs": Listing(
        lambda workspace, _: workspace.jobs["Transform"].all(),
        "TransformJobSummaries",
        "TransformJobName",
        status="TransformJobStatus",
        page_size=10,
    ),
    "ListProcessingJobs": Listing(
        lambda workspace, _: workspace.jobs["Processing"].all(),
        "ProcessingJobSummaries",
        "ProcessingJobName",
        status="ProcessingJobStatus",
        newest_first=False,
    ),
}
# What answers each other operation; None where the service answers with nothing.
_OPERATIONS: Mapping[str, Callable[[Workspace, Mapping[str, Any]], Answer | None]] = {
    "CreatePipeline": pipelines.create_pipeline,
    "UpdatePipeline": pipelines.update_pipeline,
    "DescribePipeline": pipelines.describe_pipeline,
    "DeletePipeline": pipelines.delete_pipeline,
    "StartPipelineExecution": executions.start_execution,
    "StopPipelineExecution": executions.stop_execution,
    "RetryPipelineExecution": executions.retry_execution,
    "DescribePipelineExecution": executions.describe_execution,
    "DescribePipelineDefinitionForExecution": executions.describe_definition,
    "CreateModel": resources.create_model,
    "DescribeModel": resources.describe_model,
    "DeleteModel": resources.delete_model,
    "AddTags": resources.add_tags,
    "DeleteTags": resources.delete_tags,
    **_job_operations("Transform"),
    **_job_operations("Processing"),
}


class LocalSageMaker:
    """`workspace` is the directory that everything lies in, so that another process can describe and resume it.

    `models` maps a model's name, or a container image, to the server that stands for it: the command that starts it,
    with `{port}`, or the URL of one that runs. `store` is `<workspace>/s3`
    unless given. `faults` are planned for the requests of transform jobs; `step_faults` for a pipeline's steps: the
    exception types (`SageMaker.CAPACITY_ERROR`, …) that the first attempts of the step with that name meet. `options`
    are the switches of transform jobs; their `time_scale` also scales what retry policies wait.

    Executions and jobs run in background threads of this process. When it ends before they do, however it ends, their
    subprocesses end with it and `resume_interrupted()` of a later process goes on with them.

    Raises ServiceException as the service would, and NotEmulatedError for what only this engine refuses.
    """

    def __init__(
        self,
        workspace: Path,
        models: Mapping[str, ModelSource | str],
        store: ObjectStore | None = None,
        faults: FaultPlan = NO_FAULTS,
        *,
        step_faults: Mapping[str, Sequence[str]] | None = None,
        options: TransformOptions | None = None,
    ) -> None:
        self._workspace = Workspace(
            workspace,
            models={name: to_model_source(given) for name, given in models.items()},
            store=store or DirectoryStore(workspace / "s3"),
            faults=faults,
            step_faults=step_faults or {},
            options=options or TransformOptions(),
        )

    @property
    def workspace(self) -> Path:
        """The directory that everything lies in."""
        return self._workspace.root

    @property
    def store(self) -> ObjectStore:
        """The objects that jobs read and write."""
        return self._workspace.store

    def call(self, operation: str, request: Mapping[str, Any]) -> Any:
        """The service's answer to one call, e.g. of `DescribePipeline`; times as datetimes, as boto3 gives them.

        None where the service answers with nothing.

        Raises ServiceException as the service would, NotEmulatedError for what only this engine refuses, and
        ServiceError where the disk of the workspace is in the way.
        """
        if operation not in _OPERATIONS and operation not in _LISTINGS:
            what = f"{operation} is not emulated locally; {len(_OPERATIONS) + len(_LISTINGS)} operations are."
            raise not_emulated(what, where=f"sagemaker:{operation}", remedy="Call it on AWS.")
        try:
            if operation not in _CHECKED_BY_JOBS:
                # A token that the caller did not give is made, as boto3 does.
                request = {**{name: str(uuid.uuid4()) for name in idempotency_tokens(operation)}, **request}
                check_request(operation, request)
            if operation in _LISTINGS:
                return _listed(operation, self._workspace, request)
            answered = _OPERATIONS[operation](self._workspace, request)
        except OSError as error:
            raise storage_error(error, self._workspace.root) or error from error
        return None if answered is None else _with_times(answer_members(operation, answered))

    def transform_progress(self, job_name: str) -> TransformProgress:
        """How far a transform job is, whichever process runs it. Not a call of SageMaker."""
        return self._workspace.transform_progress(job_name)

    def job_folders(self, execution_id: str) -> list[Path]:
        """What the jobs of an execution left on disk. Not a call of SageMaker."""
        return self._workspace.job_folders(execution_id)

    def forget_execution(self, arn: str) -> None:
        """Remove an execution that has ended, with its jobs and their files. Not a call of SageMaker."""
        executions.forget_execution(self._workspace, arn)

    def interrupted(self) -> list[str]:
        """The ARNs of executions and jobs that a process left running when it died. Not a call of SageMaker."""
        jobs = self._workspace.jobs.values()
        return [*executions.interrupted(self._workspace), *(arn for each in jobs for arn in each.interrupted())]

    def resume_interrupted(self, arns: Sequence[str] | None = None) -> list[str]:
        """Go on, in the background, with what is interrupted, all of it or what `arns` names; the ARNs resumed.

        Steps that ended stay as they are. A transform job that was running sends only the objects that have no output
        yet; everything else that was running is done again. Not a call of SageMaker.
        """
        wanted = [arn for arn in self.interrupted() if arns is None or arn in arns]
        resumed = [arn for arn in wanted if executions.resume_execution(self._workspace, arn)]
        for jobs in self._workspace.jobs.values():
            resumed += [arn for arn in wanted if jobs.resume(arn)]
        return resumed


def _with_times(members: Answer) -> Answer:
    return {
        key: datetime.fromisoformat(value) if key.endswith("Time") and isinstance(value, str) else value
        for key, value in members.items()
    }
