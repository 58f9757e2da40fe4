"""Instance types that SageMaker takes for a job."""

from __future__ import annotations

from functools import cache

from batchcast.engine.requests.service_model import committed_model


@cache
def of_transform() -> frozenset[str]:
    """The types of CreateTransformJob, as the engine has them from the service model."""
    return _enumeration("TransformInstanceType")


@cache
def of_processing() -> frozenset[str]:
    """The types of CreateProcessingJob, as the engine has them from the service model."""
    return _enumeration("ProcessingInstanceType")


def _enumeration(shape: str) -> frozenset[str]:
    return frozenset(committed_model()["shapes"][shape]["enum"])
