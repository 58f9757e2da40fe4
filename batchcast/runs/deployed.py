"""The pipeline as it is deployed."""

from __future__ import annotations

from typing import Any

from batchcast.session.service_errors import error_code
from batchcast.session.session import Session
from batchcast.steps.errors import ConfigError


def deployed_pipeline(session: Session, name: str) -> dict[str, Any] | None:
    """DescribePipeline's answer; None when there is no such pipeline."""
    try:
        answer: dict[str, Any] = session.client("sagemaker").describe_pipeline(PipelineName=name)
    except ConfigError as error:
        if error_code(error) == "ResourceNotFound":
            return None
        raise
    return answer
