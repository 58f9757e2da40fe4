"""Instance types that SageMaker takes for a job, and what their names say about them."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

__all__ = ["has_local_storage", "of_processing", "of_transform"]

_LOCAL_STORAGE = re.compile(r"[a-z]+\d+[a-z]*d[a-z]*|g5|g6e?|g7e|p5e?n?|p6-b[23]00|trn[12]n?")


@cache
def of_transform() -> frozenset[str]:
    """The types of CreateTransformJob, as the engine has them from the service model."""
    from batchcast.engine.transform.request import CREATE_TRANSFORM_JOB

    return _choice(CREATE_TRANSFORM_JOB, "TransformResources", "InstanceType")


@cache
def of_processing() -> frozenset[str]:
    """The types of CreateProcessingJob, as the engine has them from the service model."""
    from batchcast.engine.processing.request import CREATE_PROCESSING_JOB

    return _choice(CREATE_PROCESSING_JOB, "ProcessingResources", "ClusterConfig", "InstanceType")


def has_local_storage(instance_type: str) -> bool:
    """Whether the type brings NVMe disks of its own, which take no `VolumeKmsKeyId`.

    Source: API reference, TransformResources and ProcessingClusterConfig (botocore 1.44.8); families as in
    `volume_size_supported` of the SageMaker Python SDK 3.27.
    """
    family = instance_type.removeprefix("ml.").partition(".")[0]
    return _LOCAL_STORAGE.fullmatch(family) is not None


def _choice(shape: Any, *path: str) -> frozenset[str]:
    for name in path:
        shape = shape.members[name]
    return frozenset(shape.values)
