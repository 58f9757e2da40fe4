"""Where pipelines are deployed to and run: an AWS account, or a workspace on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchcast.account.deploy import apply, package, plan_deployment
from batchcast.account.deploy_settings import account_settings, read_stack
from batchcast.api.run import Run, start_with
from batchcast.local.run import PIPELINE_NAME, deploy_local, local_run
from batchcast.pipelines.parameters import parse_overrides
from batchcast.runs.published import PublishedRun, read_forecasts, rollback
from batchcast.runs.run_record import latest_publish_uri
from batchcast.runs.start import list_runs, required_pipeline, run_parameters
from batchcast.session.session import Session, WorkspaceSession, open_session
from batchcast.steps.errors import ConfigError, Problem

if TYPE_CHECKING:
    import pandas as pd


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
        pipeline = required_pipeline(self._session, self.pipeline_name)
        values = run_parameters(pipeline, overrides).service_values()
        return self.run(start_with(self._session, self.pipeline_name, values))

    def run(self, run_id: str) -> Run:
        """The run with that id."""
        return Run(self._session, self.pipeline_name, run_id)

    def runs(self, limit: int = 20) -> list[Run]:
        """The newest runs first."""
        listed = list_runs(self._session.client("sagemaker"), self.pipeline_name, limit)
        return [self.run(one.run_id) for one in listed]

    def read_forecasts(
        self, *, run_date: date | None = None, items: Iterable[str] | None = None, publish_uri: str | None = None
    ) -> pd.DataFrame:
        """The forecasts that readers see; the columns are those of `batchcast.read_forecasts`."""
        where = publish_uri or latest_publish_uri(self._session, self.pipeline_name)
        return read_forecasts(where, run_date=run_date, items=items, store=self._session.store)

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
