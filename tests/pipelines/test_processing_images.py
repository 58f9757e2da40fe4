"""The table of processing images is the SDK's."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from batchcast.pipelines.settings import image_of
from batchcast.steps.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(importlib.util.find_spec("sagemaker") is None, reason="the SDK is not among the oldest libraries")
@pytest.mark.parametrize(
    ("table", "file", "section", "number", "tag"),
    [
        ("processing_images", "sklearn.json", "training", "1.9-0", "1.9-0-cpu-py3"),
        ("spark_images", "spark.json", "processing", "3.5", "3.5-cpu-py312"),
    ],
)
def test_every_region_of_the_sdk_has_its_image(table: str, file: str, section: str, number: str, tag: str) -> None:
    found = importlib.util.find_spec("sagemaker.core")
    assert found is not None
    assert found.submodule_search_locations is not None
    config = Path(next(iter(found.submodule_search_locations))) / "image_uri_config" / file
    version = json.loads(config.read_text())[section]["versions"][number]
    ours = json.loads((ROOT / "pipelines" / f"{table}.json").read_text())["registries"]
    assert table != "processing_images" or set(ours) == set(version["registries"])
    for region, registry in version["registries"].items():
        assert image_of(region, table).startswith(f"{registry}.dkr.ecr.{region}.")
        assert image_of(region, table).endswith(f"/{version['repository']}:{tag}")


@pytest.mark.parametrize(
    ("region", "domain"),
    [
        ("eu-central-1", "amazonaws.com"),
        ("us-gov-west-1", "amazonaws.com"),
        ("cn-north-1", "amazonaws.com.cn"),
        ("us-iso-east-1", "c2s.ic.gov"),
        ("us-isob-east-1", "sc2s.sgov.gov"),
    ],
)
def test_the_domain_is_that_of_the_partition(region: str, domain: str) -> None:
    assert image_of(region).split("/")[0].endswith(f".dkr.ecr.{region}.{domain}")


def test_an_unknown_region_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean us-west-2"):
        image_of("us-westt-2")
