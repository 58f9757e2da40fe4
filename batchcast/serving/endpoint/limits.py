"""What InvokeEndpointAsync allows (API reference, botocore 1.43.11), and what a request has that does not say."""

from __future__ import annotations

# Longer bodies are sent by their place in S3.
MAX_INLINE_BYTES = 128_000
# Seconds a request may wait in the queue, and seconds the model may take.
TTL_RANGE, TIMEOUT_RANGE = (60, 21_600), (1, 3600)
DEFAULT_TTL, DEFAULT_TIMEOUT = 21_600, 900
