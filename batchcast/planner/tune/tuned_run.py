"""The parameters that a measurement of the model gives to a run, once it is known to fit the run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchcast.pipelines.parameters import Parameters
from batchcast.pipelines.tuning import check_tuning_fits, image_identity, read_tuning
from batchcast.runs.start import run_parameters
from batchcast.session.session import Session, WorkspaceSession


def tuned_run(session: Session, pipeline: Mapping[str, Any], path: Path, overrides: Mapping[str, str]) -> Parameters:
    """The parameters of a run with what the measurement in `path` sets, under the overrides.

    `pipeline` is DescribePipeline's answer. Raises ConfigError as `run_parameters`, for a file that is no measurement,
    and for one of another instance type or another image.
    """
    tuning = read_tuning(path)
    values = run_parameters(pipeline, {**tuning.pipeline_parameters(), **overrides})
    model = session.client("sagemaker").describe_model(ModelName=values.model_name)
    check_tuning_fits(
        tuning,
        instance_type=values.transform_instance_type,
        image_digest=find_model_image(model),
        on_this_machine=isinstance(session, WorkspaceSession),
    )
    return values


def find_model_image(model: Mapping[str, Any]) -> str | None:
    """The identity of the image in DescribeModel's answer; None for several containers, and without an image."""
    containers = model.get("Containers") or [model.get("PrimaryContainer", {})]
    images = [image_identity(one["Image"]) for one in containers if "Image" in one]
    return images[0] if len(images) == 1 == len(containers) else None
