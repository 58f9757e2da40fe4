"""A SageMaker on this machine: the boto3 client's methods for what a forecast run needs, and nothing else.

Same keyword arguments, same response shapes, same error codes; tests hold them against botocore's service model.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from batchcast.engine import models
from batchcast.engine.faults import NO_FAULTS, FaultPlan
from batchcast.engine.listing import Listing, listed
from batchcast.engine.operations import REFUSED
from batchcast.engine.pipeline import pipelines
from batchcast.engine.pipeline.execution import answers as execution_answers
from batchcast.engine.pipeline.execution import executions
from batchcast.engine.requests.refusal import refuse, refused_members
from batchcast.engine.requests.request_check import check_request, idempotency_tokens
from batchcast.engine.server.model_server import ModelSource
from batchcast.engine.transform.plan import TransformOptions
from batchcast.engine.transform.progress import TransformProgress
from batchcast.engine.workspace import Workspace
from batchcast.steps.store.objects import DirectoryStore, ObjectStore

__all__ = ["LocalSageMaker"]

Answer = dict[str, Any]

_PIPELINES = Listing(answer="PipelineSummaries", name="PipelineName")
_EXECUTIONS = Listing(answer="PipelineExecutionSummaries", name="PipelineExecutionArn", created="StartTime")
_STEPS = Listing(answer="PipelineExecutionSteps", name="StepName", created="StartTime")
_PARAMETERS = Listing(answer="PipelineParameters", name="Name", created="Name", newest_first=False)
_MODELS = Listing(answer="Models", name="ModelName")
_TRANSFORM_JOBS = Listing(
    answer="TransformJobSummaries", name="TransformJobName", status="TransformJobStatus", page_size=10
)
_PROCESSING_JOBS = Listing(
    answer="ProcessingJobSummaries", name="ProcessingJobName", status="ProcessingJobStatus", newest_first=False
)


class LocalSageMaker:
    """`workspace` is the directory that everything lies in, so that another process can describe and resume it.

    `models` maps a model's name, or a container image, to the server that stands for it. `store` is `<workspace>/s3`
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
        models: Mapping[str, ModelSource],
        store: ObjectStore | None = None,
        faults: FaultPlan = NO_FAULTS,
        *,
        step_faults: Mapping[str, Sequence[str]] | None = None,
        options: TransformOptions | None = None,
    ) -> None:
        self._step_faults = step_faults or {}
        self._workspace = Workspace(
            workspace,
            models=models,
            store=store or DirectoryStore(workspace / "s3"),
            faults=faults,
            options=options or TransformOptions(),
        )
        self._transform_jobs = self._workspace.jobs["Transform"]
        self._processing_jobs = self._workspace.jobs["Processing"]

    def create_pipeline(self, **request: Any) -> Answer:
        """The definition is parsed here: what it has that this engine cannot run is a ValidationException."""
        return _answer(pipelines.create_pipeline(self._workspace, _checked("CreatePipeline", request)))

    def update_pipeline(self, **request: Any) -> Answer:
        """Executions that run keep the definition they were started with."""
        return _answer(pipelines.update_pipeline(self._workspace, _checked("UpdatePipeline", request)))

    def describe_pipeline(self, **request: Any) -> Answer:
        """The pipeline by its name or ARN."""
        return _answer(pipelines.describe_pipeline(self._workspace, _checked("DescribePipeline", request)))

    def delete_pipeline(self, **request: Any) -> Answer:
        """Its executions are forgotten with it; refused while one of them runs."""
        return _answer(pipelines.delete_pipeline(self._workspace, _checked("DeletePipeline", request)))

    def list_pipelines(self, **request: Any) -> Answer:
        """The newest first."""
        checked = _checked("ListPipelines", request)
        return _answer(listed(_PIPELINES, pipelines.pipeline_summaries(self._workspace), checked))

    def start_pipeline_execution(self, **request: Any) -> Answer:
        """Answers at once; the execution runs in the background."""
        checked = _checked("StartPipelineExecution", request)
        return _answer(executions.start_execution(self._workspace, checked, self._step_faults))

    def stop_pipeline_execution(self, **request: Any) -> Answer:
        """Answers at once; the execution is Stopping until its steps have ended."""
        return _answer(executions.stop_execution(self._workspace, _checked("StopPipelineExecution", request)))

    def retry_pipeline_execution(self, **request: Any) -> Answer:
        """Runs the steps that did not succeed again, as a whole."""
        checked = _checked("RetryPipelineExecution", request)
        return _answer(executions.retry_execution(self._workspace, checked, self._step_faults))

    def describe_pipeline_execution(self, **request: Any) -> Answer:
        """Status and, when it Failed, why."""
        return _answer(
            execution_answers.describe_execution(self._workspace, _checked("DescribePipelineExecution", request))
        )

    def list_pipeline_executions(self, **request: Any) -> Answer:
        """The newest first."""
        checked = _checked("ListPipelineExecutions", request)
        summaries = execution_answers.execution_summaries(self._workspace, checked["PipelineName"])
        return _answer(listed(_EXECUTIONS, summaries, checked))

    def list_pipeline_execution_steps(self, **request: Any) -> Answer:
        """The steps that have started, the last first; times are there while a step runs."""
        checked = _checked("ListPipelineExecutionSteps", request)
        return _answer(listed(_STEPS, execution_answers.execution_steps(self._workspace, checked), checked))

    def list_pipeline_parameters_for_execution(self, **request: Any) -> Answer:
        """Every parameter with the value it had, as text."""
        checked = _checked("ListPipelineParametersForExecution", request)
        parameters = execution_answers.execution_parameters(self._workspace, checked)
        return _answer(listed(_PARAMETERS, parameters, checked))

    def describe_pipeline_definition_for_execution(self, **request: Any) -> Answer:
        """The definition the execution was started with."""
        checked = _checked("DescribePipelineDefinitionForExecution", request)
        return _answer(execution_answers.describe_definition(self._workspace, checked))

    def create_model(self, **request: Any) -> Answer:
        """A server has to be declared for the model's name or its image."""
        return _answer(models.create_model(self._workspace, _checked("CreateModel", request)))

    def describe_model(self, **request: Any) -> Answer:
        """A created model, or one that is only declared with its server."""
        return _answer(models.describe_model(self._workspace, _checked("DescribeModel", request)))

    def delete_model(self, **request: Any) -> None:
        """The declaration of its server stays."""
        models.delete_model(self._workspace, _checked("DeleteModel", request))

    def list_models(self, **request: Any) -> Answer:
        """The newest first."""
        checked = _checked("ListModels", request)
        return _answer(listed(_MODELS, models.model_summaries(self._workspace), checked))

    def create_transform_job(self, **request: Any) -> Answer:
        """Answers at once; the job runs in the background."""
        return {"TransformJobArn": self._transform_jobs.start(request)}

    def describe_transform_job(self, **request: Any) -> Answer:
        """Status, times and the request."""
        return _answer(self._transform_jobs.describe(_checked("DescribeTransformJob", request)["TransformJobName"]))

    def stop_transform_job(self, **request: Any) -> None:
        """Answers at once; the job is Stopping until nothing of it runs, and then has no output."""
        self._transform_jobs.stop(_checked("StopTransformJob", request)["TransformJobName"])

    def list_transform_jobs(self, **request: Any) -> Answer:
        """The newest first."""
        checked = _checked("ListTransformJobs", request)
        return _answer(listed(_TRANSFORM_JOBS, self._transform_jobs.summaries(), checked))

    def create_processing_job(self, **request: Any) -> Answer:
        """Answers at once; the job runs in the background."""
        return {"ProcessingJobArn": self._processing_jobs.start(request)}

    def describe_processing_job(self, **request: Any) -> Answer:
        """Status, times, ExitMessage and the request."""
        return _answer(self._processing_jobs.describe(_checked("DescribeProcessingJob", request)["ProcessingJobName"]))

    def stop_processing_job(self, **request: Any) -> None:
        """Answers at once; the job is Stopping until its command has ended."""
        self._processing_jobs.stop(_checked("StopProcessingJob", request)["ProcessingJobName"])

    def list_processing_jobs(self, **request: Any) -> Answer:
        """The oldest first."""
        checked = _checked("ListProcessingJobs", request)
        return _answer(listed(_PROCESSING_JOBS, self._processing_jobs.summaries(), checked))

    def transform_progress(self, job_name: str) -> TransformProgress:
        """How far a transform job is, whichever process runs it. Not a call of SageMaker."""
        return self._workspace.transform_progress(job_name)

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
        resumed = [arn for arn in wanted if executions.resume(self._workspace, arn, self._step_faults)]
        for jobs in (self._transform_jobs, self._processing_jobs):
            resumed += [arn for arn in wanted if jobs.resume(arn)]
        return resumed


def _checked(operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """The request, if the operation allows it; with a token of its own where the caller gave none, as boto3 does."""
    refuse(refused_members(REFUSED.get(operation, {}), request))
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
