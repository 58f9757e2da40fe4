"""A team's weekly forecast run as a SageMaker Pipeline.

    import batchcast as bc

    place = bc.connect(workspace="workspace")  # bc.connect() works in your AWS account
    place.deploy()
    run = place.start({"ForecastHorizon": 14})
    run.wait()
    print(run.forecasts())

Names are imported when they are first used: importing the package costs nothing, also in the processing container,
which has of it only this file and `batchcast.steps`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batchcast.account.studio_pipeline import get_pipeline
    from batchcast.api.pipeline_client import PipelineClient, Run, connect
    from batchcast.engine.client import LocalSageMaker
    from batchcast.pipelines.definition import define
    from batchcast.pipelines.lint.lint import lint
    from batchcast.pipelines.parameters import Parameters
    from batchcast.pipelines.settings import BuildSettings
    from batchcast.planner.plan.plan import plan
    from batchcast.runs.published import read_forecasts, rollback
    from batchcast.session.local_session import local_aws, local_session
    from batchcast.steps.errors import (
        BatchcastError,
        ConfigError,
        CoverageError,
        DataError,
        ModelError,
        Problem,
        ServiceError,
    )

__all__ = [
    "BatchcastError",
    "BuildSettings",
    "ConfigError",
    "CoverageError",
    "DataError",
    "LocalSageMaker",
    "ModelError",
    "Parameters",
    "PipelineClient",
    "Problem",
    "Run",
    "ServiceError",
    "__version__",
    "connect",
    "define",
    "get_pipeline",
    "lint",
    "local_aws",
    "local_session",
    "plan",
    "read_forecasts",
    "rollback",
]

__version__ = "0.2.0"

_MODULES = {
    "BuildSettings": "pipelines.settings",
    "PipelineClient": "api.pipeline_client",
    "LocalSageMaker": "engine.client",
    "Parameters": "pipelines.parameters",
    "Run": "api.pipeline_client",
    "connect": "api.pipeline_client",
    "define": "pipelines.definition",
    "get_pipeline": "account.studio_pipeline",
    "lint": "pipelines.lint.lint",
    "local_aws": "session.local_session",
    "local_session": "session.local_session",
    "plan": "planner.plan.plan",
    "read_forecasts": "runs.published",
    "rollback": "runs.published",
}
_ERRORS = ("BatchcastError", "ConfigError", "CoverageError", "DataError", "ModelError", "Problem", "ServiceError")


def __getattr__(name: str) -> Any:
    """Import on first use."""
    module = "steps.errors" if name in _ERRORS else _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module 'batchcast' has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f"batchcast.{module}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
