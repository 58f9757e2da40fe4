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
from batchcast.engine.jobs import Jobs
from batchcast.engine.pipeline import pipelines
from batchcast.engine.pipeline.execution import executions
from batchcast.engine.requests.request_check import check_request, idempotency_tokens
from batchcast.engine.server.model_server import ModelSource, to_model_source
from batchcast.engine.transform.context import TransformProgress
from batchcast.engine.transform.plan import TransformOptions
from batchcast.engine.workspace import Workspace
from batchcast.steps.store.objects import DirectoryStore, ObjectStore

Summary = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """How one List call answers: the member that holds the summaries, and theirs that it sorts and filters by."""

    answer: str
    name: str
    created: str = "CreationTime"
    status: str = ""
    newest_first: bool = True
    page_size: int = 100


def listed(listing: Listing, summaries: Iterable[Summary], request: Mapping[str, Any]) -> dict[str, Any]:
    """One page of the summaries that the request asks for. Raises ServiceException for a token nobody gave out."""
    found = [each for each in summaries if _passes(listing, each, request)]
    keys = {"CreationTime": listing.created, "Status": listing.status}
    member = keys.get(request.get("SortBy", "CreationTime"), listing.name)
    descending = request.get("SortOrder", "Descending" if listing.newest_first else "Ascending") == "Descending"
    found.sort(key=lambda each: (each[member], each[listing.name]), reverse=descending)
    first = _position(request.get("NextToken", "0"))
    last = first + request.get("MaxResults", listing.page_size)
    answer: dict[str, Any] = {listing.answer: found[first:last]}
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


def _position(token: str) -> int:
    """A token is the place of its page's first summary."""
    if not token.isdecimal():
        raise ServiceException("ValidationException", f"Invalid NextToken: {token!r}")
    return int(token)


Answer = dict[str, Any]

# Their request is checked where jobs are made, those of pipelines too.
_CHECKED_BY_JOBS = ("CreateProcessingJob", "CreateTransformJob")
_PIPELINES = Listing(answer="PipelineSummaries", name="PipelineName")
_VERSIONS = Listing(answer="PipelineVersionSummaries", name="PipelineVersionId")
_EXECUTIONS = Listing(answer="PipelineExecutionSummaries", name="PipelineExecutionArn", created="StartTime")
_STEPS = Listing(answer="PipelineExecutionSteps", name="StepName", created="StartTime")
_PARAMETERS = Listing(answer="PipelineParameters", name="Name", created="Name", newest_first=False)
_TAGS = Listing(answer="Tags", name="Key", created="Key", newest_first=False)
_MODELS = Listing(answer="Models", name="ModelName")
_TRANSFORM_JOBS = Listing(
    answer="TransformJobSummaries", name="TransformJobName", status="TransformJobStatus", page_size=10
)
_PROCESSING_JOBS = Listing(
    answer="ProcessingJobSummaries", name="ProcessingJobName", status="ProcessingJobStatus", newest_first=False
)


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
        self._step_faults = step_faults or {}
        self._workspace = Workspace(
            workspace,
            models={name: to_model_source(given) for name, given in models.items()},
            store=store or DirectoryStore(workspace / "s3"),
            faults=faults,
            options=options or TransformOptions(),
        )
        self._transform_jobs = self._workspace.jobs["Transform"]
        self._processing_jobs = self._workspace.jobs["Processing"]
        self._operations = _operations(self._workspace, self._step_faults)

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
        answer = self._operations.get(operation)
        if answer is None:
            what = f"{operation} is not emulated locally; {len(self._operations)} operations are."
            raise not_emulated(what, where=f"sagemaker:{operation}", remedy="Call it on AWS.")
        try:
            if operation not in _CHECKED_BY_JOBS:
                request = _checked(operation, request)
            answered = answer(request)
        except OSError as error:
            raise storage_error(error, self._workspace.root) or error from error
        return None if answered is None else _answer(answered)

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
        jobs = [self._transform_jobs, self._processing_jobs]
        return [*executions.interrupted(self._workspace), *(arn for each in jobs for arn in each.interrupted())]

    def resume_interrupted(self, arns: Sequence[str] | None = None) -> list[str]:
        """Go on, in the background, with what is interrupted, all of it or what `arns` names; the ARNs resumed.

        Steps that ended stay as they are. A transform job that was running sends only the objects that have no output
        yet; everything else that was running is done again. Not a call of SageMaker.
        """
        wanted = [arn for arn in self.interrupted() if arns is None or arn in arns]
        resumed = [arn for arn in wanted if executions.resume_execution(self._workspace, arn, self._step_faults)]
        for jobs in (self._transform_jobs, self._processing_jobs):
            resumed += [arn for arn in wanted if jobs.resume(arn)]
        return resumed


def _operations(
    workspace: Workspace, step_faults: Mapping[str, Sequence[str]]
) -> Mapping[str, Callable[[Mapping[str, Any]], Answer | None]]:
    """What answers each operation, from its checked request; None where the service answers with nothing."""
    transforms, processings = workspace.jobs["Transform"], workspace.jobs["Processing"]
    return {
        "CreatePipeline": lambda request: pipelines.create_pipeline(workspace, request),
        "UpdatePipeline": lambda request: pipelines.update_pipeline(workspace, request),
        "DescribePipeline": lambda request: pipelines.describe_pipeline(workspace, request),
        "DeletePipeline": lambda request: pipelines.delete_pipeline(workspace, request),
        "ListPipelines": lambda request: listed(_PIPELINES, pipelines.pipeline_summaries(workspace), request),
        "ListPipelineVersions": lambda request: listed(
            _VERSIONS, pipelines.version_summaries(workspace, request), request
        ),
        "StartPipelineExecution": lambda request: executions.start_execution(workspace, request, step_faults),
        "StopPipelineExecution": lambda request: executions.stop_execution(workspace, request),
        "RetryPipelineExecution": lambda request: executions.retry_execution(workspace, request, step_faults),
        "DescribePipelineExecution": lambda request: executions.describe_execution(workspace, request),
        "ListPipelineExecutions": lambda request: listed(
            _EXECUTIONS, executions.execution_summaries(workspace, request["PipelineName"]), request
        ),
        "ListPipelineExecutionSteps": lambda request: listed(
            _STEPS, executions.execution_steps(workspace, request), request
        ),
        "ListPipelineParametersForExecution": lambda request: listed(
            _PARAMETERS, executions.parameters_of_execution(workspace, request), request
        ),
        "DescribePipelineDefinitionForExecution": lambda request: executions.describe_definition(workspace, request),
        "CreateModel": lambda request: resources.create_model(workspace, request),
        "DescribeModel": lambda request: resources.describe_model(workspace, request),
        "DeleteModel": lambda request: resources.delete_model(workspace, request),
        "ListModels": lambda request: listed(_MODELS, resources.model_summaries(workspace), request),
        "AddTags": lambda request: resources.add_tags(workspace, request),
        "DeleteTags": lambda request: resources.delete_tags(workspace, request),
        "ListTags": lambda request: listed(_TAGS, resources.list_tags(workspace, request), request),
        **_job_operations(transforms, _TRANSFORM_JOBS),
        **_job_operations(processings, _PROCESSING_JOBS),
    }


def _job_operations(jobs: Jobs, listing: Listing) -> Mapping[str, Callable[[Mapping[str, Any]], Answer | None]]:
    kind = jobs.kind
    return {
        f"Create{kind}Job": lambda request: {f"{kind}JobArn": jobs.start(request)},
        f"Describe{kind}Job": lambda request: jobs.describe(request[f"{kind}JobName"]),
        f"Stop{kind}Job": lambda request: jobs.stop(request[f"{kind}JobName"]),
        f"List{kind}Jobs": lambda request: listed(listing, jobs.summaries(), request),
    }


def _checked(operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """The request, if the operation allows it; with a token of its own where the caller gave none, as boto3 does."""
    checked = {**{name: str(uuid.uuid4()) for name in idempotency_tokens(operation)}, **request}
    check_request(operation, checked)
    return checked


def _answer(answer: Answer) -> Answer:
    """The answer with its times as datetimes, as boto3 gives them: members of its own and of its summaries."""
    return {
        key: [_with_times(each) if isinstance(each, dict) else each for each in value]
        if isinstance(value, list)
        else value
        for key, value in _with_times(answer).items()
    }


def _with_times(members: Answer) -> Answer:
    return {
        key: datetime.fromisoformat(value) if key.endswith("Time") and isinstance(value, str) else value
        for key, value in members.items()
    }
