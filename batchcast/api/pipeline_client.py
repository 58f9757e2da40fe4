"""Where pipelines are deployed to and run: an AWS account, or a workspace on this machine; and the runs there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchcast.account.deploy import apply, package, plan_deployment
from batchcast.account.deploy_settings import account_settings, read_stack
from batchcast.local.run import PIPELINE_NAME, deploy_local, local_run
from batchcast.pipelines.parameters import parse_overrides
from batchcast.runs import start
from batchcast.runs.follow import ENDED, view
from batchcast.runs.progress import run_status
from batchcast.runs.published import PublishedRun, read_forecasts, rollback
from batchcast.runs.rerun import rerun_of_the_rest
from batchcast.runs.run_record import RunRecord, find_run, latest_publish_uri
from batchcast.runs.watch.logs import job_log
from batchcast.runs.watch.run_and_wait import StatusLines, start_in_workspace, wait_for_run
from batchcast.session.session import Session, WorkspaceSession, open_session
from batchcast.steps.errors import KINDS, ConfigError, DataError, Problem, ServiceError

if TYPE_CHECKING:
    import pandas as pd


class Run:
    """A run by its id. What is asked of it is looked up when it is asked: the object keeps nothing.

    A run in a workspace lives in the process that started it. When that ends before the run, the next `wait` resumes
    the run where it was.
    """

    def __init__(self, session: Session, pipeline_name: str, run_id: str) -> None:
        self._session = session
        self._pipeline_name = pipeline_name
        self.run_id = run_id

    def __repr__(self) -> str:
        return f"Run({self.run_id!r})"

    @property
    def parameters(self) -> Mapping[str, str]:
        """Every pipeline parameter with the value the run has, as text."""
        return self._record().parameters

    def status(self) -> dict[str, Any]:
        """How the run stands, as `status --json` prints it: execution, steps, progress, outcome, cause."""
        return run_status(self._session, self._record(), datetime.now(UTC))[0]

    def wait(self, *, check: bool = True, report_to: Callable[[str], None] | None = None) -> dict[str, Any]:
        """Follow the run to its end; the document that `wait --json` prints.

        `report_to` is called with a line of text for each step that changes its status. With `check` a run that
        published nothing raises the error that explains why: DataError, ModelError, CoverageError or ServiceError.
        """
        record = self._record()
        lines = nullcontext(StatusLines(report_to or (lambda _: None)))
        try:
            runs_uri = record.parameters["RunsUri"]
            document, exit_code = wait_for_run(self._session, record.arn, runs_uri, display=lambda _: lines)
        except SystemExit:  # how a command ends that is interrupted while the run goes on
            raise KeyboardInterrupt from None
        if check and exit_code:
            raise _error(document, exit_code)
        return document

    def logs(self, step: str | None = None) -> Iterator[str]:
        """The lines that the containers of the run's jobs wrote, step by step; of `step` alone where it is named."""
        for one in view(self._session.client("sagemaker"), self._record().arn).steps:
            if one.job and step in (None, one.name):
                yield from (line.text for line in job_log(self._session, one.job))

    def stop(self) -> None:
        """Stop the run and its jobs; nothing of it is published. A run that has ended stays as it is."""
        record = self._record()
        if record.status not in ENDED:
            start.stop_run(self._session.client("sagemaker"), record.arn)

    def rerun(self, parameters: Mapping[str, object] | None = None) -> Run:
        """Start a run that reuses the good forecasts of this one, sends only the other records and publishes the
        whole. Raises ConfigError when nothing is left to run."""
        overrides = {name: str(value) for name, value in (parameters or {}).items()}
        values = rerun_of_the_rest(self._record(), overrides)
        return Run(self._session, self._pipeline_name, start_with(self._session, self._pipeline_name, values))

    def report(self) -> dict[str, Any]:
        """What report.json of the run says. Raises DataError while the run has none."""
        found = self._record().report()
        if found is None:
            what = f"run {self.run_id} has no report: its records have not been accounted for."
            raise DataError(Problem("no_report", what, remedy="Wait for its end; `status` says why it has none."))
        return found

    def forecasts(self, **selection: Any) -> pd.DataFrame:
        """What this run published, whether readers see it or not; `selection` as `read_forecasts` takes it."""
        publish_uri = self._record().parameters["PublishUri"]
        return read_forecasts(publish_uri, run_id=self.run_id, store=self._session.store, **selection)

    def _record(self) -> RunRecord:
        return find_run(self._session, self._pipeline_name, self.run_id)


def _error(document: Mapping[str, Any], exit_code: int) -> Exception:
    kind = next((each for each in KINDS if each.exit_code == exit_code), ServiceError)
    run_id, status = document["run_id"], document["execution"]["status"]
    cause = document["cause"] or f"the execution ended {status}."
    return kind(Problem("run_failed", cause, f"run {run_id}", f"`rerun {run_id}` sends what is left."))


def start_with(session: Session, pipeline_name: str, values: Mapping[str, str]) -> str:
    """Start a run with these parameters; its id. The same label and parameters are one run on AWS.

    Raises ServiceError when another run has the publish prefix, and ConfigError for a label that is taken by a run
    that failed, or for a model that no server of the workspace stands for.
    """
    if isinstance(session, WorkspaceSession):
        return start_in_workspace(session, pipeline_name, values).rsplit("/", 1)[-1]
    client = session.client("sagemaker")
    start.check_no_overlap(session, pipeline_name, values, once=True)
    arn = start.start_run(client, pipeline_name, values, once=True)
    start.started_status(client, arn, values["RunLabel"])
    return arn.rsplit("/", 1)[-1]


_WORKSPACE_OPTIONS = ("history", "model_command", "model_url")


class PipelineClient:
    """One pipeline by name, in an account or in a workspace. The methods are the same in both."""

    def __init__(self, session: Session, pipeline_name: str) -> None:
        self._session = session
        self.pipeline_name = pipeline_name

    @property
    def region(self) -> str:
        """The AWS region; "local" in a workspace."""
        return self._session.region

    def deploy(
        self,
        *,
        contract: str | Path | None = None,
        parameters: Mapping[str, object] | None = None,
        stack: str | None = None,
        **options: Any,
    ) -> str:
        """Create the pipeline, or update what has changed; what was done, in words.

        `contract` is the model.toml, `parameters` become the defaults of the pipeline. In an account `options` are
        those of `deploy` on the command line: `pipeline_role_arn`, `processing_role_arn` and `bucket` are needed, and
        come from the CloudFormation stack named `stack` where it made them. In a workspace `options` are `history`,
        `model_command` and `model_url`, and the bakery sample stands in for what is not given.
        """
        overrides = {name: str(value) for name, value in (parameters or {}).items()}
        if isinstance(self._session, WorkspaceSession):
            given = options if stack is None else {**options, "stack": stack}
            return self._deploy_local(self._session, contract, overrides, given)
        named = read_stack(self._session, stack).get("PipelineName")
        if named not in (None, self.pipeline_name):
            what = f"its roles are for the pipeline {named!r}, this is {self.pipeline_name!r}."
            raise ConfigError(Problem("stack", what, str(stack), "Give connect that pipeline_name."))
        given = {**options, "contract": contract, "pipeline_name": self.pipeline_name}
        given["defaults"] = tuple(f"{name}={value}" for name, value in overrides.items())
        settings = account_settings(self._session, None, given, stack)
        packed = package(settings)
        deployment = plan_deployment(self._session, settings, packed)
        version = apply(self._session, deployment)
        return deployment.describe(self._session.region, packed, version)

    def start(self, parameters: Mapping[str, object] | None = None) -> Run:
        """Start a run with other values for some parameters. All that is wrong with them is raised at once."""
        overrides = parse_overrides([f"{name}={value}" for name, value in (parameters or {}).items()])
        pipeline = start.required_pipeline(self._session, self.pipeline_name)
        values = start.run_parameters(pipeline, overrides).service_values()
        return self.run(start_with(self._session, self.pipeline_name, values))

    def run(self, run_id: str) -> Run:
        """The run with that id."""
        return Run(self._session, self.pipeline_name, run_id)

    def runs(self, limit: int = 20) -> list[Run]:
        """The newest runs first."""
        listed = start.list_runs(self._session.client("sagemaker"), self.pipeline_name, limit)
        return [self.run(one.run_id) for one in listed]

    def read_forecasts(
        self,
        *,
        run_date: date | None = None,
        items: Iterable[str] | None = None,
        dates: Iterable[date] | None = None,
        publish_uri: str | None = None,
    ) -> pd.DataFrame:
        """The forecasts that readers see; the columns are those of `batchcast.read_forecasts`."""
        where = publish_uri or latest_publish_uri(self._session, self.pipeline_name)
        return read_forecasts(where, run_date=run_date, items=items, dates=dates, store=self._session.store)

    def rollback(self, to: str | None = None, *, publish_uri: str | None = None) -> PublishedRun:
        """Let readers see the run `to`, or the one that the current run replaced; the run they see now."""
        where = publish_uri or latest_publish_uri(self._session, self.pipeline_name)
        return rollback(where, to=to, store=self._session.store)

    def _deploy_local(
        self,
        session: WorkspaceSession,
        contract: str | Path | None,
        overrides: Mapping[str, str],
        options: Mapping[str, Any],
    ) -> str:
        unknown = sorted(set(options) - set(_WORKSPACE_OPTIONS))
        if unknown or self.pipeline_name != PIPELINE_NAME:
            what = f"a workspace has no {', '.join(unknown) or f'pipeline {self.pipeline_name!r}'}."
            remedy = f"Give {', '.join(_WORKSPACE_OPTIONS)}; its pipeline is {PIPELINE_NAME}."
            raise ConfigError(Problem("not_local", what, "deploy", remedy))
        checked = parse_overrides([f"{name}={value}" for name, value in overrides.items()])
        given: dict[str, Any] = {
            name: None if options.get(name) is None else str(options[name]) for name in _WORKSPACE_OPTIONS
        }
        run = local_run(session.workspace, checked, contract=None if contract is None else Path(contract), **given)
        self._session = deploy_local(run)
        return f"Pipeline {PIPELINE_NAME} in {session.workspace}: ready to start."


def connect(
    workspace: str | Path | None = None,
    *,
    region: str | None = None,
    profile: str | None = None,
    pipeline_name: str = "batchcast",
) -> PipelineClient:
    """The workspace if one is named, else the AWS account whose credentials boto3 finds.

    Raises ConfigError without a region or for an unknown profile.
    """
    session = open_session(None if workspace is None else Path(workspace), region=region, profile=profile)
    return PipelineClient(session, pipeline_name)
