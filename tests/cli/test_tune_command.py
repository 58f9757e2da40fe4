from __future__ import annotations

import io
import json
import shlex
import sys
import threading
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from contract_text import contract_text

from batchcast.cli.plan.tune import tune_command
from batchcast.pipelines.tuning import read_tuning
from batchcast.planner.tune.measure import TuneOptions, samples_of
from batchcast.planner.tune.sources import endpoint_tuning
from batchcast.steps.errors import ConfigError, ModelError

pytestmark = pytest.mark.timed

SERVER = Path(__file__).parent / "sleeping_server.py"


@pytest.fixture
def records(tmp_path: Path) -> Path:
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps({"seconds": 0.01 + 0.0005 * number}) + "\n" for number in range(20)))
    return path


def command(*words: str) -> str:
    return shlex.join([sys.executable, str(SERVER), "{port}", *words])


def run(tmp_path: Path, records: Path, *arguments: str, env: dict[str, str] | None = None) -> Result:
    common = [
        "--records",
        str(records),
        "--sample",
        "12",
        "--block-seconds",
        "0",
        "--output",
        str(tmp_path / "tuning.json"),
    ]
    return CliRunner().invoke(tune_command, [*arguments, *common], catch_exceptions=False, env=env)


def test_a_real_server_s_workers_are_found(tmp_path: Path, records: Path) -> None:
    result = run(tmp_path, records, "--model-command", command("2"), "--levels", "1,2,4", env={"OMP_NUM_THREADS": "1"})
    assert result.exit_code == 0
    found = read_tuning(tmp_path / "tuning.json")
    rates = {level.m: level.items_per_s for level in found.levels}
    # A busy machine is slow to bring the next request, so four in flight may do a little more than two.
    assert rates[2] > 1.5 * rates[1]
    assert rates[4] < 3 * rates[1]
    assert 2 <= found.parameters.max_concurrent_transforms <= 4
    assert found.measured.where == "local"
    assert found.levels[0].cpu_pct is not None
    assert found.execution_parameters.source == "absent"
    assert "GET /execution-parameters" in result.stdout


def test_threads_set_wrong_are_found_and_said(tmp_path: Path, records: Path) -> None:
    arguments = ["--model-command", command("2"), "--levels", "1,2"]
    result = run(tmp_path, records, *arguments, env={"OMP_NUM_THREADS": "8"})
    assert "OMP_NUM_THREADS=1 does" in result.stdout
    assert "times as much as the command as it is" in result.stdout
    found = read_tuning(tmp_path / "tuning.json")
    assert [variant.settings for variant in found.variants] == [{}, {"OMP_NUM_THREADS": "1"}]
    gain = found.variants[1].items_per_s / found.variants[0].items_per_s
    assert 1.5 < gain < 4


def test_words_of_the_command_are_varied_where_it_has_them(tmp_path: Path, records: Path) -> None:
    varied = ["--vary", "workers=1,3", "--levels", "1,2,3", "--json"]
    result = run(tmp_path, records, "--model-command", command("{workers}"), *varied, env={"OMP_NUM_THREADS": "1"})
    document = json.loads(result.stdout)
    assert [variant["settings"]["workers"] for variant in document["variants"]] == ["1", "3"]
    assert document["caps"]["workers"] == 3
    assert 2 <= document["parameters"]["MaxConcurrentTransforms"] <= 3


SEVERAL = "{\"instances\": $records}'''\nitems_per_request = 1\nrecord = '''$target_time_series"
CONTRACT = contract_text(SEVERAL, sales="@", answer='records = "forecast"')


@pytest.fixture
def history(tmp_path: Path) -> list[str]:
    """A history of 32 items and its contract, as options."""
    (tmp_path / "history").mkdir()
    days = [date(2026, 1, 1) + timedelta(days=day) for day in range(5)]
    rows = {"item": [f"item-{n // 5:02d}" for n in range(160)], "date": days * 32, "sales": [1.0] * 160}
    pq.write_table(pa.table(rows), tmp_path / "history" / "a.parquet")
    (tmp_path / "model.toml").write_text(CONTRACT)
    return ["--history", str(tmp_path / "history"), "--contract", str(tmp_path / "model.toml")]


def test_the_records_a_request_that_do_most_are_found(tmp_path: Path, history: list[str]) -> None:
    output = tmp_path / "tuning.json"
    measured = ["--items-per-request", "1,8,32", "--levels", "1", "--block-seconds", "0", "--output", str(output)]
    arguments = ["--model-command", command("1"), *history, *measured]
    result = CliRunner().invoke(tune_command, arguments, catch_exceptions=False, env={"OMP_NUM_THREADS": "1"})
    assert "With items_per_request = 8, which belongs into model.toml." in result.stdout
    found = read_tuning(output)
    rates = {int(one.settings["items_per_request"]): one.items_per_s for one in found.variants}
    assert found.items_per_request == 8
    assert rates[8] == pytest.approx(found.levels[0].items_per_s)
    assert rates[8] > 3 * rates[1]
    assert rates[32] < 0.9 * rates[8]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--items-per-request", "8"], "go together"),
        (["--items-per-request", "8", "{history}", "--records", "r.jsonl"], "go together"),
        (["--items-per-request", "x", "{history}"], "Write 1,8,64."),
        (["--items-per-request", "33", "{history}"], "the history has 32 items"),
    ],
)
def test_records_a_request_that_cannot_be_measured_are_refused(
    history: list[str], arguments: list[str], message: str
) -> None:
    words = [word for each in arguments for word in (history if each == "{history}" else [each])]
    with pytest.raises(ConfigError, match=message):
        CliRunner().invoke(tune_command, ["--model-url", "http://127.0.0.1:1", *words], catch_exceptions=False)


def test_a_server_that_breaks_under_load_is_given_less(tmp_path: Path, records: Path) -> None:
    arguments = ["--model-command", command("8", "--fail-above", "3"), "--levels", "1,2,4"]
    run(tmp_path, records, *arguments, env={"OMP_NUM_THREADS": "1"})
    found = read_tuning(tmp_path / "tuning.json")
    assert found.parameters.max_concurrent_transforms <= 3
    assert "HTTP 500" in found.stop_reason


def test_a_server_that_does_not_start_is_the_model_s_error(tmp_path: Path, records: Path) -> None:
    with pytest.raises(ModelError, match="exited with code"):
        run(tmp_path, records, "--model-command", f"{sys.executable} -c 1 {{port}}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "exactly one"),
        (["--model-url", "http://127.0.0.1:1", "--endpoint", "e"], "exactly one"),
        (["--model-url", "http://127.0.0.1:1", "--vary", "A=1"], "starts no server"),
        (["--endpoint", "e"], "--instance-type"),
        (["--canary", "m", "--instance-type", "ml.m5.xlarge"], "--runs-uri"),
        (["--model-url", "http://127.0.0.1:1", "--levels", "1,x"], "--levels"),
        (["--model-command", "x {port}", "--vary", "A"], "names no values"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    tmp_path: Path, records: Path, arguments: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(tmp_path, records, *arguments)


def canary_workspace(tmp_path: Path, *words: str) -> Path:
    from engine_client import EngineClient

    from batchcast.engine.server.model_server import ModelCommand

    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "models.toml").write_text(f"[demand]\ncommand = {json.dumps(command(*words))}\n")
    client = EngineClient(workspace, {"demand": ModelCommand(command=command(*words))})
    create: Any = client.create_model
    container = {"Image": "demand", "ModelDataUrl": "s3://models/demand.tar.gz"}
    create(ModelName="demand", PrimaryContainer=container, ExecutionRoleArn="arn:aws:iam::000000000000:role/demand")
    return workspace


def test_canary_jobs_on_the_local_engine_find_the_workers(tmp_path: Path, records: Path) -> None:
    workspace = canary_workspace(tmp_path, "2")
    arguments = ["--canary", "demand", "--instance-type", "ml.m5.xlarge", "--runs-uri", "s3://runs/tune"]
    options = ["--workspace", str(workspace), "--levels", "1,2,4", "--json"]
    result = run(tmp_path, records, *arguments, *options, env={"OMP_NUM_THREADS": "1"})
    document = json.loads(result.stdout)
    assert document["measured"]["where"] == "transform-canary"
    assert document["measured"]["instance_type"] == "ml.m5.xlarge"
    assert document["model"] == {"name": "demand", "image_digest": "demand", "model_data_etag": None}
    rates = {level["m"]: level["items_per_s"] for level in document["levels"]}
    assert rates.keys() == {1, 2, 4}
    assert rates[2] > 1.5 * rates[1]
    assert rates[4] < 3 * rates[1]


def test_a_canary_that_fails_at_once_is_the_model_s_error(tmp_path: Path, records: Path) -> None:
    workspace = canary_workspace(tmp_path, "2", "--fail-above", "0")
    arguments = ["--canary", "demand", "--instance-type", "ml.m5.xlarge", "--runs-uri", "s3://runs/tune"]
    with pytest.raises(ModelError, match="one request at a time already fails"):
        run(tmp_path, records, *arguments, "--workspace", str(workspace))


class RecordedEndpoint:
    """A session with an endpoint of two instances."""

    region = "eu-west-1"

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.in_flight = self.most_in_flight = 0

    def client(self, service: str) -> RecordedEndpoint:
        assert service in ("sagemaker-runtime", "sagemaker")
        return self

    def invoke_endpoint(self, *, EndpointName: str, Body: bytes, **headers: str) -> dict[str, Any]:  # noqa: N803
        assert (EndpointName, headers["ContentType"]) == ("live", "application/json")
        with self.lock:
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        time.sleep(json.loads(Body)["seconds"])
        with self.lock:
            self.in_flight -= 1
        return {"Body": io.BytesIO(b"{}")}

    def describe_endpoint(self, *, EndpointName: str) -> dict[str, Any]:  # noqa: N803
        image = {"SpecifiedImage": f"{EndpointName}:1", "ResolvedImage": "repository/live@sha256:ab"}
        return {"ProductionVariants": [{"CurrentInstanceCount": 2, "DeployedImages": [image]}]}


def test_an_endpoint_is_measured_and_known_by_the_image_that_serves(records: Path) -> None:
    options = TuneOptions(
        levels=(1, 2),
        vary={},
        sample=12,
        block_seconds=0.0,
        records=records,
        endpoint="live",
        instance_type="ml.m5.4xlarge",
    )
    endpoint = RecordedEndpoint()
    found = endpoint_tuning(endpoint, options, samples_of(options)[0], lambda _: None)
    assert endpoint.most_in_flight == 4
    assert found.measured.where == "endpoint"
    assert found.measured.vcpu == 16
    assert found.model.image_digest == "sha256:ab"
    assert [level.m for level in found.levels] == [1, 2]
