"""What parameters a run takes, and what it says about those it does not take."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.loaders import Loader

from batchcast.engine.limits import has_local_storage
from batchcast.pipelines import parameters
from batchcast.pipelines.lint.service_model import botocore_model
from batchcast.pipelines.parameter_rules import instance_types
from batchcast.pipelines.parameters import Parameters, check_parameters, declared_parameters, parse_overrides
from batchcast.planner.plan.plan import plan
from batchcast.steps.errors import ConfigError, Problem

REQUIRED = {
    "HistoryUri": "s3://data/history/",
    "RunsUri": "s3://data/runs",
    "PublishUri": "s3://data/published",
    "ModelName": "bakery",
}


def problems_of(**values: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        check_parameters({**REQUIRED, **values})
    return list(caught.value.problems)


def test_what_is_not_given_takes_its_declared_default() -> None:
    values = check_parameters(REQUIRED).service_values()
    assert list(values) == [one.name for one in declared_parameters()]
    for one in declared_parameters():
        assert values[one.name] == (REQUIRED[one.name] if one.default is None else str(one.default))


@pytest.fixture
def newer_botocore(tmp_path: Path) -> Iterator[None]:
    """A botocore whose model has ml.m99.4xlarge, for this test alone: what was read of it is forgotten after."""
    model = json.loads(json.dumps(botocore_model()))
    for kind in ("Transform", "Processing"):
        model["shapes"][f"{kind}InstanceType"]["enum"].append("ml.m99.4xlarge")
    path = tmp_path / "sagemaker" / model["metadata"]["apiVersion"] / "service-2.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(model))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loader, "CUSTOMER_DATA_PATH", str(tmp_path))  # ~/.aws/models
        botocore_model.cache_clear()
        yield
    botocore_model.cache_clear()


@pytest.mark.usefixtures("newer_botocore")
def test_a_type_that_the_installed_botocore_alone_knows_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    newer = {"TransformInstanceType": "ml.m99.4xlarge", "ProcessingInstanceType": "ml.m99.4xlarge"}
    values = check_parameters({**REQUIRED, **newer})
    plan(items=1000, seconds=1, instance_type="ml.m99.4xlarge", price_per_hour=1.0)
    assert values.transform_instance_type == values.processing_instance_type == "ml.m99.4xlarge"
    assert "Warning: ml.m99.4xlarge is newer than this version of batchcast" in capsys.readouterr().err
    assert "not an instance type" in problems_of(TransformInstanceType="ml.m98.4xlarge")[0].what


def test_texts_of_service_values_are_accepted_again_unchanged() -> None:
    values = check_parameters({**REQUIRED, "MaxFailedPercent": "0.0001", "RunDate": "2026-11-22"}).service_values()
    assert check_parameters(values).service_values() == values


def test_every_parameter_without_a_default_is_asked_for_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        check_parameters({})
    assert [problem.where for problem in caught.value.problems] == list(REQUIRED)
    assert {problem.code for problem in caught.value.problems} == {"parameter_missing"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HistoryUri", "s3://data/history"),
        ("HistoryUri", "data/history/"),
        ("HistoryUri", "s3://data//history/"),
        ("HistoryUri", "s3://D/history/"),
        ("HistoryUri", f"s3://data/{'k' * 1024}/"),
        ("HistoryUri", "s3://data/lake//history/"),
        ("RunsUri", "s3://data/team//runs"),
        ("PublishUri", "s3://data/published//"),
        ("RunsUri", "s3://data/runs/"),
        ("RunsUri", "https://data/runs"),
        ("RunsUri", f"s3://data/{'k' * 256}"),
        ("PublishUri", "s3://data/pub lished"),
        ("ModelName", "my_model"),
        ("ModelName", "-model"),
        ("ModelName", "m" * 64),
        ("RunDate", "2026-02-30"),
        ("RunDate", "20261122"),
        ("RunDate", "yesterday"),
        ("RunLabel", "week 47"),
        ("RunLabel", "../manual"),
        ("RunLabel", "w" * 65),
        ("ForecastHorizon", "0"),
        ("ForecastHorizon", "31.0"),
        ("ForecastHorizon", "1_0"),
        ("ForecastHorizon", " 31"),
        ("ForecastHorizon", "٣"),
        ("ForecastHorizon", "031"),
        ("TransformInstanceType", "ml.m5.3xlarge"),
        ("TransformInstanceType", "ml.t3.medium"),
        ("ProcessingInstanceType", "m5.4xlarge"),
        ("TransformInstanceCount", "101"),
        ("MaxConcurrentTransforms", "0"),
        ("MaxPayloadInMB", "101"),
        ("InvocationsTimeoutInSeconds", "3601"),
        ("InvocationsMaxRetries", "4"),
        ("InvocationsMaxRetries", "-1"),
        ("RecordsPerShard", "1000001"),
        ("MaxFailedPercent", "100.5"),
        ("MaxFailedPercent", "nan"),
        ("MaxFailedPercent", "1e1"),
        ("SystemicFailurePercent", "-1"),
        ("MaxRetryRecords", "many"),
        ("ResumeFrom", "latest"),
        ("ResumeFrom", "ABCDEFGHIJKL"),
        ("ItemsUri", "s3://data/items/"),
        ("ItemsUri", "every"),
    ],
)
def test_a_value_the_run_could_not_use_is_refused_by_name(name: str, value: str) -> None:
    assert {problem.where for problem in problems_of(**{name: value})} == {name}


@pytest.mark.parametrize("name", [one.name for one in declared_parameters()])
def test_no_parameter_may_be_empty(name: str) -> None:
    assert {problem.where for problem in problems_of(**{name: ""})} == {name}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HistoryUri", "s3://data/history/2026.parquet"),
        ("HistoryUri", "s3://history/"),
        ("RunDate", "2026-11-22"),
        ("RunLabel", "2026-11-22T03:30:00Z"),
        ("MaxPayloadInMB", "25"),
        ("RecordsPerShard", "1"),
        ("MaxFailedPercent", "20"),
        ("ResumeFrom", "abc123def456"),
        ("ItemsUri", "s3://data/items.txt"),
    ],
)
def test_a_value_in_its_bounds_is_taken(name: str, value: str) -> None:
    assert check_parameters({**REQUIRED, name: value}).service_values()[name] in (value, f"{value}.0")


def test_requests_in_flight_times_payload_is_refused_with_the_arithmetic_and_both_ways_out() -> None:
    (problem,) = problems_of(MaxConcurrentTransforms="20")
    assert problem.code == "payload_in_flight"
    assert problem.what == "20 requests x 6 MB = 120 MB in flight; SageMaker allows 100 MB."
    assert problem.remedy == "Use at most 16 requests or 5 MB."


def test_exactly_one_hundred_megabytes_in_flight_are_allowed() -> None:
    assert check_parameters({**REQUIRED, "MaxConcurrentTransforms": "20", "MaxPayloadInMB": "5"})


def test_a_tolerance_above_the_systemic_share_is_refused_because_such_a_run_is_held() -> None:
    (problem,) = problems_of(MaxFailedPercent="20.1")
    assert (problem.code, problem.where) == ("tolerance", "MaxFailedPercent")
    assert "20.1 %" in problem.what
    assert "20 %" in problem.what


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"RunsUri": "s3://data/history/runs"}, "RunsUri"),
        ({"RunsUri": "s3://data/history"}, "RunsUri"),
        ({"PublishUri": "s3://data/history/published"}, "PublishUri"),
        ({"PublishUri": "s3://data/runs"}, "PublishUri"),
        ({"PublishUri": "s3://data/runs/published"}, "PublishUri"),
        ({"RunsUri": "s3://data/published/runs"}, "PublishUri"),
        ({"ItemsUri": "s3://data/history/items.txt"}, "ItemsUri"),
    ],
)
def test_prefixes_that_would_read_or_delete_each_others_objects_are_refused(values: dict[str, str], where: str) -> None:
    (problem,) = problems_of(**values)
    assert (problem.code, problem.where) == ("nested_prefix", where)


def test_a_history_below_the_runs_prefix_is_harmless_and_taken() -> None:
    assert check_parameters({**REQUIRED, "HistoryUri": "s3://data/runs/history/"})


def test_prefixes_that_merely_begin_alike_are_taken() -> None:
    assert check_parameters({**REQUIRED, "RunsUri": "s3://data/out", "PublishUri": "s3://data/out2"})


def test_values_out_of_bounds_and_values_that_contradict_each_other_are_reported_together() -> None:
    found = problems_of(ForecastHorizon="0", MaxConcurrentTransforms="20", Retries="3")
    assert {(problem.code, problem.where) for problem in found} == {
        ("parameter", "ForecastHorizon"),
        ("payload_in_flight", "MaxConcurrentTransforms"),
        ("unknown_parameter", "Retries"),
    }


def test_overrides_are_taken_without_asking_for_what_else_a_run_needs() -> None:
    pairs = ["ForecastHorizon=14", "RunLabel=2026-47", "ItemsUri=s3://data/a=b.txt"]
    assert parse_overrides(pairs) == {"ForecastHorizon": "14", "RunLabel": "2026-47", "ItemsUri": "s3://data/a=b.txt"}


def test_an_unknown_name_is_answered_with_the_nearest_known_one() -> None:
    with pytest.raises(
        ConfigError, match=r"ForecastHorizo: there is no such parameter\. Did you mean ForecastHorizon\?"
    ):
        parse_overrides(["ForecastHorizo=14"])


def test_a_name_near_nothing_is_answered_with_all_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"Known are: HistoryUri, RunsUri, .*ItemsUri"):
        parse_overrides(["zzz=14"])


def test_an_override_without_a_value_or_given_twice_is_reported_with_the_others() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_overrides(["ForecastHorizon", "RunDate=auto", "RunDate=2026-11-22", "MaxConcurrentTransforms=17"])
    assert [problem.where for problem in caught.value.problems] == ["-p", "RunDate", "MaxConcurrentTransforms"]


def test_the_texts_are_those_of_the_parameters() -> None:
    texts = tomllib.loads(Path(parameters.__file__).with_name("parameters.toml").read_text())
    assert list(texts) == list(Parameters.model_fields)
    assert all(text.keys() <= {"help", "unit", "form"} and len(text) == 2 for text in texts.values())


def test_the_instance_types_are_those_of_the_service() -> None:
    import botocore.loaders

    shapes = botocore.loaders.Loader().load_service_model("sagemaker", "service-2")["shapes"]
    assert instance_types("Transform") == set(shapes["TransformInstanceType"]["enum"])
    assert instance_types("Processing") == set(shapes["ProcessingInstanceType"]["enum"])


@pytest.mark.parametrize(
    ("instance_type", "local"),
    [
        ("ml.m5.4xlarge", False),
        ("ml.c7i-flex.large", False),
        ("ml.p3.2xlarge", False),
        ("ml.inf2.xlarge", False),
        ("ml.g4dn.xlarge", True),
        ("ml.g5.xlarge", True),
        ("ml.g6e.xlarge", True),
        ("ml.r5d.large", True),
        ("ml.trn1.2xlarge", True),
        ("ml.p5.4xlarge", True),
    ],
)
def test_types_with_disks_of_their_own_are_told_by_their_family(instance_type: str, local: bool) -> None:
    assert has_local_storage(instance_type) is local


def test_parameters_are_checked_without_loading_an_sdk_or_a_data_library() -> None:
    heavy = {"boto3", "botocore", "sagemaker", "pandas", "pyarrow", "numpy"}
    code = (
        f"import sys, pipelines.parameters as p; p.declared_parameters(); print(sorted({heavy!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
