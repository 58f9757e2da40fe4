"""AWS on a laptop: the same pipeline definition, run as SageMaker would, with no account and no Docker.

    client ─▶ pipeline ─▶ workspace ─▶ transform, processing      container_check ─▶ transform
    async_inference, on a virtual clock, beside them

`pipeline` executes definitions; `transform` and `processing` do one job each and know nothing of pipelines; the
workspace keeps what is going on as files. At the top are also what the client alone needs and what several parts share,
which knows none of them; the layers in pyproject.toml hold every module to its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batchcast.engine.client import LocalSageMaker
    from batchcast.engine.errors import NotEmulatedError, ServiceException
    from batchcast.engine.faults import FaultPlan, parse_fault_plan
    from batchcast.engine.server.model_server import ModelCommand, ModelSource, ModelUrl
    from batchcast.engine.transform.plan import TransformOptions
    from batchcast.engine.transform.progress import TransformProgress

__all__ = [
    "FaultPlan",
    "LocalSageMaker",
    "ModelCommand",
    "ModelSource",
    "ModelUrl",
    "NotEmulatedError",
    "ServiceException",
    "TransformOptions",
    "TransformProgress",
    "parse_fault_plan",
]

_MODULES = {
    "FaultPlan": "faults",
    "LocalSageMaker": "client",
    "ModelCommand": "server.model_server",
    "ModelSource": "server.model_server",
    "ModelUrl": "server.model_server",
    "NotEmulatedError": "errors",
    "ServiceException": "errors",
    "TransformOptions": "transform.plan",
    "TransformProgress": "transform.progress",
    "parse_fault_plan": "faults",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that importing one part of the engine does not import all of it."""
    if name not in _MODULES:
        raise AttributeError(f"module 'batchcast.engine' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"batchcast.engine.{_MODULES[name]}"), name)
