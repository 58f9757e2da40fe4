"""Limits, defaults and disks of jobs that the service's documentation states in prose; its model holds all others.

Source: API reference, CreateTransformJob, ModelClientConfig, TransformResources and ProcessingClusterConfig
(botocore 1.44.8).
"""

import re
import tomllib
from functools import cache
from pathlib import Path

MAX_PAYLOAD_IN_MB = 100
"""The largest MaxPayloadInMB, and the most that it may be times MaxConcurrentTransforms."""

MAX_INSTANCE_COUNT = 100
DEFAULT_PAYLOAD_IN_MB = 6
DEFAULT_INVOCATION_TIMEOUT_SECONDS = 600

BYTES_PER_MB = 1 << 20
"""Whether the service's MB is 10**6 or 2**20 bytes is not published; SDK local mode and the engine use 2**20."""

SMALLEST_MB_BYTES = 10**6
"""The smaller reading, for sizes that have to fit under either."""

_LOCAL_STORAGE = re.compile(r"[a-z]+\d+[a-z]*d[a-z]*|g5|g6e?|g7e|p5e?n?|p6-b[23]00|trn[12]n?")


def has_local_storage(instance_type: str) -> bool:
    """Whether the type brings NVMe disks of its own, which take no `VolumeKmsKeyId`.

    Source: API reference, TransformResources and ProcessingClusterConfig (botocore 1.44.8); families as in
    `volume_size_supported` of the SageMaker Python SDK 3.27.
    """
    family = instance_type.removeprefix("ml.").partition(".")[0]
    return _LOCAL_STORAGE.fullmatch(family) is not None


@cache
def local_storage_gb(instance_type: str) -> int | None:
    """The size of these disks, which a processing job has in place of its volume; None where it is not known."""
    return tomllib.loads(Path(__file__).with_name("local_disks.toml").read_text(encoding="utf-8")).get(instance_type)
