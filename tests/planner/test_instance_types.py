from __future__ import annotations

import pytest

from batchcast.planner.prices.instance_types import check_transform_type, memory_gib, physical_cores, vcpus
from batchcast.steps.errors import ConfigError

TYPES = ["ml.m5.4xlarge", "ml.m6i.4xlarge", "ml.r6i.4xlarge", "ml.r7i.4xlarge", "ml.c5.xlarge", "ml.g5.xlarge"]


@pytest.mark.parametrize(
    ("name", "cpus", "cores", "memory"),
    [
        ("ml.m5.4xlarge", 16, 8, 64),
        ("ml.m5.large", 2, 1, 8),
        ("ml.c5.18xlarge", 72, 36, 144),
        ("ml.r6i.xlarge", 4, 2, 32),
        ("ml.g5.2xlarge", 8, 4, 32),
        ("ml.c4.xlarge", 4, 2, 7.5),
    ],
)
def test_the_name_tells_cores_and_memory(name: str, cpus: int, cores: int, memory: float) -> None:
    assert (vcpus(name), physical_cores(name), memory_gib(name)) == (cpus, cores, memory)


@pytest.mark.parametrize("name", ["ml.p3.2xlarge", "ml.trn1.2xlarge", "m5.xlarge", "ml.m5.metal"])
def test_a_name_that_does_not_tell_gives_nothing(name: str) -> None:
    assert vcpus(name) is None
    assert physical_cores(name) is None
    assert memory_gib(name) is None


def test_a_type_that_batch_transform_lacks_names_its_kin() -> None:
    with pytest.raises(ConfigError, match=r"ml\.r5\.4xlarge.*ml\.r6i\.4xlarge, ml\.r7i\.4xlarge"):
        check_transform_type("ml.r5.4xlarge", TYPES)


def test_a_graviton_type_says_that_the_image_must_be_rebuilt() -> None:
    with pytest.raises(ConfigError, match=r"ml\.m5\.4xlarge, ml\.m6i\.4xlarge.*x86-64"):
        check_transform_type("ml.m6g.4xlarge", TYPES)


def test_a_type_it_takes_passes() -> None:
    check_transform_type("ml.g5.xlarge", TYPES)
