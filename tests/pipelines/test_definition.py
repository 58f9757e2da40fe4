"""The compiled definition: the committed text is what the SDK makes of the graph, offline and leaving no trace."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from once import once

from batchcast.engine.pipeline.definition_reader import parse_definition
from batchcast.pipelines.definition import define, write_definition
from batchcast.pipelines.lint.lint import lint
from batchcast.pipelines.requests import walk_steps
from batchcast.pipelines.sdk.graph import declared_parameters, step_descriptions
from batchcast.pipelines.settings import BuildSettings, read_settings

ROOT = Path(__file__).resolve().parents[2]
FILLING = """
from batchcast.pipelines.definition import define
from batchcast.pipelines.settings import BuildSettings
define(BuildSettings())
"""
FULL_SETTINGS = {
    "pipeline_name": "weekly",
    "processing_role_arn": "arn:aws:iam::000000000000:role/service-role/weekly",
    "region": "eu-west-1",
    "code_uri": f"s3://team/code/{'0a1b' * 16}/app.pyz",
    "contract_uri": "s3://team/code/2c3d/model.toml",
    "image_uri": "000000000000.dkr.ecr.eu-west-1.amazonaws.com/own:1",
    "volume_size_in_gb": 300,
    "max_runtime_in_seconds": 7200,
    "volume_kms_key": "alias/volume",
    "output_kms_key": "alias/output",
    "subnets": ["subnet-1", "subnet-2"],
    "security_group_ids": ["sg-1"],
    "isolated_steps": ["BuildShards"],
    "encrypt_inter_container_traffic": True,
    "tags": {"team": "forecast"},
    "transform_environment": {"WORKERS": "4", "LEVEL": ""},
    "transform_ami_version": "al2-ami-sagemaker-batch-gpu-535",
    "data_capture_uri": "s3://team/captured/",
}


# Half of the settings at a time, no two of them in the same groups, and those that only go together.
SINGLE_SETTINGS = [name for name in FULL_SETTINGS if name not in ("subnets", "security_group_ids", "pipeline_name")]
SOME_SETTINGS = [
    {name: FULL_SETTINGS[name] for number, name in enumerate(SINGLE_SETTINGS, start=1) if number >> bit & 1}
    for bit in range(len(SINGLE_SETTINGS).bit_length())
]
SOME_SETTINGS += [
    {"subnets": ["subnet-1"], "security_group_ids": ["sg-1", "sg-2"]},
    {**FULL_SETTINGS, "run_conditions": False, "isolated_steps": []},
    {"tags": {"a": "b", "c": ""}},
    {
        "build_engine": "spark",
        "build_instance_count": 4,
        "spark_image_uri": "000000000000.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-spark-processing:3.5-cpu-py312",
        "spark_packages_uri": "s3://team/packages/",
        "region": "eu-west-1",
    },
]
COMMITTED_SETTINGS: list[dict[str, Any]] = [{}]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The committed shapes and one with every setting, compiled with no AWS environment and no network."""
    settings = [*COMMITTED_SETTINGS, FULL_SETTINGS]
    result: dict[str, Any] = once(
        tmp_path_factory, "compiled", lambda: compile_with(settings, {"HOME": "/nonexistent"})
    )
    return result


def compile_with(settings: list[dict[str, Any]], environment: dict[str, str]) -> dict[str, Any]:
    """What `compile_offline.py` says."""
    # Python 3.12 warns of the escape sequences in the SDK's docstrings when it is imported for the first time.
    done = subprocess.run(
        [sys.executable, "-W", "ignore::SyntaxWarning", ROOT / "tests" / "fixtures" / "compile_offline.py"],
        input=json.dumps(settings),
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def committed(name: str = "pipeline.json") -> dict[str, Any]:
    """A committed definition."""
    definition: dict[str, Any] = json.loads((ROOT / "pipelines" / name).read_text())
    return definition


def steps_of(definition: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Every step by name."""
    return {step["Name"]: step for step in walk_steps(definition["Steps"])}


def test_the_committed_definitions_are_what_the_sdk_compiles_byte_for_byte(compiled: dict[str, Any]) -> None:
    assert (ROOT / "pipelines" / "pipeline.json").read_text() == compiled["texts"][0]


def test_filling_the_committed_definition_gives_what_the_sdk_compiles_for_every_setting(
    compiled: dict[str, Any],
) -> None:
    for shape, text in zip([*COMMITTED_SETTINGS, FULL_SETTINGS], compiled["texts"], strict=True):
        assert write_definition(define(read_settings(shape))) == text, shape


def test_on_spark_the_build_step_alone_differs_by_image_instances_packages_and_flag() -> None:
    spark = steps_of(define(read_settings(SOME_SETTINGS[-1])))
    plain = steps_of(define(read_settings({"region": "eu-west-1"})))
    assert {name for name, step in spark.items() if step != plain[name]} == {"BuildShards"}
    made, before = spark["BuildShards"]["Arguments"], plain["BuildShards"]["Arguments"]
    assert made["ProcessingResources"]["ClusterConfig"]["InstanceCount"] == 4
    application = made["AppSpecification"]
    assert application["ImageUri"].endswith("/sagemaker-spark-processing:3.5-cpu-py312")
    assert application["ContainerEntrypoint"] == before["AppSpecification"]["ContainerEntrypoint"]
    words = before["AppSpecification"]["ContainerArguments"]
    assert application["ContainerArguments"] == [*words, "--build-engine", "spark"]
    assert made["Environment"] == {
        "AWS_DEFAULT_REGION": "eu-west-1",
        "PYTHONPATH": "/opt/ml/processing/input/packages",
    }
    assert made["ProcessingInputs"][:-1] == before["ProcessingInputs"]
    assert made["ProcessingInputs"][-1]["S3Input"] == {
        "S3Uri": "s3://team/packages/",
        "LocalPath": "/opt/ml/processing/input/packages",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
        "S3DataDistributionType": "FullyReplicated",
        "S3CompressionType": "None",
    }


def test_filling_needs_neither_the_sdk_nor_boto3() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", FILLING], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert not re.search(r"\| +(sagemaker|boto3|pandas|pyarrow)$", done.stderr, re.MULTILINE)


def test_compiling_leaves_environment_logging_hooks_and_threads_as_they_were(compiled: dict[str, Any]) -> None:
    assert compiled["changed"] == []


def test_what_the_users_environment_says_about_aws_changes_nothing(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[default\nregion")
    environment = {
        "HOME": str(tmp_path),
        "AWS_CONFIG_FILE": str(config),
        "AWS_PROFILE": "missing",
        "AWS_DEFAULT_REGION": "nowhere-1",
        "SAGEMAKER_USER_CONFIG_OVERRIDE": "s3://team/config.yaml",
    }
    result = compile_with(COMMITTED_SETTINGS[:1], environment)
    assert result["texts"] == [(ROOT / "pipelines" / "pipeline.json").read_text()]
    assert result["changed"] == []


def test_every_shape_is_clean_and_runs_on_the_local_engine() -> None:
    shapes = [*COMMITTED_SETTINGS, *SOME_SETTINGS, FULL_SETTINGS]
    assert {name for one in shapes for name in one} == set(BuildSettings.model_fields)
    for text in (write_definition(define(read_settings(shape))) for shape in shapes):
        assert {problem.code for problem in lint(json.loads(text))} <= {"lost_on_failure"}
        assert set(parse_definition(text).steps) == set(steps_of(json.loads(text)))


def test_every_setting_reaches_the_requests(compiled: dict[str, Any]) -> None:
    steps = steps_of(json.loads(compiled["texts"][-1]))
    for name, step in steps.items():
        arguments = step["Arguments"]
        if step["Type"] in ("Processing", "Transform"):
            assert arguments["Tags"] == [{"Key": "team", "Value": "forecast"}]
        if step["Type"] == "Processing":
            cluster = arguments["ProcessingResources"]["ClusterConfig"]
            assert (cluster["VolumeSizeInGB"], cluster["VolumeKmsKeyId"]) == (300, "alias/volume")
            assert arguments["ProcessingOutputConfig"]["KmsKeyId"] == "alias/output"
            assert arguments["StoppingCondition"] == {"MaxRuntimeInSeconds": 7200}
            assert arguments["RoleArn"] == FULL_SETTINGS["processing_role_arn"]
            assert arguments["AppSpecification"]["ImageUri"] == FULL_SETTINGS["image_uri"]
            assert arguments["NetworkConfig"] == {
                "EnableNetworkIsolation": name == "BuildShards",
                "EnableInterContainerTrafficEncryption": True,
                "VpcConfig": {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]},
            }
            sources = {one["InputName"]: one["S3Input"]["S3Uri"] for one in arguments["ProcessingInputs"]}
            assert (sources["code"], sources["contract"]) == (FULL_SETTINGS["code_uri"], FULL_SETTINGS["contract_uri"])
        if step["Type"] == "Transform":
            assert arguments["TransformResources"]["VolumeKmsKeyId"] == "alias/volume"
            assert arguments["TransformOutput"]["KmsKeyId"] == "alias/output"
            assert arguments["TransformResources"]["TransformAmiVersion"] == FULL_SETTINGS["transform_ami_version"]
            assert arguments["Environment"] == FULL_SETTINGS["transform_environment"]
            captured = {"DestinationS3Uri": "s3://team/captured/", "KmsKeyId": "alias/output"}
            assert arguments["DataCaptureConfig"] == captured


def test_a_step_without_a_network_is_told_to_take_no_lock(compiled: dict[str, Any]) -> None:
    told = []
    for text in (compiled["texts"][0], compiled["texts"][-1]):
        arguments = steps_of(json.loads(text))["BuildShards"]["Arguments"]["AppSpecification"]["ContainerArguments"]
        told.append(arguments[arguments.index("--publish-uri") + 1])
    assert told == [{"Get": "Parameters.PublishUri"}, "none"]


def test_the_declared_parameters_are_the_definitions_with_their_types_and_defaults() -> None:
    expected = [
        {"Name": one.name, "Type": one.type} | ({} if one.default is None else {"DefaultValue": one.default})
        for one in declared_parameters()
    ]
    assert committed()["Parameters"] == expected


def test_validation_runs_whatever_became_of_the_transform_job() -> None:
    steps = steps_of(committed())
    assert steps["Transform"]["DependsOn"] == ["BuildShards"]
    assert steps["ValidateAndPublish"]["DependsOn"] == [{"Step": "Transform", "Trigger": "Any"}]
    assert steps["ValidateAndPublishRetry"]["DependsOn"] == [{"Step": "TransformRetry", "Trigger": "Any"}]


def test_without_run_conditions_only_the_triggers_are_gone() -> None:
    plain = define(BuildSettings(run_conditions=False))
    assert "Trigger" not in json.dumps(plain)
    assert steps_of(plain)["ValidateAndPublish"]["DependsOn"] == ["Transform"]
    replaced = re.sub(r'\{"Step": ("\w+"), "Trigger": "Any"\}', r"\1", json.dumps(committed()))
    assert json.loads(replaced) == plain


def test_the_only_condition_is_the_retry_rounds_and_none_lies_in_another() -> None:
    conditions = [step for step in walk_steps(committed()["Steps"]) if step["Type"] == "Condition"]
    (step,) = conditions
    assert step in committed()["Steps"]
    assert [one["Name"] for one in step["Arguments"]["IfSteps"]] == ["TransformRetry", "ValidateAndPublishRetry"]
    assert step["Arguments"]["ElseSteps"] == []
    (condition,) = step["Arguments"]["Conditions"]
    file = {"Get": "Steps.ValidateAndPublish.PropertyFiles.report"}
    assert condition["LeftValue"] == {"Std:JsonGet": {"PropertyFile": file, "Path": "outcome"}}
    assert (condition["Type"], condition["RightValue"]) == ("Equals", "RETRY")


def test_no_step_reads_a_property_of_another_so_none_is_stopped_by_a_failed_one() -> None:
    for name, step in steps_of(committed()).items():
        own = {key: item for key, item in step["Arguments"].items() if key not in ("IfSteps", "ElseSteps")}
        gets = re.findall(r'"Get": "Steps\.[^"]+"', json.dumps(own))
        assert all("PropertyFiles.report" in get for get in gets), name
        assert step["Type"] == "Condition" or not gets


def test_retries_cover_the_services_troubles_and_never_the_datas() -> None:
    allowed = {
        "SageMaker.CAPACITY_ERROR",
        "SageMaker.RESOURCE_LIMIT",
        "SageMaker.JOB_INTERNAL_ERROR",
        "Step.SERVICE_FAULT",
        "Step.THROTTLING",
    }
    for step in steps_of(committed()).values():
        if step["Type"] in ("Processing", "Transform"):
            named = [kind for policy in step["RetryPolicies"] for kind in policy["ExceptionType"]]
            assert sorted(named) == sorted(allowed)
        assert "CacheConfig" not in step


def test_every_step_has_a_name_and_a_sentence_for_the_graph() -> None:
    steps = steps_of(committed())
    assert set(step_descriptions()) == {name for name, step in steps.items() if step["Type"] != "Fail"}
    assert all(step["DisplayName"] for step in steps.values())
    assert all(step["Description"].endswith(".") for step in steps.values() if step["Type"] != "Fail")


def test_input_output_and_manifest_of_a_run_are_siblings_below_its_execution_id() -> None:
    def prefix(tail: str) -> dict[str, Any]:
        values = [{"Get": "Parameters.RunsUri"}, {"Get": "Execution.PipelineExecutionId"}, tail]
        return {"Std:Join": {"On": "/", "Values": values}}

    steps = steps_of(committed())
    for name, round_name in [("Transform", "r0"), ("TransformRetry", "r1")]:
        arguments = steps[name]["Arguments"]
        assert arguments["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"] == prefix(f"input/{round_name}/")
        assert arguments["TransformOutput"]["S3OutputPath"] == prefix(f"output/{round_name}")
    outputs = steps["BuildShards"]["Arguments"]["ProcessingOutputConfig"]["Outputs"]
    assert {one["OutputName"]: one["S3Output"]["S3Uri"] for one in outputs} == {
        "shards": prefix("input/r0/"),
        "manifest": prefix("manifest/"),
        "marker": prefix("output/"),
    }


def test_the_sdk_is_imported_where_it_is_compiled_and_handed_out() -> None:
    importers = [
        path.relative_to(ROOT).as_posix()
        for folder in ("pipelines", "steps", "batchcast")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"^\s*(import|from) sagemaker\b", path.read_text(), re.MULTILINE)
    ]
    assert importers == ["pipelines/sdk/graph.py", "batchcast/account/studio_pipeline.py"]
