"""One execution that is started and followed to its end, on AWS or in a workspace."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from batchcast.engine.transform.context import TransformProgress
from batchcast.runs.follow import AWS_PACE, WORKSPACE_PACE, ExecutionView, StepView, follow
from batchcast.runs.outcome import INTERRUPTED, failures, outcome_of
from batchcast.runs.progress import JobProgress, ShardCounts
from batchcast.runs.run_record import given_parameters
from batchcast.runs.start import check_prefix, start_run, stop_run
from batchcast.runs.watch.logs import with_answers
from batchcast.session.session import Session, WorkspaceSession
from batchcast.session.workspace_inputs import changed_inputs, describe_inputs, run_inputs, start_lock
from batchcast.steps.errors import ConfigError, Problem

# Whether a process has died is asked of every execution and job of the workspace.
_TAKE_OVER_SECONDS = 1.0


class Display(Protocol):
    """Where a person sees how the run goes on."""

    def message(self, text: str) -> None:
        """A line beside the progress."""

    def show(self, execution: ExecutionView) -> None:
        """Bring the display up to a new view."""


ProgressOf = Callable[[str, StepView], TransformProgress | None]
"""How far a step of a run id is; None for a step that counts nothing."""
OpenDisplay = Callable[[ProgressOf], AbstractContextManager[Display]]


@dataclass(slots=True)
class StatusLines:
    """A display that tells `message` of each step whose status has changed."""

    message: Callable[[str], None]
    _seen: dict[str, str] = field(default_factory=dict)

    def show(self, execution: ExecutionView) -> None:
        for step in execution.steps:
            if self._seen.get(step.name) != step.status:
                self._seen[step.name] = step.status
                self.message(f"{step.name}: {step.status}")


def run_and_wait(
    session: Session,
    pipeline_name: str,
    values: Mapping[str, str],
    *,
    display: OpenDisplay,
    starting: ExitStack | None = None,
    stop_after: timedelta | None = None,
    version: int | None = None,
) -> tuple[dict[str, Any], int]:
    """Run one execution of the pipeline to its end; the `--json` document and the exit code.

    An execution of the same parameters that was begun before goes on instead: on AWS it never stopped; in a workspace
    it ended with its process, and goes on only when it is made of what lies there now. An interrupt from the keyboard
    stops an execution in a workspace, and leaves one on AWS running; `stop_after` this time it is stopped as well, in a
    workspace. `starting` has the workspace's start lock where the caller took it; `version` is the pipeline's, for a
    run in a workspace. Raises ServiceError when another run has the publish prefix, and ConfigError for a model for
    which no server of the workspace stands.
    """
    progress = _progress(session, values["RunsUri"])
    held = starting or ExitStack()
    if starting is None and isinstance(session, WorkspaceSession):
        held.enter_context(start_lock(session.workspace))
    with held, display(progress) as shown:
        if isinstance(session, WorkspaceSession):
            arn = _begin_here(session, pipeline_name, values, shown, version)
        else:
            arn = _begin_on_aws(session, pipeline_name, values, shown)
        held.close()  # from here on the run's own record says that it goes on
        here = isinstance(session, WorkspaceSession)
        following = _Following(session, arn, shown, here=here, stop_after=stop_after or timedelta.max)
        last = following.to_end()
    document, exit_code = _outcome(session, last, values["RunsUri"])
    if following.overdue and last.status == "Stopped":
        document["cause"] = f"{following.overdue} `rerun {last.run_id}` runs what is left."
    return document, exit_code


def start_in_workspace(session: WorkspaceSession, pipeline_name: str, values: Mapping[str, str]) -> str:
    """Start an execution that runs in this process, or resume an interrupted one of the same values; its ARN."""
    with start_lock(session.workspace):
        return _begin_here(session, pipeline_name, values, StatusLines(lambda _: None))


def wait_for_run(session: Session, arn: str, runs_uri: str, *, display: OpenDisplay) -> tuple[dict[str, Any], int]:
    """Stay with an execution that was started before; as `run_and_wait`.

    In a workspace it is only looked at while another process drives it, and goes on in this one when that has ended.
    """
    with display(_progress(session, runs_uri)) as shown:
        last = _Following(session, arn, shown).to_end()
    return _outcome(session, last, runs_uri)


def _progress(session: Session, runs_uri: str) -> ProgressOf:
    if isinstance(session, WorkspaceSession):
        return JobProgress(session.engine, session.store, runs_uri)
    return ShardCounts(session, runs_uri)


def _outcome(session: Session, last: ExecutionView, runs_uri: str) -> tuple[dict[str, Any], int]:
    document, exit_code = outcome_of(session.client("sagemaker"), last, session.store, runs_uri)
    document["failed"] = with_answers(document["failed"], session, last)
    document["failures"] = failures(session, last)
    return document, exit_code


def _begin_here(
    session: WorkspaceSession,
    pipeline_name: str,
    values: Mapping[str, str],
    display: Display,
    version: int | None = None,
) -> str:
    """Go on with an interrupted run of these parameters and inputs, or start one; its ARN."""
    client = session.client("sagemaker")
    inputs = run_inputs(session, pipeline_name, values)
    interrupted = [arn for arn in session.engine.interrupted() if f":pipeline/{pipeline_name}/" in arn]
    for arn in _with_parameters(client, interrupted, values):
        run_id = arn.rsplit("/", 1)[-1]
        if changed := _changed(client, arn, inputs):
            what = f"Run {run_id} was interrupted and does not go on: it is made of other inputs than these"
            display.message(f"{what} ({changed}). This is a new run.")
        elif session.engine.resume_interrupted([arn]):
            display.message(f"Going on with run {run_id}, which was interrupted.")
            return arn
    session.require_model(values["ModelName"])
    check_prefix(session, pipeline_name, values, display.message)
    instances, concurrency = values["TransformInstanceCount"], values["MaxConcurrentTransforms"]
    display.message(f"Running on this machine: {instances} instances x {concurrency} concurrent transforms")
    return start_run(client, pipeline_name, values, description=describe_inputs(inputs), version=version)


def _begin_on_aws(session: Session, pipeline_name: str, values: Mapping[str, str], display: Display) -> str:
    client = session.client("sagemaker")
    listed = client.list_pipeline_executions(PipelineName=pipeline_name, MaxResults=100)["PipelineExecutionSummaries"]
    unfinished = [each["PipelineExecutionArn"] for each in listed if each["PipelineExecutionStatus"] == "Executing"]
    for arn in _with_parameters(client, unfinished, values):
        display.message(f"Going on with run {arn.rsplit('/', 1)[-1]}, which was begun.")
        return arn
    check_prefix(session, pipeline_name, values, display.message)
    display.message("Running on AWS; the run goes on when this command is interrupted.")
    return start_run(client, pipeline_name, values)


def _with_parameters(client: Any, arns: list[str], values: Mapping[str, str]) -> Iterator[str]:
    return (str(arn) for arn in arns if values.items() <= given_parameters(client, arn).items())


def _changed(client: Any, arn: str, inputs: Mapping[str, str]) -> str:
    """In words, what of the inputs is not what it was when the execution was started."""
    execution = client.describe_pipeline_execution(PipelineExecutionArn=arn)
    return ", ".join(changed_inputs(execution.get("PipelineExecutionDescription", ""), inputs))


@dataclass(slots=True)
class _Following:
    """Follows an execution; `here`: it runs in this process, which so far only a workspace has."""

    session: Session
    arn: str
    display: Display
    here: bool = False
    stop_after: timedelta = timedelta.max
    began: float = field(default_factory=time.monotonic)
    looked: float = 0.0
    overdue: str = ""

    def to_end(self) -> ExecutionView:
        """The last view. An interrupt from the keyboard stops an execution of this process first."""
        pace = WORKSPACE_PACE if isinstance(self.session, WorkspaceSession) else AWS_PACE
        try:
            return follow(self.session, self.arn, on_view=self._show, pace=pace, report=self.display.message)
        except KeyboardInterrupt:
            if not self.here:
                run_id = self.arn.rsplit("/", 1)[-1]
                self.display.message(f"Run {run_id} goes on; `wait {run_id}` follows it again.")
                raise SystemExit(INTERRUPTED) from None
            stop_run(self.session.client("sagemaker"), self.arn)
            return follow(self.session, self.arn, on_view=self.display.show, pace=pace)

    def _show(self, view: ExecutionView) -> None:
        if isinstance(self.session, WorkspaceSession) and not self.here and not view.ended:
            self._take_over(self.session)
        late = time.monotonic() - self.began > self.stop_after.total_seconds()
        if late and self.here and not view.ended and not self.overdue:
            self.overdue = f"It had not ended after {self.stop_after} and was stopped, as --stop-after says."
            self.display.message(self.overdue)
            stop_run(self.session.client("sagemaker"), self.arn)
        self.display.show(view)

    def _take_over(self, session: WorkspaceSession) -> None:
        """Go on in this process with what the process that drove it left. Raises ConfigError when that would mix
        what it is made of with other inputs."""
        if time.monotonic() - self.looked < _TAKE_OVER_SECONDS:
            return
        self.looked = time.monotonic()
        if self.arn not in session.engine.interrupted():
            return
        with start_lock(session.workspace):
            _check_unchanged(session, self.arn)
            self.here = bool(session.engine.resume_interrupted([self.arn]))
        if self.here:
            self.display.message("The process that ran it has ended; it goes on in this one.")


def _check_unchanged(session: WorkspaceSession, arn: str) -> None:
    client = session.client("sagemaker")
    pipeline_name, run_id = arn.rsplit(":pipeline/", 1)[-1].split("/")[0], arn.rsplit("/", 1)[-1]
    inputs = run_inputs(session, pipeline_name, given_parameters(client, arn))
    if changed := _changed(client, arn, inputs):
        what = f"run {run_id} was interrupted, and what it is made of has changed since: {changed}."
        remedy = "Put back what it was started with, with `local`, or give it up with `stop` and start a new run."
        raise ConfigError(Problem("inputs_changed", what, str(session.workspace), remedy))
