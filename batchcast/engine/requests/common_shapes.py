"""Shapes that several operations share, with the limits of the service model (botocore 1.44.8)."""

from __future__ import annotations

from collections.abc import Mapping

from batchcast.engine.requests.request_shape import Choice, ListOf, MapOf, Structure, Text, Whole

__all__ = [
    "EXPERIMENT_CONFIG",
    "JOB_NAME",
    "KMS_KEY",
    "MAX_RESULTS",
    "MODEL_NAME",
    "NEXT_TOKEN",
    "PIPELINE_NAME",
    "ROLE_ARN",
    "S3_URI",
    "SORT_ORDER",
    "TAGS",
    "VPC_CONFIG",
    "environment",
    "instance_types",
]

S3_URI = Text(maximum=1024, pattern="(https|s3)://([^/]+)/?(.*)")
KMS_KEY = Text(maximum=2048, pattern="[a-zA-Z0-9:/_-]*")
ROLE_ARN = Text(minimum=20, maximum=2048, pattern=r"arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+")
JOB_NAME = Text(minimum=1, maximum=63, pattern="[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
MODEL_NAME = Text(maximum=63, pattern=r"[a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?")
PIPELINE_NAME = Text(minimum=1, maximum=256, pattern="[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}")

MAX_RESULTS = Whole(minimum=1, maximum=100)
NEXT_TOKEN = Text(maximum=8192, pattern=".*")
SORT_ORDER = Choice(("Ascending", "Descending"))

# Python's `re` has no \p{L}, \p{Z}, \p{N}: letters, digits and blanks stand in for them.
_TAG_TEXT = r"([\w\s.:/=+\-@]*)"
TAGS = ListOf(
    member=Structure(
        {"Key": Text(minimum=1, maximum=128, pattern=_TAG_TEXT), "Value": Text(maximum=256, pattern=_TAG_TEXT)},
        required=("Key", "Value"),
    ),
    maximum=50,
)

_EXPERIMENT_NAME = Text(minimum=1, maximum=120, pattern="[a-zA-Z0-9](-*[a-zA-Z0-9]){0,119}")
EXPERIMENT_CONFIG = Structure(
    {
        "ExperimentName": _EXPERIMENT_NAME,
        "TrialName": _EXPERIMENT_NAME,
        "TrialComponentDisplayName": _EXPERIMENT_NAME,
        "RunName": _EXPERIMENT_NAME,
    }
)
_VPC_ID = Text(maximum=32, pattern="[-0-9a-zA-Z]+")
VPC_CONFIG = Structure(
    {
        "SecurityGroupIds": ListOf(member=_VPC_ID, minimum=1, maximum=5),
        "Subnets": ListOf(member=_VPC_ID, minimum=1, maximum=16),
    },
    required=("SecurityGroupIds", "Subnets"),
)


def environment(*, entries: int, key_length: int, value_length: int) -> MapOf:
    """Environment variables, as many and as long as one operation allows."""
    return MapOf(
        key=Text(maximum=key_length, pattern="[a-zA-Z_][a-zA-Z0-9_]*"),
        value=Text(maximum=value_length, pattern=r"[\S\s]*"),
        maximum=entries,
    )


def instance_types(sizes_by_family: Mapping[str, str]) -> Choice:
    """`{"m5": "large xlarge"}` -> one of ml.m5.large, ml.m5.xlarge."""
    return Choice(tuple(f"ml.{family}.{size}" for family, sizes in sizes_by_family.items() for size in sizes.split()))
