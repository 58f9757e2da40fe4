"""The `async` commands on an account, from the deployment to the published run; an endpoint that answers at once."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sample_run
from answering_endpoint import MODEL, OUTPUT, AnsweringEndpoint
from click.testing import CliRunner, Result
from team import BUCKET, DEFAULTS, REGION

from batchcast.cli.main import root
from batchcast.serving.bulk import submit
from batchcast.session.session import AwsSession
from batchcast.steps.errors import ConfigError, CoverageError


def call(*arguments: str) -> Result:
    return CliRunner().invoke(root, ["async", *arguments, "--region", REGION])


def deployed() -> None:
    options = ["--model", MODEL, "--instance-type", "ml.m5.4xlarge", "--max-instances", "2", "--output", OUTPUT]
    result = call("deploy", *options)
    assert result.exit_code == 0, result.output
    assert "created" in result.stdout


def test_from_the_deployment_to_the_published_run_and_back_to_nothing(
    endpoint: AnsweringEndpoint, session: AwsSession
) -> None:
    run_id = endpoint.run.run_id
    deployed()
    told = json.loads(call("status", "--json", "--price-per-hour", "1").stdout)
    assert (told["instances"], told["problems"]) == (1, [])
    told_in_words = call("status").stdout
    assert "Scaling:      whole" in told_in_words
    assert "instance hours, --price-per-hour says what they cost" in told_in_words
    submitted = call("submit", "--shards", run_id, "--seconds", "1", "--senders", "1")
    assert submitted.exit_code == 0, submitted.output
    assert "12 records of 1 s on 2 x 4 requests: about 0.3 h. None would expire after 6 h" in submitted.stderr
    assert sorted(endpoint.sent) == sorted(endpoint.run.items)
    collected = call("collect", "--shards", run_id)
    assert collected.exit_code == 0, collected.output
    assert f"Run {run_id}: COMPLETE." in collected.stdout
    published = json.loads(session.store.read(f"{DEFAULTS['PublishUri']}/latest.json"))
    assert run_id in json.dumps(published)
    again = call("collect", "--shards", run_id)
    assert "Decided already" in again.stderr
    assert again.stdout == collected.stdout
    assert call("submit", "--shards", run_id, "--seconds", "1").stdout.startswith("Nothing is left to send")
    removed = call("teardown")
    assert removed.stdout.count("Removed") == 6
    assert call("teardown").stdout == "Looked again: nothing is left of batchcast-async.\n"


def test_a_record_that_goes_on_failing_holds_the_run(endpoint: AnsweringEndpoint) -> None:
    endpoint.poison = min(endpoint.run.items)
    deployed()
    submitted = call("submit", "--shards", endpoint.run.run_id, "--seconds", "1", "--senders", "1")
    assert "1 were given up" in submitted.stdout
    for _ in range(2):
        collected = call("collect", "--shards", endpoint.run.run_id)
        assert isinstance(collected.exception, CoverageError)
        assert "HELD. 11 of 12 items" in collected.stdout
    assert endpoint.sent.count(endpoint.poison) == 2


def test_a_forecast_through_the_endpoint_from_a_history_on_s3(
    endpoint: AnsweringEndpoint, session: AwsSession, tmp_path: Path
) -> None:
    deployed()
    item = min(endpoint.run.items)
    store, _, product = item.partition("/")
    days = [date(2026, 11, 22) - timedelta(days=number) for number in range(40)]
    columns = {"store": [store] * 40, "product": [product] * 40, "date": days, "sales": [float(n) for n in range(40)]}
    pq.write_table(pa.table(columns), tmp_path / "part.parquet")
    session.store.upload(tmp_path / "part.parquet", f"s3://{BUCKET}/small/part.parquet")
    (tmp_path / "model.toml").write_text(sample_run.CONTRACT)
    options = ["--history", f"s3://{BUCKET}/small/", "--contract", str(tmp_path / "model.toml"), "--horizon", "31"]
    arguments = ["forecast", item, *options, "--endpoint", "batchcast-async", "--json", "--region", REGION]
    result = CliRunner().invoke(root, arguments)
    assert result.exit_code == 0, result.output
    (told,) = json.loads(result.stdout)["items"]
    assert list(told["forecast"].values()) == endpoint.run.values(item)
    placed = CliRunner().invoke(root, [*arguments, "--no-wait"]).stdout
    assert placed.startswith(f"{item}: {OUTPUT}/answers/")


def test_it_is_said_beforehand_what_would_expire_and_what_cannot_be_served_in_time(
    endpoint: AnsweringEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A record of an hour is looked for once a minute; this endpoint answers at once.
    monkeypatch.setattr(submit, "_POLL_RANGE", (0.05, 0.05))
    deployed()
    slow = ("submit", "--shards", endpoint.run.run_id, "--seconds", "3600", "--timeout", "3600")
    told = call(*slow, "--ttl", "3600", "--senders", "1").stderr
    assert "about 1.8 h. Sent at once about 7 would expire after 1 h in the queue" in told
    assert "5 instances would do without" in told
    problem = call(*slow, "--ttl", "1200").exception
    assert isinstance(problem, ConfigError)
    assert "--ttl: 1200 s; from zero to all instances an endpoint needs 1200 s" in str(problem)


@pytest.mark.parametrize("command", ["deploy", "status", "teardown", "submit", "collect"])
def test_a_workspace_is_refused_with_the_reason(command: str) -> None:
    problem = CliRunner().invoke(root, ["async", command, "--workspace", "x"]).exception
    assert isinstance(problem, ConfigError)
    assert "a workspace has no asynchronous endpoint" in str(problem)
