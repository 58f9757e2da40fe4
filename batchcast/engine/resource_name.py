"""Names and times of local resources."""

from __future__ import annotations

from datetime import UTC, datetime

REGION = "local"
ACCOUNT = "000000000000"


def arn(resource: str, name: str) -> str:
    """The ARN of a local resource, e.g. of ("transform-job", "x")."""
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{resource}/{name}"


def resource_id(resource: str, name: str) -> str:
    """The name of a record that is one resource's among those of all kinds."""
    return f"{resource}--{name}"


def now() -> str:
    """The present, as records keep it: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
