"""Any accepted set of parameters gives requests that the service takes; any refused one is told its parameter."""

from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from batchcast.engine.limits import local_storage_gb
from batchcast.engine.processing.job import check_processing_request
from batchcast.engine.transform.request import check_transform_request
from batchcast.pipelines.lint.lint import check_requests, lint
from batchcast.pipelines.parameter_rules import instance_types
from batchcast.pipelines.parameters import Parameters, check_parameters, declared_parameters
from batchcast.pipelines.requests import resolve_requests
from batchcast.pipelines.settings import BuildSettings
from batchcast.steps.errors import ConfigError
from batchcast.steps.store.objects import DirectoryStore, join_uri

DEFINITION: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[2] / "pipelines" / "pipeline.json").read_text()
)
RUN_ID = "abc123def456"
NAMES = [one.name for one in declared_parameters()]
VOLUME_GB: int = BuildSettings.model_fields["volume_size_in_gb"].default
MODEL = {"PrimaryContainer": {"Image": "own", "ModelDataUrl": "s3://models/model.tar.gz"}}

segment = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_=", min_size=1, max_size=20)
bucket = st.from_regex(r"[a-z0-9][a-z0-9-]{1,30}[a-z0-9]", fullmatch=True)
path = st.lists(segment, max_size=4).map("/".join)


def below(*parts: str) -> str:
    """An S3 URI without a slash at its end."""
    return "s3://" + "/".join(part for part in parts if part)


def whole(name: str) -> st.SearchStrategy[str]:
    """A number inside the declared bounds, mostly near them."""
    declared = next(one for one in declared_parameters() if one.name == name)
    assert declared.minimum is not None
    assert declared.maximum is not None
    return st.integers(int(declared.minimum), int(declared.maximum)).map(str)


@st.composite
def accepted(draw: st.DrawFn) -> dict[str, str]:
    """Texts that `check_parameters` takes."""
    concurrency = draw(st.integers(1, 100))
    systemic = draw(st.integers(0, 1000))
    values = {
        "HistoryUri": below(draw(bucket), "h", draw(path)) + "/",
        "RunsUri": below(draw(bucket), "r", draw(path)),
        "PublishUri": below(draw(bucket), "p", draw(path)),
        "ModelName": draw(st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,20}[a-zA-Z0-9])?", fullmatch=True)),
        "RunDate": draw(st.just("auto") | st.dates().map(str)),
        "RunLabel": draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,63}", fullmatch=True)),
        "TransformInstanceType": draw(st.sampled_from(sorted(instance_types("Transform")))),
        "ProcessingInstanceType": draw(st.sampled_from(sorted(instance_types("Processing")))),
        "MaxConcurrentTransforms": str(concurrency),
        "MaxPayloadInMB": str(draw(st.integers(1, 100 // concurrency))),
        "SystemicFailurePercent": str(systemic / 10),
        "MaxFailedPercent": str(draw(st.integers(0, systemic)) / 10),
        "ResumeFrom": draw(st.just("none") | st.from_regex(r"[a-z0-9]{12}", fullmatch=True)),
        "ItemsUri": draw(st.just("all") | st.builds(below, bucket, st.just("items"), path)),
    }
    return values | {name: draw(whole(name)) for name in NAMES if name not in values}


def holds_the_volume(values: dict[str, str]) -> bool:
    """The volume is the deployment's: `lint` and the engine refuse it on a type whose own disks are smaller."""
    disk = local_storage_gb(values["ProcessingInstanceType"])
    return disk is None or disk >= VOLUME_GB


@given(accepted())
@settings(deadline=None, max_examples=60)
def test_every_accepted_set_resolves_to_requests_that_linter_and_engine_take(values: dict[str, str]) -> None:
    assume(holds_the_volume(values))
    parameters = check_parameters(values)
    assert check_requests(DEFINITION, parameters.model_dump(by_alias=True), RUN_ID) == []
    with tempfile.TemporaryDirectory() as folder:
        store = DirectoryStore(Path(folder))
        for job in resolve_requests(DEFINITION, parameters.service_values(), RUN_ID):
            if job.operation == "CreateProcessingJob":
                check_processing_request({**job.request, "ProcessingJobName": "job"})
            else:
                source = job.request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
                store.write(join_uri(source, "part-00000.jsonl"), b"{}\n")
                check_transform_request({**job.request, "TransformJobName": "job"}, store=store, model=MODEL)


@given(accepted())
@settings(deadline=None, max_examples=60)
def test_an_accepted_set_survives_the_way_through_the_services_texts(values: dict[str, str]) -> None:
    parameters = check_parameters(values)
    assert check_parameters(parameters.service_values()) == parameters
    assert Parameters.model_validate(parameters.model_dump(by_alias=True)) == parameters


@given(accepted(), st.sampled_from(NAMES), st.text(max_size=30) | st.integers().map(str) | st.floats().map(str))
@settings(deadline=None, max_examples=200)
def test_a_refused_set_names_a_parameter_and_an_accepted_one_is_sent_as_it_was_written(
    values: dict[str, str], name: str, text: str
) -> None:
    changed = {**values, name: text}
    try:
        parameters = check_parameters(changed)
    except ConfigError as error:
        assert error.problems
        assert all(problem.where in NAMES and problem.what for problem in error.problems)
        alone = {problem.where for problem in error.problems if problem.code == "parameter"}
        assert alone <= {name}
    else:
        assume(holds_the_volume(changed))
        assert check_requests(DEFINITION, parameters.model_dump(by_alias=True), RUN_ID) == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["Get", "Std:Join", "Name", "Step", "x"]), inner, max_size=2)
    ),
    max_leaves=6,
)


def places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Every container and key below a value."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        found.append((value, key))
        places(value[key], found)
    return found


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_whatever_stands_anywhere_in_a_definition_the_linter_answers_with_findings(data: st.DataObject) -> None:
    definition = copy.deepcopy(DEFINITION)
    found = places(definition, [])
    container, key = found[data.draw(st.integers(0, len(found) - 1))]
    container[key] = data.draw(json_values)
    for problem in lint(definition):
        assert problem.code
        assert problem.what
        assert problem.where


@pytest.mark.parametrize("member", ["PropertyFiles", "RetryPolicies", "DependsOn", "ProcessingOutputConfig", "Outputs"])
@pytest.mark.parametrize("value", [True, 1, "x", [1], {"a": 1}])
def test_a_list_that_is_none_is_a_finding(member: str, value: object) -> None:
    definition = copy.deepcopy(DEFINITION)
    for step in definition["Steps"]:
        inner = {"ProcessingOutputConfig": {"Outputs": value}} if member == "Outputs" else {member: value}
        (step["Arguments"] if member in ("ProcessingOutputConfig", "Outputs") else step).update(inner)
    assert lint(definition)
