"""The parameters that a measurement of the model gives to a run, once it is known to fit the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.defaults import defaults_of
from pipelines.session import Session, WorkspaceSession
from planner.tuning import check_tuning_fits, image_identity, read_tuning

__all__ = ["image_of", "tuned_parameters"]


def tuned_parameters(
    session: Session, pipeline: Mapping[str, Any], path: Path, overrides: Mapping[str, str]
) -> dict[str, str]:
    """What the measurement in `path` sets of a run with these overrides, by parameter.

    `pipeline` is DescribePipeline's answer. Raises ConfigError for a file that is no measurement, and for one of
    another instance type or another image.
    """
    tuning = read_tuning(path)
    values = {**defaults_of(json.loads(pipeline["PipelineDefinition"])), **overrides}
    model = session.client("sagemaker").describe_model(ModelName=values["ModelName"])
    check_tuning_fits(
        tuning,
        instance_type=values["TransformInstanceType"],
        image_digest=image_of(model),
        on_this_machine=isinstance(session, WorkspaceSession),
    )
    return tuning.pipeline_parameters()


def image_of(model: Mapping[str, Any]) -> str | None:
    """The identity of the image in DescribeModel's answer; None for several containers, and without an image."""
    containers = model.get("Containers") or [model.get("PrimaryContainer", {})]
    images = [image_identity(one["Image"]) for one in containers if "Image" in one]
    return images[0] if len(images) == 1 == len(containers) else None
