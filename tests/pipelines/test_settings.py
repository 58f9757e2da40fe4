"""What is fixed when a pipeline is compiled."""

from __future__ import annotations

from typing import Any

import pytest

from batchcast.pipelines.settings import BuildSettings, read_settings
from batchcast.steps.errors import ConfigError


def test_the_defaults_name_no_real_account() -> None:
    settings = BuildSettings()
    assert "000000000000" in settings.processing_role_arn
    assert settings.image_uri.startswith("000000000000.")


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"processing_role_arn": "batchcast"}, "processing_role_arn"),
        ({"code_uri": "s3://bucket/code/steps.zip"}, "code_uri"),
        ({"code_uri": "code/app.pyz"}, "code_uri"),
        ({"contract_uri": "s3://bucket/contract.json"}, "contract_uri"),
        ({"image_uri": ""}, "image_uri"),
        ({"volume_size_in_gb": 0}, "volume_size_in_gb"),
        ({"max_runtime_in_seconds": 777_601}, "max_runtime_in_seconds"),
        ({"volume_kms_key": "a key"}, "volume_kms_key"),
        ({"subnets": ["subnet-1"] * 17, "security_group_ids": ["sg-1"]}, "subnets"),
        ({"subnets": ["subnet 1"], "security_group_ids": ["sg-1"]}, "subnets.0"),
        ({"pipeline_name": "weekly forecast"}, "pipeline_name"),
        ({"transform_environment": {f"V{number}": "x" for number in range(17)}}, "transform_environment"),
        ({"transform_environment": {"LEVEL": "x" * 10_241}}, "transform_environment.LEVEL"),
        ({"transform_ami_version": "al2 ami"}, "transform_ami_version"),
        ({"data_capture_uri": "captured/"}, "data_capture_uri"),
        ({"build_engine": "flink"}, "build_engine"),
        (
            {"build_engine": "spark", "spark_packages_uri": "s3://b/p/", "build_instance_count": 101},
            "build_instance_count",
        ),
        ({"build_engine": "spark", "spark_packages_uri": "packages/"}, "spark_packages_uri"),
        ({"tags": {"team": "a;b"}}, "tags.team"),
        ({"tags": {str(number): "x" for number in range(51)}}, "tags"),
    ],
)
def test_a_setting_the_service_would_refuse_is_refused_by_name(values: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings(values)
    assert [problem.where for problem in caught.value.problems] == [where]


def test_all_wrong_settings_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings({"processing_role_arn": "x", "volume_size_in_gb": 0, "instance_count": 3})
    assert [problem.where for problem in caught.value.problems] == [
        "processing_role_arn",
        "volume_size_in_gb",
        "instance_count",
    ]


def test_an_unknown_setting_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ConfigError, match=r"there is no such setting\. Known are: pipeline_name, processing_role_arn, "
    ):
        read_settings({"instance_count": 3})


def test_network_isolation_is_refused_for_the_publishing_step_with_the_reason() -> None:
    with pytest.raises(ConfigError, match="moves the pointer itself, which an isolated container cannot"):
        read_settings({"isolated_steps": ["ValidateAndPublish"]})


def test_network_isolation_is_refused_for_a_transform_step_because_the_model_has_it() -> None:
    with pytest.raises(ConfigError, match="a transform job takes it from the model"):
        read_settings({"isolated_steps": ["Transform"]})


@pytest.mark.parametrize(
    ("values", "where", "what"),
    [
        ({"build_instance_count": 2}, "build_instance_count", "of build_engine spark alone"),
        ({"spark_packages_uri": "s3://b/p/"}, "spark_packages_uri", "of build_engine spark alone"),
        ({"build_engine": "spark"}, "spark_packages_uri", "has no pyarrow"),
        (
            {"build_engine": "spark", "spark_packages_uri": "s3://b/p/", "isolated_steps": ["BuildShards"]},
            "isolated_steps",
            "talk to one another",
        ),
    ],
)
def test_what_spark_needs_and_what_needs_spark_is_refused_without(
    values: dict[str, Any], where: str, what: str
) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        read_settings(values)
    assert [problem.where for problem in caught.value.problems] == [where]


def test_an_image_of_ones_own_for_spark_needs_no_packages() -> None:
    read_settings({"build_engine": "spark", "spark_image_uri": "1.dkr.ecr.eu-west-1.amazonaws.com/own-spark:1"})


@pytest.mark.parametrize("values", [{"subnets": ["subnet-1"]}, {"security_group_ids": ["sg-1"]}])
def test_half_a_vpc_configuration_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="needs at least one of each"):
        read_settings(values)
