"""What the name of an instance type tells: cores and memory, and which other type is nearest.

Source: the sizes of the x86 families that Batch Transform takes (Amazon EC2 user guide, instance types): an `xlarge`
has 4 vCPU, an `Nxlarge` 4 N, and memory is a fixed amount per vCPU of the family.
"""

import re
from collections.abc import Collection

from batchcast.steps.errors import ConfigError, Problem

_NAME = re.compile(r"ml\.(?P<family>[a-z]+\d[a-z-]*)\.(?P<size>large|(?P<times>\d*)xlarge)")
_ARM = re.compile(r"ml\.[cmrtx]\d+g[a-z]*\..*")
_GIB_A_VCPU = {"c4": 1.875, "c": 2.0, "m": 4.0, "r": 8.0, "g4dn": 4.0, "g5": 4.0, "g6": 4.0, "g6e": 8.0}


def vcpus(instance_type: str) -> int | None:
    """The vCPUs of a type, None when its name does not tell."""
    match = _NAME.fullmatch(instance_type)
    if match is None or _gib_a_vcpu(instance_type) is None:
        return None
    return 2 if match["size"] == "large" else 4 * int(match["times"] or 1)


def physical_cores(instance_type: str) -> int | None:
    """Two vCPU are one core with hyper-threading on all these families."""
    count = vcpus(instance_type)
    return None if count is None else max(1, count // 2)


def memory_gib(instance_type: str) -> float | None:
    """The memory of a type in GiB, None when its name does not tell."""
    count, each = vcpus(instance_type), _gib_a_vcpu(instance_type)
    return None if count is None or each is None else count * each


def check_transform_type(instance_type: str, transform_types: Collection[str]) -> None:
    """Raises ConfigError for a type that a transform job does not take, naming the nearest that it does."""
    if instance_type not in transform_types:
        near = _nearest(instance_type, transform_types)
        what = f"Batch Transform does not take {instance_type}."
        remedy = f"Nearest it takes: {', '.join(near)}." if near else "Name a type such as ml.m5.4xlarge."
        if _ARM.fullmatch(instance_type):
            remedy += " It has none of AWS's own (arm64) processors: the image must be built for x86-64."
        raise ConfigError(Problem("instance_type", what, where="--instance-type", remedy=remedy))


def _gib_a_vcpu(instance_type: str) -> float | None:
    family = instance_type.removeprefix("ml.").partition(".")[0]
    return _GIB_A_VCPU.get(family, _GIB_A_VCPU.get(family[0]))


def _nearest(instance_type: str, transform_types: Collection[str]) -> list[str]:
    family, _, size = instance_type.removeprefix("ml.").partition(".")
    # A model moves to another generation of its family at the same size more easily than to another size.
    kin = sorted(name for name in transform_types if name[3] == family[:1] and name.endswith(f".{size}"))
    if kin:
        return kin[:3]
    from difflib import get_close_matches

    return get_close_matches(instance_type, sorted(transform_types), n=3, cutoff=0.5)
