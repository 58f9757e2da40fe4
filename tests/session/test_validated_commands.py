"""Whatever a command asks of SageMaker in a workspace goes through botocore's validation.

botocore reads service models beside its own from AWS_DATA_PATH. Here one demands a member of every request that nobody
sends: a command whose request reaches the engine all the same went around botocore.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import botocore.session
import pytest
from click.testing import CliRunner

from batchcast.cli.main import root
from batchcast.engine.server.model_server import ModelCommand
from batchcast.serving.parity.batch_side import answers_by_job
from batchcast.serving.parity.sample import SampledRecord
from batchcast.session.workspace_models import declare_model
from batchcast.steps.errors import ConfigError

REFUSED = 'Missing required parameter in input: "Unheard"'
MODEL = f"{sys.executable} {Path(__file__).parents[1] / 'fixtures' / 'tiny_model.py'} {{port}}"


@pytest.fixture(autouse=True)
def demanding_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every operation of SageMaker requires the member `Unheard`."""
    service = botocore.session.Session().get_service_model("sagemaker")
    demand = {"required": ["Unheard"], "members": {"Unheard": {"shape": "String"}}}
    inputs = [service.operation_model(name).input_shape for name in service.operation_names]
    folder = tmp_path / "models" / "sagemaker" / service.api_version
    folder.mkdir(parents=True)
    extras = {"merge": {"shapes": {shape.name: demand for shape in inputs if shape is not None}}}
    (folder / "service-2.sdk-extras.json").write_text(json.dumps(extras))
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path / "models"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["local", "--sample", "bakery"],
        ["start"],
        ["list"],
        ["status", "abcdefghijkl"],
        ["wait", "abcdefghijkl"],
        ["stop", "abcdefghijkl"],
        ["logs", "abcdefghijkl"],
        ["rerun", "abcdefghijkl"],
        ["backfill", "--from", "2026-01-04", "--to", "2026-01-11"],
        ["rollback", "--code", "--version", "1"],
        ["forecast", "a"],
        ["tune", "--canary", "demand", "--instance-type", "ml.m5.large", "--runs-uri", "s3://runs/tune"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_command_s_request_is_validated_by_botocore(arguments: list[str], tmp_path: Path) -> None:
    declare_model(tmp_path / "w", "demand", ModelCommand(command=MODEL))
    result = CliRunner().invoke(root, [*arguments, "--workspace", str(tmp_path / "w")])
    assert REFUSED in result.output + str(result.exception), result.output


def test_a_parity_check_s_job_is_validated_by_botocore() -> None:
    with pytest.raises(ConfigError, match=REFUSED):
        answers_by_job(MODEL, [SampledRecord(item_id="a", body=b"{}", stratum="longest")], concurrency=1)
