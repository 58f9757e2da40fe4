"""What the linter finds in a definition: refused by the service, or taken and then without effect."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from batchcast.pipelines.definition import define
from batchcast.pipelines.lint.lint import advice_codes, lint
from batchcast.pipelines.settings import BuildSettings
from batchcast.steps.errors import Problem

PIPELINES = Path(__file__).resolve().parents[2] / "pipelines"
VALUES = {
    "HistoryUri": "s3://data/history/",
    "RunsUri": "s3://data/runs",
    "PublishUri": "s3://data/published",
    "ModelName": "bakery",
}
REMOVED = object()


def committed(name: str = "pipeline.json") -> dict[str, Any]:
    """A committed definition."""
    definition: dict[str, Any] = json.loads((PIPELINES / name).read_text())
    return definition


def changed(step: str, path: str, value: Any) -> dict[str, Any]:
    """The committed definition with one member of one step set, or removed."""
    definition = committed()
    place = next(one for one in definition["Steps"] if one["Name"] == step)
    *parents, last = path.split(".")
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
    if value is REMOVED:
        del place[last]
    elif isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
    return definition


def found(definition: Any, **values: str) -> list[tuple[str, str]]:
    """Code and place of every finding."""
    return [(problem.code, problem.where) for problem in lint(definition, {**VALUES, **values})]


def only(definition: Any, **values: str) -> Problem:
    """The one finding."""
    (problem,) = lint(definition, {**VALUES, **values})
    return problem


def test_the_committed_definition_is_clean_with_and_without_values() -> None:
    assert lint(committed()) == []
    assert lint(committed(), VALUES) == []


def test_without_run_conditions_the_linter_says_what_a_failed_record_costs() -> None:
    assert found(define(BuildSettings(run_conditions=False))) == [
        ("lost_on_failure", "ValidateAndPublish"),
        ("lost_on_failure", "ValidateAndPublishRetry"),
    ]


TRANSFORM_INPUT = "Arguments.TransformInput.DataSource.S3DataSource"
LONG = "x" * 257


@pytest.mark.parametrize(
    ("step", "path", "value", "expected"),
    [
        ("Transform", "Arguments.TransformResource", {}, ("unknown_member", "Transform.TransformResource")),
        ("Transform", "Arguments.ModelName", REMOVED, ("missing_member", "Transform")),
        ("Transform", "Arguments.ModelName", "my_model", ("pattern", "Transform.ModelName")),
        ("Transform", "Arguments.BatchStrategy", "SINGLE_RECORD", ("not_in_enumeration", "Transform.BatchStrategy")),
        (
            "Transform",
            "Arguments.DataProcessing.OutputFilter",
            f"$['{'x' * 60}']",
            ("above_maximum", "Transform.DataProcessing.OutputFilter"),
        ),
        (
            "Transform",
            "Arguments.ModelClientConfig.InvocationsMaxRetries",
            4,
            ("above_maximum", "Transform.ModelClientConfig.InvocationsMaxRetries"),
        ),
        (
            "Transform",
            "Arguments.ModelClientConfig.InvocationsTimeoutInSeconds",
            0,
            ("below_minimum", "Transform.ModelClientConfig.InvocationsTimeoutInSeconds"),
        ),
        ("Transform", "Arguments.MaxPayloadInMB", "6", ("wrong_type", "Transform.MaxPayloadInMB")),
        ("Transform", "Arguments.MaxPayloadInMB", True, ("wrong_type", "Transform.MaxPayloadInMB")),
        (
            "Transform",
            "Arguments.Environment",
            {f"NAME_{number}": "x" for number in range(17)},
            ("above_maximum", "Transform.Environment"),
        ),
        (
            "Transform",
            "Arguments.Environment",
            {"2ND": "x"},
            ("pattern", "Transform.Environment.2ND"),
        ),
        (
            "BuildShards",
            "Arguments.AppSpecification.ContainerArguments.1",
            LONG,
            ("above_maximum", "BuildShards.AppSpecification.ContainerArguments[1]"),
        ),
        (
            "BuildShards",
            "Arguments.Environment",
            {"CONFIG": LONG},
            ("above_maximum", "BuildShards.Environment.CONFIG"),
        ),
        (
            "BuildShards",
            "Arguments.StoppingCondition.MaxRuntimeInSeconds",
            777_601,
            ("above_maximum", "BuildShards.StoppingCondition.MaxRuntimeInSeconds"),
        ),
        ("BuildShards", "Arguments.Tags", [{"Key": "team;", "Value": "x"}], ("pattern", "BuildShards.Tags[0].Key")),
    ],
)
def test_a_request_outside_the_services_model_is_found_where_it_is(
    step: str, path: str, value: Any, expected: tuple[str, str]
) -> None:
    assert [one for one in found(changed(step, path, value)) if one[0] != "hard_coded"] == [expected]


def test_more_than_ten_inputs_are_counted() -> None:
    definition = committed()
    inputs = definition["Steps"][0]["Arguments"]["ProcessingInputs"]
    for number in range(8):
        inputs.append(copy.deepcopy(inputs[0]) | {"InputName": f"more-{number}"})
    problem = only(definition)
    assert (problem.code, problem.what) == ("above_maximum", "11 members; SageMaker allows 10.")


def test_a_misspelt_member_is_answered_with_the_nearest_known_one() -> None:
    assert only(changed("Transform", "Arguments.MaxPayloadInMb", 6)).remedy == "Did you mean MaxPayloadInMB?"


def test_a_value_that_comes_through_a_parameter_is_checked_too() -> None:
    assert found(committed(), TransformInstanceType="ml.t3.medium") == [
        ("not_in_enumeration", "Transform.TransformResources.InstanceType"),
        ("not_in_enumeration", "TransformRetry.TransformResources.InstanceType"),
    ]


def test_requests_in_flight_times_payload_is_checked_in_each_transform_job() -> None:
    problems = lint(committed(), {**VALUES, "MaxConcurrentTransforms": "20"})
    assert [problem.where for problem in problems] == [
        "Transform.MaxConcurrentTransforms",
        "TransformRetry.MaxConcurrentTransforms",
    ]
    assert problems[0].what == "20 requests x 6 MB = 120 MB in flight; SageMaker allows 100 MB."


def test_concurrency_left_to_the_container_is_not_multiplied() -> None:
    assert found(changed("Transform", "Arguments.MaxConcurrentTransforms", 0)) == []


def test_an_explicit_concurrency_is_multiplied_with_the_default_payload_of_six() -> None:
    definition = changed("Transform", "Arguments.MaxPayloadInMB", REMOVED)
    assert found(definition, MaxConcurrentTransforms="17")[0] == (
        "payload_in_flight",
        "Transform.MaxConcurrentTransforms",
    )


def test_more_than_a_hundred_instances_or_megabytes_are_refused_although_the_model_has_no_maximum() -> None:
    values = {"TransformInstanceCount": "101", "MaxPayloadInMB": "101"}
    assert found(committed(), **values)[:2] == [
        ("above_maximum", "Transform.TransformResources.InstanceCount"),
        ("above_maximum", "Transform.MaxPayloadInMB"),
    ]


@pytest.mark.parametrize(
    ("uri", "output", "code"),
    [
        ("s3://data/in/", "s3://data/in/out", "overlapping_prefixes"),
        ("s3://data/in/", "s3://data/in", "overlapping_prefixes"),
        ("s3://data/test.v1", "s3://data/test.v1_output", "overlapping_prefixes"),
        ("s3://data/out/in/", "s3://data/out", "overlapping_prefixes"),
        ("s3://data/in", "s3://data/out", "open_prefix"),
    ],
)
def test_an_output_that_a_later_job_would_read_as_input_is_found(uri: str, output: str, code: str) -> None:
    definition = changed("Transform", f"{TRANSFORM_INPUT}.S3Uri", uri)
    place = next(one for one in definition["Steps"] if one["Name"] == "Transform")
    place["Arguments"]["TransformOutput"]["S3OutputPath"] = output
    codes = [problem.code for problem in lint(definition)]
    assert codes == ["shared_output", code]


def test_an_output_path_without_the_execution_id_is_the_same_every_week() -> None:
    path = {"Std:Join": {"On": "/", "Values": [{"Get": "Parameters.RunsUri"}, "output"]}}
    definition = changed("Transform", "Arguments.TransformOutput.S3OutputPath", path)
    assert found(definition) == []  # every start has to give RunsUri, and may give another
    next(one for one in definition["Parameters"] if one["Name"] == "RunsUri")["DefaultValue"] = "s3://data/runs"
    assert found(definition) == [("shared_output", "Transform.TransformOutput.S3OutputPath")]


@pytest.mark.parametrize("kind", ["AugmentedManifestFile", "Converse"])
def test_inputs_that_batch_transform_does_not_read_are_refused(kind: str) -> None:
    assert found(changed("Transform", f"{TRANSFORM_INPUT}.S3DataType", kind)) == [
        ("input_type", f"Transform.{'.'.join(TRANSFORM_INPUT.split('.')[1:])}.S3DataType")
    ]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("Arguments.TransformOutput.Accept", "text/csv"),
        ("Arguments.TransformOutput.Accept", REMOVED),
        ("Arguments.TransformOutput.AssembleWith", REMOVED),
        ("Arguments.TransformInput.SplitType", "None"),
    ],
)
def test_a_join_needs_the_same_type_and_the_same_framing_in_and_out(path: str, value: Any) -> None:
    problems = [one for one in found(changed("Transform", path, value)) if one[0] != "default_assembly"]
    assert problems == [("data_processing", "Transform.DataProcessing")]


@pytest.mark.parametrize(
    ("strategy", "split", "codes"),
    [
        ("MultiRecord", "None", ["no_split"]),
        ("MultiRecord", REMOVED, ["no_split"]),
        ("MultiRecord", "Line", []),
        ("MultiRecord", {"Get": "Parameters.ModelName"}, []),
        ("SingleRecord", "None", []),
    ],
)
def test_several_records_a_request_that_nothing_splits_are_found(strategy: str, split: Any, codes: list[str]) -> None:
    definition = changed("Transform", "Arguments.BatchStrategy", strategy)
    transform = next(one for one in definition["Steps"] if one["Name"] == "Transform")["Arguments"]
    del transform["DataProcessing"]
    transform["TransformInput"]["SplitType"] = split
    if split is REMOVED:
        del transform["TransformInput"]["SplitType"]
    assert [problem.code for problem in lint(definition)] == codes


def test_a_join_of_a_type_it_cannot_read_is_refused() -> None:
    definition = changed("Transform", "Arguments.TransformInput.ContentType", "application/x-parquet")
    definition["Steps"][1]["Arguments"]["TransformOutput"]["Accept"] = "application/x-parquet"
    assert found(definition) == [("data_processing", "Transform.DataProcessing")]


def test_without_join_and_filter_the_types_may_differ() -> None:
    definition = changed("Transform", "Arguments.DataProcessing", {"InputFilter": "$", "JoinSource": "None"})
    definition["Steps"][1]["Arguments"]["TransformOutput"]["Accept"] = "text/csv"
    assert found(definition) == []


def test_a_volume_key_on_a_type_with_its_own_disks_is_refused_for_both_kinds_of_job() -> None:
    definition = changed("Transform", "Arguments.TransformResources.VolumeKmsKeyId", "alias/volume")
    definition["Steps"][0]["Arguments"]["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] = "alias/volume"
    assert found(definition) == []
    values = {"TransformInstanceType": "ml.g5.xlarge", "ProcessingInstanceType": "ml.r5d.4xlarge"}
    assert found(definition, **values) == [
        ("volume_key", "BuildShards.ProcessingResources.ClusterConfig.VolumeKmsKeyId"),
        ("volume_key", "Transform.TransformResources.VolumeKmsKeyId"),
    ]


def test_a_volume_larger_than_the_disks_of_the_type_is_refused() -> None:
    where = "ProcessingResources.ClusterConfig.VolumeSizeInGB"
    assert found(committed(), ProcessingInstanceType="ml.r5d.large") == [
        ("volume_size", f"{step}.{where}") for step in ("BuildShards", "ValidateAndPublish", "ValidateAndPublishRetry")
    ]
    assert found(committed(), ProcessingInstanceType="ml.g5.xlarge") == []  # 250 GB
    assert found(committed(), ProcessingInstanceType="ml.m5.large") == []


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (
            "ProcessingInputs.2.S3Input.LocalPath",
            "/opt/ml/input/history",
            ("local_path", "BuildShards.ProcessingInputs[2].S3Input.LocalPath"),
        ),
        (
            "ProcessingOutputConfig.Outputs.0.S3Output.LocalPath",
            "/tmp/shards",
            ("local_path", "BuildShards.ProcessingOutputConfig.Outputs[0].S3Output.LocalPath"),
        ),
        ("ProcessingInputs.2.InputName", "code", ("repeated_name", "BuildShards.ProcessingInputs")),
        (
            "ProcessingInputs.2.S3Input.S3CompressionType",
            "Gzip",
            ("compression", "BuildShards.ProcessingInputs[2].S3Input.S3CompressionType"),
        ),
        ("StoppingCondition", REMOVED, ("no_time_limit", "BuildShards.StoppingCondition")),
    ],
)
def test_what_a_processing_job_cannot_do_is_found(path: str, value: Any, expected: tuple[str, str]) -> None:
    assert found(changed("BuildShards", f"Arguments.{path}", value)) == [expected]


def test_two_outputs_with_one_destination_are_found() -> None:
    definition = committed()
    outputs = definition["Steps"][0]["Arguments"]["ProcessingOutputConfig"]["Outputs"]
    outputs[1]["S3Output"]["S3Uri"] = outputs[0]["S3Output"]["S3Uri"]
    assert found(definition) == [("same_destination", "BuildShards.ProcessingOutputConfig.Outputs")]


def test_an_isolated_step_cannot_open_what_it_is_asked_to_open() -> None:
    definition = changed("BuildShards", "Arguments.NetworkConfig", {"EnableNetworkIsolation": True})
    assert found(definition) == [("isolated", "BuildShards.NetworkConfig.EnableNetworkIsolation")]
    arguments = definition["Steps"][0]["Arguments"]["AppSpecification"]["ContainerArguments"]
    arguments[arguments.index("--publish-uri") + 1] = "none"
    assert found(definition) == []
    assert found(definition, ItemsUri="s3://data/items.txt", ResumeFrom="abc123def456") == [
        ("isolated", "BuildShards.NetworkConfig.EnableNetworkIsolation"),
        ("isolated", "BuildShards.NetworkConfig.EnableNetworkIsolation"),
    ]


def batch_template() -> dict[str, Any]:
    """As small as the pipeline of AWS's public template for batch inference can be: it takes no notice of two of its
    parameters, and its schedule starts a pipeline of another name."""
    parameters = {"BatchInstanceCount": 1, "BatchInstanceType": "ml.m5.xlarge", "OutputPath": "s3://acme/out"}
    declared = [
        {"Name": name, "Type": "Integer" if isinstance(value, int) else "String", "DefaultValue": value}
        for name, value in parameters.items()
    ]
    output = {"Std:Join": {"On": "/", "Values": [{"Get": "Parameters.OutputPath"}, {"Get": "Execution.StartDateTime"}]}}
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://acme/in/"}}
    arguments = {
        "ModelName": "abalone",
        "TransformInput": {"DataSource": source},
        "TransformOutput": {"S3OutputPath": output},
        "TransformResources": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge"},
    }
    step = {"Name": "BatchInferenceStep", "Type": "Transform", "Arguments": arguments}
    definition = {"Version": "2020-12-01", "Parameters": declared, "Steps": [step]}
    name = {"Fn::Sub": "${Project}-${Stage}-BatchPipeline"}
    arn = {"Fn::Sub": "arn:aws:sagemaker:${AWS::Region}:${AWS::AccountId}:pipeline/${Project}-${Stage}-batch-pipeline"}
    body = {"PipelineDefinitionBody": json.dumps(definition)}
    return {
        "Resources": {
            "BatchPipeline": {
                "Type": "AWS::SageMaker::Pipeline",
                "Properties": {"PipelineName": name, "PipelineDefinition": body},
            },
            "EventRule": {"Type": "AWS::Events::Rule", "Properties": {"Targets": [{"Id": "batch", "Arn": arn}]}},
        }
    }


def test_the_defects_of_a_public_template_are_named() -> None:
    found_in_it = {problem.where: problem.what for problem in lint(batch_template())}
    assert found_in_it == {
        "BatchPipeline: BatchInstanceCount": (
            "is declared, but BatchInferenceStep.TransformResources.InstanceCount = 1 is fixed."
        ),
        "BatchPipeline: BatchInstanceType": (
            "is declared, but BatchInferenceStep.TransformResources.InstanceType = 'ml.m5.xlarge' is fixed."
        ),
        "EventRule.Targets[0].Arn": (
            "starts the pipeline ${Project}-${Stage}-batch-pipeline; "
            "the template makes ${Project}-${Stage}-BatchPipeline."
        ),
    }


@pytest.mark.parametrize(
    "arn",
    [
        {"Fn::Sub": "arn:${AWS::Partition}:sagemaker:${AWS::Region}:1:pipeline/${Project}-${Stage}-batchpipeline"},
        {"Fn::Sub": "arn:aws:sagemaker:${AWS::Region}:${AWS::AccountId}:pipeline/${BatchPipeline}"},
        {"Fn::Join": ["", ["arn:aws:sagemaker:eu-central-1:1:pipeline/", {"Ref": "BatchPipeline"}]]},
        {"Fn::Sub": ["arn:aws:sagemaker:${R}:1:pipeline/${BatchPipeline}", {"R": "eu-central-1"}]},
        {"Fn::GetAtt": ["Queue", "Arn"]},
        None,
    ],
)
def test_a_schedule_of_the_templates_own_pipeline_or_of_something_else_is_none_of_them(arn: Any) -> None:
    template = batch_template()
    (target,) = template["Resources"]["EventRule"]["Properties"]["Targets"]
    target["Arn"] = arn
    assert "schedule_target" not in [problem.code for problem in lint(template)]


def test_the_target_of_a_scheduler_is_one_too() -> None:
    template = batch_template()
    properties = template["Resources"]["EventRule"].pop("Properties")
    template["Resources"]["EventRule"] |= {
        "Type": "AWS::Scheduler::Schedule",
        "Properties": {"Target": properties["Targets"][0]},
    }
    problem = lint(template)[-1]
    assert (problem.code, problem.where) == ("schedule_target", "EventRule.Target.Arn")
    assert problem.code in advice_codes()


@pytest.mark.parametrize("body", ["not yet", {"Ref": "Body"}, None])
def test_a_definition_that_is_put_in_later_is_said_not_to_be_checked(body: Any) -> None:
    template = batch_template()
    template["Resources"]["BatchPipeline"]["Properties"]["PipelineDefinition"] = body
    assert [problem.code for problem in lint(template)] == ["not_checked", "schedule_target"]


@pytest.mark.parametrize("resources", [{}, {"A": None}, {"A": {"Type": "AWS::Events::Rule"}}, {"A": {"Type": 1}}])
def test_a_template_without_pipelines_has_nothing_to_find(resources: Any) -> None:
    assert lint({"Resources": resources}) == []


def test_a_constant_in_one_step_beside_a_parameter_in_another_is_a_choice() -> None:
    assert found(changed("Transform", "Arguments.TransformResources.InstanceCount", 1)) == []


def test_a_parameter_that_no_step_uses_is_found() -> None:
    definition = committed()
    definition["Parameters"].append({"Name": "Colour", "Type": "String", "DefaultValue": "red"})
    assert found(definition) == [("dead_parameter", "Colour")]


def test_a_parameter_used_only_in_a_condition_is_alive() -> None:
    definition = committed()
    definition["Parameters"].append({"Name": "Wanted", "Type": "String", "DefaultValue": "RETRY"})
    definition["Steps"][3]["Arguments"]["Conditions"][0]["RightValue"] = {"Get": "Parameters.Wanted"}
    assert found(definition) == []


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("Arguments.ModelName", {"Get": "Parameters.ModelNam"}, "unknown_parameter"),
        ("Arguments.ModelName", {"Get": "Execution.RunId"}, "unknown_variable"),
        ("Arguments.ModelName", {"Get": "Steps.Model.ModelName"}, "unknown_step"),
        ("Arguments.ModelName", {"Get": "ModelName"}, "expression"),
        ("DependsOn", ["BuildShard"], "unknown_step"),
        ("DependsOn", [{"Step": "BuildShards", "Trigger": "Always"}], "trigger"),
        ("RetryPolicies", [{"ExceptionType": ["Step.DATA"], "MaxAttempts": 1}], "retry_policy"),
        ("RetryPolicies", [{"ExceptionType": ["Step.THROTTLING"], "MaxAttempts": 21}], "retry_policy"),
        ("CacheConfig", {"Enabled": True, "ExpireAfter": "P7D"}, "cache"),
    ],
)
def test_names_that_do_not_exist_and_options_that_do_harm_are_found(path: str, value: Any, code: str) -> None:
    definition = changed("Transform", path, value)
    codes = {problem.code for problem in lint(definition)} - {"dead_parameter"}
    assert codes == {code}


def test_a_property_file_that_no_step_declares_is_found() -> None:
    definition = changed("ValidateAndPublish", "PropertyFiles", [])
    assert found(definition) == [("unknown_property_file", "Outcome")]


def test_reading_a_property_of_a_step_that_may_have_failed_is_found() -> None:
    path = "Arguments.ProcessingInputs.3.S3Input.S3Uri"
    definition = changed("ValidateAndPublish", path, {"Get": "Steps.Transform.TransformOutput.S3OutputPath"})
    assert found(definition) == [("reads_failed_step", "ValidateAndPublish")]


def test_steps_that_wait_for_each_other_are_found_with_the_way_round() -> None:
    problem = only(changed("BuildShards", "DependsOn", [{"Step": "ValidateAndPublish", "Trigger": "Any"}]))
    assert problem.code == "cycle"
    assert problem.what.count("BuildShards") >= 1


def test_a_step_that_waits_for_what_a_condition_behind_it_decides_is_found() -> None:
    (problem,) = [
        one for one in lint(changed("Transform", "DependsOn", ["TransformRetry"]), VALUES) if one.code == "cycle"
    ]
    for name in ("Transform", "TransformRetry", "Outcome", "ValidateAndPublish"):
        assert name in problem.what.split()


def test_a_property_file_in_an_output_that_the_step_has_not_is_found() -> None:
    problem = only(changed("ValidateAndPublish", "PropertyFiles.0.OutputName", "reports"))
    assert (problem.code, problem.where) == ("unknown_output", "ValidateAndPublish")
    assert problem.what == "the output reports of a property file does not exist."
    assert problem.remedy == "Did you mean report?"


def condition(name: str, then: list[dict[str, Any]], otherwise: list[dict[str, Any]]) -> dict[str, Any]:
    conditions = [{"Type": "Equals", "LeftValue": 1, "RightValue": 1}]
    arguments = {"Conditions": conditions, "IfSteps": then, "ElseSteps": otherwise}
    return {"Name": name, "Type": "Condition", "Arguments": arguments}


@pytest.mark.parametrize("branch", ["then", "otherwise"])
def test_a_condition_inside_another_is_found_at_any_depth(branch: str) -> None:
    steps: dict[str, list[dict[str, Any]]] = {"then": [], "otherwise": []}
    steps[branch] = [condition("Inner", [condition("Innermost", [], [])], [])]
    problems = lint({"Steps": [condition("Outer", **steps)]})
    assert [(one.code, one.where) for one in problems] == [
        ("nested_condition", "Inner"),
        ("nested_condition", "Innermost"),
    ]
    assert all(one.code not in advice_codes() for one in problems)


def test_conditions_beside_each_other_are_fine() -> None:
    assert lint({"Steps": [condition("First", [], []), condition("Second", [], [])]}) == []


def test_a_step_that_waits_for_a_condition_or_a_fail_step_is_found() -> None:
    fail = {"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": "x"}}
    after = [{**fail, "Name": f"After{name}", "DependsOn": [name]} for name in ("Choice", "Stop")]
    problems = lint({"Steps": [condition("Choice", [], []), fail, *after]})
    assert [(one.code, one.where) for one in problems] == [
        ("depends_on_end", "AfterChoice.DependsOn"),
        ("depends_on_end", "AfterStop.DependsOn"),
    ]


def test_a_message_that_is_too_long_is_found() -> None:
    step = {"Name": "End", "Type": "Fail", "Arguments": {"ErrorMessage": "x" * 3073}}
    (problem,) = lint({"Steps": [step]})
    assert (problem.code, problem.where) == ("above_maximum", "End.ErrorMessage")
    step["Arguments"] = {"ErrorMessage": "x" * 3072}
    assert lint({"Steps": [step]}) == []


def test_a_parameter_may_have_a_description_and_no_type() -> None:
    message = {"ErrorMessage": {"Get": "Parameters.Message"}}
    steps = [{"Name": "End", "Type": "Fail", "Arguments": message}]
    assert lint({"Parameters": [{"Name": "Message", "Description": "Why it ends."}], "Steps": steps}) == []


def test_a_message_of_a_fail_step_that_reads_a_file_is_found() -> None:
    definition = committed()
    file = {"Get": "Steps.ValidateAndPublish.PropertyFiles.report"}
    message = {"Std:JsonGet": {"PropertyFile": file, "Path": "cause"}}
    definition["Steps"].append({"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": message}})
    assert found(definition) == [("fail_message", "Stop")]


def test_steps_of_a_type_that_is_not_known_are_said_not_to_be_checked() -> None:
    definition = committed()
    definition["Steps"].append({"Name": "Notify", "Type": "Lambda", "Arguments": {}})
    assert found(definition) == [("not_checked", "Notify")]


def test_a_definition_beyond_one_mebibyte_is_measured() -> None:
    definition = committed()
    definition["Steps"][3]["Arguments"]["Conditions"][0]["RightValue"] = "x" * 1_048_576
    assert [problem.code for problem in lint(definition)] == ["too_large"]


def test_names_used_twice_and_names_that_are_too_long_are_found() -> None:
    definition = committed()
    for name in ("End", "End", "s" * 65):
        definition["Steps"].append({"Name": name, "Type": "Fail", "Arguments": {"ErrorMessage": "x"}})
    definition["Parameters"].append(definition["Parameters"][0])
    assert set(found(definition)) == {
        ("repeated_name", "End"),
        ("repeated_name", "HistoryUri"),
        ("step_name", "s" * 65),
    }


@pytest.mark.parametrize(
    ("parameter", "code"),
    [
        ({"Name": "Run Date", "Type": "String"}, "parameter_name"),
        ({"Name": "p" * 257, "Type": "String"}, "parameter_name"),
        ({"Name": "Empty", "Type": "String", "DefaultValue": ""}, "parameter_default"),
        ({"Name": "Long", "Type": "String", "DefaultValue": "x" * 1025}, "parameter_default"),
        ({"Name": "Day", "Type": "Date"}, "definition"),
        ({"Name": "Days", "Type": "Integer", "DefaultValue": "31"}, "definition"),
    ],
)
def test_a_declaration_the_service_would_refuse_is_found(parameter: dict[str, Any], code: str) -> None:
    definition = committed()
    definition["Parameters"].append(parameter)
    assert code in {problem.code for problem in lint(definition)}


def test_a_use_inside_a_step_that_is_not_checked_keeps_a_parameter_alive() -> None:
    definition = committed()
    definition["Parameters"].append({"Name": "Wanted", "Type": "String", "DefaultValue": "x"})
    body = {"ForEachBody": [{"Get": "ForEach.CurrentItem"}, {"Get": "Parameters.Wanted"}]}
    definition["Steps"].append({"Name": "Each", "Type": "ForEach", "Arguments": body})
    assert found(definition) == [("not_checked", "Each")]


def test_more_steps_than_the_default_quota_are_counted() -> None:
    stop = {"Type": "Fail", "Arguments": {"ErrorMessage": "x"}}
    definition = {"Steps": [{"Name": f"Stop{number}", **stop} for number in range(51)]}
    (problem,) = lint(definition)
    assert (problem.code, problem.what) == ("too_large", "51 steps; SageMaker allows 50.")


@pytest.mark.parametrize(
    "definition",
    [
        [],
        {},
        {"Steps": {}},
        {"Steps": ["BuildShards"]},
        {"Steps": [{"Name": "A", "Type": "Fail"}]},
        {"Steps": [{"Name": "A", "Type": "Fail", "Arguments": {}, "DependsOn": "B"}]},
        {"Steps": [{"Name": "A", "Type": "Condition", "Arguments": {"IfSteps": {}}}]},
        {"Steps": [{"Name": "A", "Type": "Condition", "Arguments": {"ElseSteps": [{"Name": 1}]}}]},
        {"Steps": [], "Parameters": {}},
        {"Steps": [], "Parameters": [{"Type": "String"}]},
    ],
)
def test_what_is_no_definition_is_said_to_be_none(definition: Any) -> None:
    assert {problem.code for problem in lint(definition)} == {"definition"}


def test_a_value_for_a_parameter_that_is_not_declared_is_a_finding() -> None:
    assert ("parameter", "parameters") in found(committed(), Colour="red")


def test_training_steps_are_checked_against_their_own_model() -> None:
    arguments = {
        "AlgorithmSpecification": {"TrainingInputMode": "Files"},
        "OutputDataConfig": {"S3OutputPath": "s3://data/models"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "RoleArn": "arn:aws:iam::000000000000:role/batchcast",
    }
    definition = {"Steps": [{"Name": "Train", "Type": "Training", "Arguments": arguments}]}
    (problem,) = lint(definition)
    assert (problem.where, problem.remedy) == (
        "Train.AlgorithmSpecification.TrainingInputMode",
        "Did you mean File?",
    )


def test_advice_is_told_apart_from_what_the_service_refuses() -> None:
    assert {"dead_parameter", "hard_coded", "lost_on_failure"} <= advice_codes()
    assert not {"payload_in_flight", "above_maximum", "unknown_member", "volume_key"} & advice_codes()


def test_what_has_no_name_is_found_by_its_place() -> None:
    definition = committed()
    definition["Parameters"][9] = {"Name": ""}
    definition["Steps"][1]["Name"] = ""
    assert found(definition) == [("definition", "Parameters[9]"), ("definition", "Steps[1]")]
