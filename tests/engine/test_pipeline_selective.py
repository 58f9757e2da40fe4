"""SelectiveExecutionConfig: some steps run, the others are taken over from an earlier execution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from engine_client import EngineClient
from local_pipeline import (
    Json,
    after,
    condition,
    ended,
    equals,
    json_get,
    local,
    processing,
    run,
    start,
    statuses,
    steps_of,
    store_of,
    transform,
)

from batchcast.engine.errors import ServiceException

REPORT = [{"PropertyFileName": "report", "OutputName": "report", "FilePath": "report.json"}]
WRITE = "import os; open(os.environ['OPT_ML'] + '/processing/output/report/report.json', 'w').write('{\"n\": 1}')"


def chain() -> list[Json]:
    last = [processing("D", "pass")]
    return [
        processing("A", WRITE, outputs={"report": "s3://b/report/"}, PropertyFiles=REPORT),
        processing("B", "pass", {"Get": "Steps.A.ProcessingJobArn"}),
        condition("C", [equals(json_get("A", "report", "n"), 1)], last, [processing("E", "pass")]),
        processing("F", "pass", DependsOn=["B"]),
    ]


def selected(client: EngineClient, *names: str, source: str | None = None) -> str:
    config: dict[str, Any] = {"SelectedSteps": [{"StepName": name} for name in names]}
    if source is not None:
        config["SourcePipelineExecutionArn"] = source
    return str(
        client.start_pipeline_execution(PipelineName="p", SelectiveExecutionConfig=config)["PipelineExecutionArn"]
    )


def test_the_selected_steps_run_on_what_the_source_execution_left(tmp_path: Path) -> None:
    client = local(tmp_path)
    source = start(client, *chain())
    ended(client, source)
    arn = selected(client, "B", "C", "D", source=source)
    assert ended(client, arn)["PipelineExecutionStatus"] == "Succeeded"
    steps = steps_of(client, arn)
    assert statuses(steps) == dict.fromkeys("ABCD", "Succeeded")
    assert steps["A"]["SelectiveExecutionResult"] == {"SourcePipelineExecutionArn": source}
    assert steps["A"]["Metadata"] == steps_of(client, source)["A"]["Metadata"]
    assert steps["B"]["Metadata"] != steps_of(client, source)["B"]["Metadata"]
    described = client.describe_pipeline_execution(PipelineExecutionArn=arn)
    assert described["SelectiveExecutionConfig"]["SourcePipelineExecutionArn"] == source


def test_p08_a_step_triggered_by_a_failure_runs_again_on_the_failed_source(tmp_path: Path) -> None:
    client = local(tmp_path)
    store_of(tmp_path).write("s3://b/in/a.jsonl", b'{"poison": 1}\n')
    work = transform("Transform", "s3://b/in/", "s3://b/out")
    source = start(client, work, processing("Validate", "pass", DependsOn=[after("Transform")]))
    ended(client, source)
    arn = selected(client, "Validate", source=source)
    assert ended(client, arn)["PipelineExecutionStatus"] == "CompletedWithFailures"


def test_without_dependencies_no_source_is_needed(tmp_path: Path) -> None:
    client = local(tmp_path)
    start(client, *chain())
    arn = selected(client, "A")
    ended(client, arn)
    assert statuses(steps_of(client, arn)) == {"A": "Succeeded"}


@pytest.mark.parametrize(
    ("names", "with_source", "says"),
    [
        (("A", "F"), True, "add B"),
        (("B",), False, "SourcePipelineExecutionArn is required: the selected steps depend on A"),
        (("Z",), True, "the pipeline has no step Z"),
        (("E",), True, "step E needs C, which did not end so"),
    ],
)
def test_a_selection_the_service_would_refuse_is_refused(
    tmp_path: Path, names: tuple[str, ...], with_source: bool, says: str
) -> None:
    client = local(tmp_path)
    source = start(client, *chain())
    ended(client, source)
    with pytest.raises(ServiceException) as refused:
        selected(client, *names, source=source if with_source else None)
    assert refused.value.code == "ValidationException"
    assert says in refused.value.message


def test_the_source_has_to_be_an_ended_execution_of_the_same_pipeline(tmp_path: Path) -> None:
    client = local(tmp_path)
    source = start(client, processing("A", "import time; time.sleep(0.5)"), processing("B", "pass", DependsOn=["A"]))
    with pytest.raises(ServiceException, match="it has to have ended"):
        selected(client, "B", source=source)
    with pytest.raises(ServiceException, match="is no execution of pipeline p"):
        selected(client, "B", source=source.replace("execution/", "execution/x"))
    ended(client, source)


def test_a_source_that_failed_before_the_needed_step_is_refused(tmp_path: Path) -> None:
    client = local(tmp_path)
    execution, _ = run(client, processing("A", "raise SystemExit(1)"), processing("B", "pass", DependsOn=["A"]))
    with pytest.raises(ServiceException, match="step B needs A"):
        selected(client, "B", source=execution["PipelineExecutionArn"])
