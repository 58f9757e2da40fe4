"""Limits and defaults of transform jobs that the service's documentation states in prose; its model holds all others.

Source: API reference, CreateTransformJob, ModelClientConfig and TransformResources (botocore 1.44.8).
"""

from __future__ import annotations

MAX_PAYLOAD_IN_MB = 100
"""The largest MaxPayloadInMB, and the most that it may be times MaxConcurrentTransforms."""

MAX_INSTANCE_COUNT = 100
DEFAULT_PAYLOAD_IN_MB = 6
DEFAULT_INVOCATION_TIMEOUT_SECONDS = 600

BYTES_PER_MB = 1 << 20
"""Whether the service's MB is 10**6 or 2**20 bytes is not published; SDK local mode and the engine use 2**20."""

SMALLEST_MB_BYTES = 10**6
"""The smaller reading, for sizes that have to fit under either."""
