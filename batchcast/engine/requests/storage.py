"""What the names of instance types say about their disks."""

from __future__ import annotations

import re

_LOCAL_STORAGE = re.compile(r"[a-z]+\d+[a-z]*d[a-z]*|g5|g6e?|g7e|p5e?n?|p6-b[23]00|trn[12]n?")


def has_local_storage(instance_type: str) -> bool:
    """Whether the type brings NVMe disks of its own, which take no `VolumeKmsKeyId`.

    Source: API reference, TransformResources and ProcessingClusterConfig (botocore 1.44.8); families as in
    `volume_size_supported` of the SageMaker Python SDK 3.27.
    """
    family = instance_type.removeprefix("ml.").partition(".")[0]
    return _LOCAL_STORAGE.fullmatch(family) is not None
