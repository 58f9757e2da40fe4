"""The lines that the service wrote about the transform jobs of a run, in CloudWatch Logs or in a local workspace.

They are worth having and no run depends on them: who may not read them, or has no network, goes without.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

LOGS_VARIABLE = "BATCHCAST_JOB_LOGS"
"""Names the directory that stands for CloudWatch Logs; not set on AWS."""
_GROUP = "/aws/sagemaker/TransformJobs"
_MARK = "[sagemaker logs]"
_MOST_PAGES = 20
_MOST_LINES = 200_000


def read_data_logs(environ: Mapping[str, str], run_id: str) -> list[str] | None:
    """Every line about the requests of the run's transform jobs, both rounds; None where they cannot be read.

    Jobs of a pipeline are named `pipelines-<execution id>-<step>-…` by the service. At most 20 API calls.
    """
    prefix = f"pipelines-{run_id}-Transform"
    directory = environ.get(LOGS_VARIABLE)
    if directory:
        return list(islice(_directory_lines(Path(directory) / _GROUP.strip("/"), prefix), _MOST_LINES))
    return _cloudwatch_lines(prefix) if "AWS_REGION" in environ else None


def _directory_lines(group: Path, prefix: str) -> Iterator[str]:
    for path in sorted(group.glob(f"{prefix}*/**/*")):
        if path.is_file():
            with path.open(encoding="utf-8", errors="replace") as stream:
                yield from (line.rstrip("\n") for line in stream if _MARK in line)


def _cloudwatch_lines(prefix: str) -> list[str] | None:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    request = {"logGroupName": _GROUP, "logStreamNamePrefix": prefix, "filterPattern": f'"{_MARK}"'}
    config = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "max_attempts": 3})
    try:
        pages = boto3.client("logs", config=config).get_paginator("filter_log_events").paginate(**request)
        return [event["message"].rstrip("\n") for page in islice(pages, _MOST_PAGES) for event in page["events"]]
    except (BotoCoreError, ClientError):
        return None
