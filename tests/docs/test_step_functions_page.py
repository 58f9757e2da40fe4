"""docs/step-functions.md and infra/state-machine.yaml: the template is clean, its role may what the machine calls."""

from __future__ import annotations

import fnmatch
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint_file
from cfnlint.decode import decode
from engine_client import EngineClient
from local_pipeline import definition, fail

import batchcast as bc
from batchcast.pipelines.definition import define
from batchcast.pipelines.state_machine import state_machine

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "infra" / "state-machine.yaml"
PAGE = (ROOT / "docs" / "step-functions.md").read_text()


def test_the_template_is_clean() -> None:
    assert lint_file(TEMPLATE) == []


def test_the_machine_is_clean_to_a_linter(tmp_path: Path) -> None:
    """cfn-lint has a schema of the language."""
    properties = {
        "RoleArn": "arn:aws:iam::111122223333:role/machine",
        "Definition": state_machine(define(), timedelta(hours=1)),
    }
    machine = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    path = tmp_path / "machine.json"
    path.write_text(json.dumps({"Resources": {"Machine": machine}}))
    assert lint_file(path) == []
    machine["Properties"] = {**properties, "Definition": {"StartAt": "Nowhere", "States": {}}}
    path.write_text(json.dumps({"Resources": {"Machine": machine}}))
    assert lint_file(path) != []


def test_the_machines_role_may_what_the_machine_calls() -> None:
    template: dict[str, Any] = decode(TEMPLATE)[0]
    (policy,) = template["Resources"]["MachineRole"]["Properties"]["Policies"]
    jobs = next(one for one in policy["PolicyDocument"]["Statement"] if one["Sid"] == "Jobs")
    names = [one["Fn::Sub"].rpartition("}:")[2] for one in jobs["Resource"]]
    for name, state in state_machine(define(), timedelta(hours=1))["States"].items():
        if state["Type"] == "Task":
            operation = state["Resource"].rpartition(":")[2].removesuffix(".sync")
            kind = operation.removeprefix("create").removeprefix("stop").removesuffix("Job")
            assert f"sagemaker:{operation[0].upper()}{operation[1:]}" in jobs["Action"], name
            assert {f"sagemaker:Describe{kind}Job", f"sagemaker:Stop{kind}Job"} <= set(jobs["Action"])
            job = state["Parameters"][f"{kind}JobName.$"].split("'")[1].format("0a1b2c3d4e5f")
            assert any(fnmatch.fnmatchcase(f"{kind.lower()}-job/{job}", each) for each in names), job
            assert len(job) <= 63


def test_the_function_of_the_page_starts_the_pipeline_once(tmp_path: Path) -> None:
    source = PAGE.partition("```python\n")[2].partition("```")[0]
    scope: dict[str, Any] = {}
    exec(compile(source, "page", "exec"), scope)
    event = {"bucket": "warehouse", "marker": "sales/2026-W47/_SUCCESS", "week": "2026-W47"}
    engine = EngineClient(tmp_path, {})
    with bc.local_aws(engine):
        text = definition(fail("Ended"), parameters=[{"Name": "RunLabel", "Type": "String"}])
        engine.create_pipeline(
            PipelineName="batchcast", PipelineDefinition=text, RoleArn="arn:aws:iam::000000000000:role/batchcast"
        )
        with pytest.raises(RuntimeError, match="has not arrived"):
            scope["handler"](event, None)
        engine.store.write("s3://warehouse/sales/2026-W47/_SUCCESS", b"done")
        first, second = scope["handler"](event, None), scope["handler"](event, None)
    assert first == second
    assert len(engine.list_pipeline_executions(PipelineName="batchcast")["PipelineExecutionSummaries"]) == 1
