"""`rerun` and `published` on an account: what they read, and the one execution that is started."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sample_run import SampleRun
from strict import Recorder
from team import DEFAULTS, REGION

from batchcast.account.deploy import Package, apply, plan_deployment
from batchcast.account.deploy_settings import DeploySettings
from batchcast.cli.main import root
from batchcast.session.session import AwsSession
from batchcast.steps.errors import ConfigError

PART = "part-00000.jsonl"


@pytest.fixture
def past_run(session: AwsSession, settings: DeploySettings, packed: Package, tmp_path: Path) -> str:
    """An execution that was held because a shard has no output; its run id."""
    apply(session, plan_deployment(session, settings, packed))
    started = session.client("sagemaker").start_pipeline_execution(PipelineName="batchcast")
    run_id = str(started["PipelineExecutionArn"]).rsplit("/", 1)[-1]
    sample = SampleRun(root=tmp_path, run_id=run_id, run_date=date(2026, 11, 22), days=31)
    sample.transform({name: lines for name, lines in sample.answers().items() if name != PART})
    sample.step(max_retry_records=0)
    for stored in sample.store.list(f"s3://bucket/runs/{run_id}/"):
        name = stored.uri.removeprefix("s3://bucket/runs")
        session.store.write(DEFAULTS["RunsUri"] + name, sample.store.read(stored.uri))
    return run_id


def call(*arguments: str) -> Result:
    return CliRunner().invoke(root, [*arguments, "--region", REGION])


def test_a_rerun_starts_one_execution_with_the_earlier_runs_parameters(
    account: Recorder, session: AwsSession, past_run: str
) -> None:
    account.calls.clear()
    result = call("rerun", past_run, "--no-wait", "-p", "MaxFailedRecords=5")
    assert result.exit_code == 0, result.output
    [started] = [request for _, operation, request in account.calls if operation == "StartPipelineExecution"]
    values = {each["Name"]: each["Value"] for each in started["PipelineParameters"]}
    wanted = {"ResumeFrom": past_run, "RunDate": "2026-11-22", "MaxFailedRecords": "5", "RecordsPerShard": "1"}
    assert {name: values[name] for name in wanted} == wanted
    assert values["ModelName"] == DEFAULTS["ModelName"]
    listed = session.client("sagemaker").list_pipeline_executions(PipelineName="batchcast")
    ids = [each["PipelineExecutionArn"].rsplit("/", 1)[-1] for each in listed["PipelineExecutionSummaries"]]
    assert result.stdout.strip() in ids


def test_a_list_of_items_goes_to_the_runs_prefix(session: AwsSession, past_run: str, tmp_path: Path) -> None:
    items = tmp_path / "items.txt"
    items.write_text("shop-0/item-000\n")
    assert call("rerun", past_run, "--no-wait", "--items", str(items)).exit_code == 0
    [stored] = session.store.list(f"{DEFAULTS['RunsUri']}/items/")
    assert json.loads(session.store.read(stored.uri)) == {"item_id": "shop-0/item-000"}


@pytest.mark.parametrize("override", ["MaxFailedRecords=-1", "MaxFailedRecord=1", "ForecastHorizon=7"])
def test_a_wrong_override_starts_nothing(account: Recorder, past_run: str, override: str) -> None:
    account.calls.clear()
    result = call("rerun", past_run, "--no-wait", "-p", override)
    assert isinstance(result.exception, ConfigError)
    assert "sagemaker:StartPipelineExecution" not in account.operations()


def test_what_is_published_is_looked_for_where_the_last_run_published(account: Recorder, past_run: str) -> None:
    assert call("published").stdout.strip() == f"Nothing is published at {DEFAULTS['PublishUri']}."


def test_two_runs_of_the_account_are_compared(account: Recorder, past_run: str) -> None:
    result = call("diff", past_run, past_run, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["parameters"], document["inputs"]["items"]) == ([], [12, 12])
