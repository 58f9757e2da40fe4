"""`local`: the whole pipeline on this machine, from the definition that SageMaker gets."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchcast.local.sample import SAMPLE_RUN_DATE, sample_file
from batchcast.pipelines.definition import DEFINITION_FILE
from batchcast.session.session import LOCAL_START_SECONDS
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.store.objects import split_uri

if TYPE_CHECKING:
    from batchcast.engine import FaultPlan, ModelCommand, ModelSource
    from batchcast.local.inputs import LocalInputs

__all__ = ["LOCAL_DEFAULTS", "LocalRun", "local", "run_local", "sample_model"]

LOCAL_DEFAULTS = {
    "HistoryUri": "s3://history/",
    "RunsUri": "s3://batchcast/runs",
    "PublishUri": "s3://batchcast/published",
    "ModelName": "local-model",
    # Every instance is a server process of its own: two of them show the division of work on a laptop.
    "TransformInstanceCount": "2",
    "MaxConcurrentTransforms": "4",
}
PIPELINE_NAME = "batchcast"
LOCAL_ROLE = "arn:aws:iam::000000000000:role/batchcast"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRun:
    """What a local run is made of: `history` is a directory or an s3:// URI, the model a command or a URL."""

    workspace: Path
    history: str
    contract: Path
    model_command: str | None
    model_url: str | None
    start_seconds: float
    faults: Path | None
    overrides: Mapping[str, str]


@click.command()
@click.option("-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="Override a parameter.")
@click.option("--history", metavar="DIR|S3URI", help="Parquet history; the bakery sample unless given.")
@click.option("--contract", type=click.Path(path_type=Path), help="The model.toml that declares the model's records.")
@click.option("--model-command", metavar="'CMD … {port}'", help="Starts a model server on {port}; one an instance.")
@click.option("--model-url", metavar="URL", help="A model server that is already running.")
@click.option(
    "--start-seconds",
    type=click.FloatRange(0, min_open=True),
    default=LOCAL_START_SECONDS,
    show_default=True,
    help="How long a model server may take to answer its first ping; SageMaker waits about half an hour.",
)
@click.option("--faults", type=click.Path(path_type=Path), help="A TOML plan of faults to inject, for rehearsals.")
@click.option("--tuning", type=click.Path(path_type=Path), help="What `tune` measured; -p still wins over it.")
@click.option(
    "--workspace",
    type=click.Path(path_type=Path),
    default=Path("workspace"),
    show_default=True,
    help="Where everything of local runs lies; a run that was killed goes on from here.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout instead of the table.")
def local(
    parameters: tuple[str, ...],
    history: str | None,
    contract: Path | None,
    model_command: str | None,
    model_url: str | None,
    start_seconds: float,
    faults: Path | None,
    tuning: Path | None,
    workspace: Path,
    as_json: bool,
) -> None:
    """Run the whole pipeline on this machine, with real model servers and no AWS.

    Without options it forecasts the bakery sample. It uses 2 instances with 4 concurrent transforms unless
    told otherwise, where SageMaker would use the definition's defaults.
    """
    from batchcast.cli.console import print_result
    from batchcast.pipelines.parameters import parse_overrides

    given = parse_overrides(list(parameters))
    run = LocalRun(
        workspace=workspace.resolve(),
        history=history or str(sample_file("history")),
        contract=contract or sample_file("model.toml"),
        model_command=model_command,
        model_url=model_url,
        start_seconds=start_seconds,
        faults=faults,
        overrides={**_sample_overrides(history), **_tuned(tuning, given), **given},
    )
    document, exit_code = run_local(run)
    if as_json:
        click.echo(json.dumps(document, indent=1))
    else:
        print_result(document)
    sys.exit(exit_code)


def _sample_overrides(history: str | None) -> dict[str, str]:
    return {} if history else {"RunDate": SAMPLE_RUN_DATE}


def _tuned(tuning: Path | None, given: Mapping[str, str]) -> dict[str, str]:
    """The parameters that were measured, on this machine or for the run's instance type; another type is refused."""
    if tuning is None:
        return {}
    from batchcast.pipelines.parameters import Parameters
    from batchcast.pipelines.tuning import check_tuning_fits, read_tuning

    measured = read_tuning(tuning)
    instance_type = given.get("TransformInstanceType", Parameters.model_fields["transform_instance_type"].default)
    check_tuning_fits(measured, instance_type=instance_type, on_this_machine=True)
    return measured.pipeline_parameters()


def run_local(run: LocalRun) -> tuple[dict[str, Any], int]:
    """Run (or go on with) one execution in the workspace; the `--json` document and the exit code.

    Raises ConfigError before anything starts. A step's own error is part of the document.
    """
    from batchcast.cli.run_and_wait import attended_run
    from batchcast.local.inputs import check_undisturbed
    from batchcast.pipelines.parameters import check_parameters
    from batchcast.session.session import WorkspaceSession
    from batchcast.session.start_lock import start_lock

    values = check_parameters({**LOCAL_DEFAULTS, **run.overrides}).service_values()
    inputs, faults = _inputs(run, values["ModelName"]), _faults(run)
    with ExitStack() as starting:
        starting.enter_context(start_lock(run.workspace))
        before = WorkspaceSession(run.workspace)
        check_undisturbed(before, PIPELINE_NAME, inputs)
        inputs.put(run.workspace, before.store)
        session = WorkspaceSession(run.workspace, faults=faults, start_seconds=run.start_seconds)
        _put_pipeline(session.client("sagemaker"))
        return attended_run(session, PIPELINE_NAME, values, starting=starting)


def _inputs(run: LocalRun, model_name: str) -> LocalInputs:
    """What `deploy` would put on S3, the history and the model. Raises ConfigError for what is not there."""
    from batchcast.local.inputs import LocalInputs, history_directory
    from batchcast.pipelines.bundle import bundle
    from batchcast.pipelines.settings import BuildSettings
    from batchcast.session.workspace_models import read_models
    from batchcast.steps.contract.model_contract import read_contract

    if not run.contract.is_file():
        raise ConfigError(Problem("contract", "there is no such file.", str(run.contract), "Name it with --contract."))
    read_contract(run.contract)
    given = run.model_command or run.model_url or model_name == LOCAL_DEFAULTS["ModelName"]
    declared = given or model_name not in read_models(run.workspace)
    settings = BuildSettings()
    return LocalInputs(
        objects={settings.code_uri: bundle(), settings.contract_uri: run.contract.read_bytes()},
        model=_model_source(run) if declared else None,
        model_name=model_name,
        history=history_directory(run.history, run.workspace),
        history_bucket=split_uri(LOCAL_DEFAULTS["HistoryUri"])[0],
    )


def sample_model() -> ModelCommand:
    """The server of the bakery sample's model."""
    from batchcast.engine.server.model_server import ModelCommand

    return ModelCommand(command=shlex.join([sys.executable, str(sample_file("serve.py")), "--port", "{port}"]))


def _model_source(run: LocalRun) -> ModelSource:
    from batchcast.engine.server.model_server import ModelCommand, ModelUrl

    if run.model_url and run.model_command:
        raise ConfigError(Problem("model", "both --model-command and --model-url.", remedy="Give one of them."))
    if run.model_url:
        return ModelUrl(url=run.model_url)
    if run.model_command is None:
        return sample_model()
    command = run.model_command
    if "{port}" not in command:
        what = f"{command!r} has no {{port}}."
        raise ConfigError(Problem("model", what, "--model-command", "Write {port} where the server takes its port."))
    return ModelCommand(command=command)


def _faults(run: LocalRun) -> FaultPlan:
    from batchcast.engine import FaultPlan, parse_fault_plan

    if run.faults is None:
        return FaultPlan()
    if not run.faults.is_file():
        raise ConfigError(Problem("faults", "there is no such file.", str(run.faults)))
    return parse_fault_plan(run.faults.read_text())


def _put_pipeline(client: Any) -> None:
    """The committed definition as it is now; executions that were started keep theirs."""
    request = {"PipelineName": PIPELINE_NAME, "PipelineDefinition": DEFINITION_FILE.read_text()}
    if any(each["PipelineName"] == PIPELINE_NAME for each in client.list_pipelines()["PipelineSummaries"]):
        client.update_pipeline(**request)
    else:
        client.create_pipeline(**request, RoleArn=LOCAL_ROLE)
