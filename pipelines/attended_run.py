"""One execution that a command starts and stays with to its end, on AWS or in a workspace."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.console import RunDisplay, StepProgress
from pipelines.data_log import with_answers
from pipelines.follow import ExecutionView, StepView, follow
from pipelines.outcome import INTERRUPTED, outcome_of
from pipelines.session import Session, WorkspaceSession
from steps.manifest import MANIFEST_FILE
from steps.object_store import ObjectMissingError, ObjectStore, join_uri

__all__ = ["attended_run", "start_run"]

_LOCAL_EVERY_SECONDS = 0.1
# Three calls a look; SageMaker allows a few a second in an account.
_AWS_EVERY_SECONDS = 15.0


def attended_run(session: Session, pipeline_name: str, values: Mapping[str, str]) -> tuple[dict[str, Any], int]:
    """Run one execution of the pipeline to its end; the `--json` document and the exit code.

    An execution of the same parameters that was begun before goes on instead: on AWS it never stopped, in a workspace
    it ended with its process. An interrupt from the keyboard stops an execution in a workspace, and leaves one on AWS
    running.
    """
    client, store, runs_uri = session.client("sagemaker"), session.store, values["RunsUri"]
    local = isinstance(session, WorkspaceSession)
    with RunDisplay(_JobProgress(client, store, runs_uri) if local else _no_counts) as display:
        arn = _begun(client, pipeline_name, values, local=local)
        if arn:
            display.say(f"Going on with run {arn.rsplit('/', 1)[-1]}, which was {'interrupted' if local else 'begun'}.")
        else:
            display.say(_where(values, local=local))
            arn = start_run(client, pipeline_name, values)
        every_seconds = _LOCAL_EVERY_SECONDS if local else _AWS_EVERY_SECONDS
        last = _follow_to_end(client, arn, display.show, every_seconds=every_seconds, stops=local)
    document, exit_code = outcome_of(client, last, store, runs_uri)
    document["failed"] = with_answers(document["failed"], session, last)
    return document, exit_code


def start_run(client: Any, pipeline_name: str, values: Mapping[str, str]) -> str:
    """Start an execution with these parameters; its ARN."""
    parameters = [{"Name": name, "Value": value} for name, value in values.items()]
    started = client.start_pipeline_execution(PipelineName=pipeline_name, PipelineParameters=parameters)
    return str(started["PipelineExecutionArn"])


def _begun(client: Any, pipeline_name: str, values: Mapping[str, str], *, local: bool) -> str | None:
    """An unfinished execution of these parameters that nobody attends; its ARN."""
    if local:
        unfinished = [arn for arn in client.interrupted() if f":pipeline/{pipeline_name}/" in arn]
    else:
        listed = client.list_pipeline_executions(PipelineName=pipeline_name, MaxResults=100)
        unfinished = [
            each["PipelineExecutionArn"]
            for each in listed["PipelineExecutionSummaries"]
            if each["PipelineExecutionStatus"] == "Executing"
        ]
    found = next((str(arn) for arn in unfinished if values.items() <= _parameters_of(client, arn).items()), None)
    if found and local:
        client.resume_interrupted([found])
    return found


def _where(values: Mapping[str, str], *, local: bool) -> str:
    if not local:
        return "Running on AWS; the run goes on when this command is interrupted."
    instances, concurrency = values["TransformInstanceCount"], values["MaxConcurrentTransforms"]
    return f"Running on this machine: {instances} instances x {concurrency} concurrent transforms"


def _follow_to_end(
    client: Any, arn: str, on_view: Callable[[ExecutionView], None], *, every_seconds: float, stops: bool
) -> ExecutionView:
    """Follow the execution; an interrupt from the keyboard stops it first when it runs in this process (`stops`)."""
    try:
        return follow(client, arn, on_view=on_view, every_seconds=every_seconds)
    except KeyboardInterrupt:
        if not stops:
            raise SystemExit(INTERRUPTED) from None
        client.stop_pipeline_execution(PipelineExecutionArn=arn)
        return follow(client, arn, on_view=on_view, every_seconds=every_seconds)


def _parameters_of(client: Any, arn: str) -> dict[str, str]:
    listed = client.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn, MaxResults=100)
    return {each["Name"]: each["Value"] for each in listed["PipelineParameters"]}


@dataclass(frozen=True, slots=True)
class _JobProgress:
    """How far a transform job in a workspace is; what there is to do stands in the manifest of the first round."""

    client: Any
    store: ObjectStore
    runs_uri: str

    def __call__(self, run_id: str, step: StepView) -> StepProgress | None:
        if not step.job or ":transform-job/" not in step.job:
            return None
        done = self.client.transform_progress(step.job.rsplit("/", 1)[-1])
        return StepProgress(
            files_done=done.files_done,
            files_total=done.files_total,
            records_done=done.records_done,
            records_total=self._records(run_id) if step.name == "Transform" else done.files_total,
        )

    def _records(self, run_id: str) -> int | None:
        try:
            manifest = self.store.read(join_uri(self.runs_uri, run_id, "manifest", MANIFEST_FILE))
        except ObjectMissingError:
            return None
        return int(json.loads(manifest)["totals"]["records"])


def _no_counts(_run_id: str, _step: StepView) -> None:
    return None
