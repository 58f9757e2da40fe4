"""The whole pipeline on this machine, from the definition that SageMaker gets."""

import shlex
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from batchcast.engine.faults import FaultPlan, parse_fault_plan
from batchcast.engine.server.model_server import ModelCommand, ModelSource
from batchcast.local.inputs import LocalInputs, check_undisturbed, history_directory, with_items_per_request
from batchcast.local.sample import SAMPLES, sample_file
from batchcast.pipelines.definition import define, write_definition
from batchcast.pipelines.parameters import Parameters, check_parameters
from batchcast.pipelines.settings import BuildSettings, bundle
from batchcast.pipelines.tuning import check_tuning_fits, read_tuning
from batchcast.runs.watch.run_and_wait import OpenDisplay, run_and_wait
from batchcast.session.session import WorkspaceSession
from batchcast.session.workspace_inputs import start_lock
from batchcast.session.workspace_models import LOCAL_START_SECONDS, model_server, read_models
from batchcast.steps.contract.model_contract import parse_contract, read_contract
from batchcast.steps.store.documents import read_file
from batchcast.steps.store.objects import split_uri

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
    """What a local run is made of: `history` is a directory or an s3:// URI, the model a command or a URL.

    `sample` names the sample that history and contract are of: its model is never asked about others.
    `items_per_request` takes the place of the contract's.
    """

    workspace: Path
    history: str
    contract: Path
    model_command: str | None = None
    model_url: str | None = None
    start_seconds: float = LOCAL_START_SECONDS
    faults: Path | None = None
    overrides: Mapping[str, str]
    sample: str | None = None
    items_per_request: int | None = None


def local_run(
    workspace: Path,
    overrides: Mapping[str, str],
    *,
    history: str | None = None,
    contract: Path | None = None,
    tuning: Path | None = None,
    sample: str = "bakery",
    **given: Any,
) -> LocalRun:
    """What is given, the rest by LocalRun's names, and the sample for what is not. Raises ConfigError where the sample
    is not installed."""
    measured, tuned = read_tuning(tuning) if tuning else None, dict[str, str]()
    if measured:
        # Measured on this machine or for the run's instance type. What answers at a URL has no name of its own.
        kind = overrides.get("TransformInstanceType", Parameters.model_fields["transform_instance_type"].default)
        model = given.get("model_command")
        check_tuning_fits(measured, instance_type=kind, on_this_machine=True, local_model=model)
        tuned = measured.pipeline_parameters()
    return LocalRun(
        workspace=workspace.resolve(),
        history=history or str(sample_file("history", sample)),
        contract=contract or sample_file("model.toml", sample),
        overrides={**({} if history else SAMPLES[sample]), **tuned, **overrides},
        sample=None if history or contract else sample,
        items_per_request=measured.items_per_request if measured else None,
        **given,
    )


def run_local(run: LocalRun, display: OpenDisplay, stop_after: timedelta | None = None) -> tuple[dict[str, Any], int]:
    """Run (or resume) one execution in the workspace, that long at most; the `--json` document and the exit code.
    Raises ConfigError before anything starts. A step's own error is part of the document."""
    values = check_parameters({**LOCAL_DEFAULTS, **run.overrides}).service_values()
    with ExitStack() as starting:
        starting.enter_context(start_lock(run.workspace))
        session = _put(run, values["ModelName"], {})
        return run_and_wait(session, PIPELINE_NAME, values, display=display, starting=starting, stop_after=stop_after)


def deploy_local(run: LocalRun) -> WorkspaceSession:
    """Put code, contract, history, model and definition into the workspace; the session to start runs with.

    The committed definition is used as it is, with the overrides as its defaults: no SDK is needed. Raises ConfigError
    for what is not there, and ServiceError while a run goes on that would see its inputs change.
    """
    defaults = {**LOCAL_DEFAULTS, **run.overrides}
    check_parameters(defaults)
    with start_lock(run.workspace):
        return _put(run, defaults["ModelName"], defaults)


def _put(run: LocalRun, model_name: str, defaults: Mapping[str, str]) -> WorkspaceSession:
    inputs = _inputs(run, model_name)
    faults = parse_fault_plan(read_file(run.faults, "faults").decode()) if run.faults else FaultPlan()
    before = WorkspaceSession(run.workspace)
    check_undisturbed(before, PIPELINE_NAME, inputs)
    inputs.put(run.workspace, before.store)
    session = WorkspaceSession(run.workspace, faults=faults, start_seconds=run.start_seconds)
    client, definition = session.client("sagemaker"), define(None, defaults, read_contract(run.contract).request)
    request = {"PipelineName": PIPELINE_NAME, "PipelineDefinition": write_definition(definition)}
    if any(each["PipelineName"] == PIPELINE_NAME for each in client.list_pipelines()["PipelineSummaries"]):
        client.update_pipeline(**request)
    else:
        client.create_pipeline(**request, RoleArn=LOCAL_ROLE)
    return session


def _inputs(run: LocalRun, model_name: str) -> LocalInputs:
    """What `deploy` would put on S3, the history and the model. Raises ConfigError for what is not there."""
    contract = read_file(run.contract, "contract", "Name it with --contract.")
    parse_contract(contract, where=run.contract.name)
    if run.items_per_request is not None:
        contract = with_items_per_request(contract, run.items_per_request)
    given = run.model_command or run.model_url
    model: ModelSource | None = None
    if given or model_name == LOCAL_DEFAULTS["ModelName"] or model_name not in read_models(run.workspace):
        # The sample's model is asked about what is the sample's own.
        sampled = run.sample is not None and run.model_command is None and run.model_url is None
        model = sample_model(str(run.sample)) if sampled else model_server(run.model_command, run.model_url)
    settings = BuildSettings()
    return LocalInputs(
        objects={settings.code_uri: bundle(), settings.contract_uri: contract},
        model=model,
        model_name=model_name,
        history=history_directory(run.history, run.workspace),
        history_bucket=split_uri(LOCAL_DEFAULTS["HistoryUri"])[0],
    )


def sample_model(sample: str = "bakery") -> ModelCommand:
    return ModelCommand(command=shlex.join([sys.executable, str(sample_file("serve.py", sample)), "--port", "{port}"]))
