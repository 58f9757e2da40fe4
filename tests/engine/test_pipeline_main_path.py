"""The graph of a forecast run: Processing, Transform, Processing whatever came of it, Condition, Fail."""

from __future__ import annotations

from pathlib import Path

from local_pipeline import (
    after,
    condition,
    equals,
    fail,
    json_get,
    local,
    processing,
    program,
    run,
    statuses,
    store_of,
    transform,
    under_run,
)

BUILD = """
import os, pathlib, sys
out = pathlib.Path(os.environ["OPT_ML"], "processing/output/shards")
for number, lines in enumerate(sys.argv[1].split("|")):
    (out / f"part-{number}.jsonl").write_text(lines.replace(";", "\\n") + "\\n")
"""
VALIDATE = """
import json, os, pathlib
root = pathlib.Path(os.environ["OPT_ML"], "processing")
found = sorted(p.name for p in (root / "input/output").iterdir())
outcome = "COMPLETE" if len(found) == 3 else "HELD"
(root / "output/report/report.json").write_text(json.dumps({"outcome": outcome, "found": found}))
"""
MARK = 'import os, pathlib; pathlib.Path(os.environ["OPT_ML"], "processing/output/marker/_batchcast").touch()'


def forecast_run(workspace: Path, shards: str) -> list[dict[str, object]]:
    build = processing(
        "Build",
        program(workspace, "build", BUILD),
        shards,
        outputs={"shards": under_run("input/")},
        DisplayName="Build",
        Description="the shards",
    )
    mark = processing("Mark", MARK, outputs={"marker": under_run("output/")})
    work = transform("Transform", under_run("input/"), under_run("output"), DependsOn=["Build", "Mark"])
    validate = processing(
        "Validate",
        program(workspace, "validate", VALIDATE),
        inputs={"output": under_run("output/")},
        outputs={"report": under_run("report/")},
        DependsOn=[after("Transform")],
        PropertyFiles=[{"PropertyFileName": "report", "OutputName": "report", "FilePath": "report.json"}],
    )
    held = [equals(json_get("Validate", "report", "outcome"), "HELD")]
    return [build, mark, work, validate, condition("Held", held, [fail("FailHeld", "the run was held")])]


def test_a_run_whose_records_are_all_answered_succeeds(tmp_path: Path) -> None:
    execution, steps = run(local(tmp_path), *forecast_run(tmp_path, '{"id":1};{"id":2}|{"id":3}'))
    assert execution["PipelineExecutionStatus"] == "Succeeded"
    assert statuses(steps) == dict.fromkeys(("Build", "Mark", "Transform", "Validate", "Held"), "Succeeded")
    assert steps["Held"]["Metadata"] == {"Condition": {"Outcome": "False"}}
    assert steps["Build"]["StepDescription"] == "the shards"
    run_id = execution["PipelineExecutionArn"].rsplit("/", 1)[1]
    assert store_of(tmp_path).read(f"s3://runs/{run_id}/output/part-1.jsonl.out") == b'{"forecast": [1.0]}\n'


def test_a_poison_record_fails_the_transform_and_the_run_is_held_with_its_message(tmp_path: Path) -> None:
    execution, steps = run(local(tmp_path), *forecast_run(tmp_path, '{"id":1}|{"id":2,"poison":1}'))
    assert execution["PipelineExecutionStatus"] == "Failed"
    assert execution["FailureReason"] == "the run was held"
    assert statuses(steps) == {
        "Build": "Succeeded",
        "Mark": "Succeeded",
        "Transform": "Failed",
        "Validate": "Succeeded",
        "Held": "Succeeded",
        "FailHeld": "Failed",
    }
    assert steps["FailHeld"]["Metadata"] == {"Fail": {"ErrorMessage": "the run was held"}}
