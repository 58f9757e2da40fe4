"""One transform job for a test: objects in a directory store, a request, a model, and what came of it."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from scripted_model import Call, Reply, ScriptedModel

from batchcast.engine.faults import NO_FAULTS, FaultPlan
from batchcast.engine.server.model_server import ModelSource, ModelUrl
from batchcast.engine.transform.context import TransformProgress
from batchcast.engine.transform.job import TransformResult, run_transform_job
from batchcast.engine.transform.plan import TransformOptions
from batchcast.engine.transform.request import check_transform_request
from batchcast.steps.store.objects import DirectoryStore

__all__ = ["TransformCase", "transform_request"]

Script = Callable[[Call], Reply | bytes]

_DEFAULTS: Mapping[str, Any] = {
    "TransformJobName": "job",
    "ModelName": "model",
    "MaxConcurrentTransforms": 1,
    "BatchStrategy": "SingleRecord",
    "TransformInput": {
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/in/"}},
        "ContentType": "application/json",
        "SplitType": "Line",
    },
    "TransformOutput": {"S3OutputPath": "s3://b/out/", "Accept": "application/json", "AssembleWith": "Line"},
    "TransformResources": {"InstanceType": "ml.m5.4xlarge", "InstanceCount": 1},
}


def transform_request(**changes: Any) -> dict[str, Any]:
    """A CreateTransformJob request: Line, SingleRecord, one slot, s3://b/in/ to s3://b/out/; None removes a member.

    A change names a member anywhere in the request, e.g. `SplitType="None"` or `InstanceCount=4`.
    """
    request = copy.deepcopy(dict(_DEFAULTS))
    for name, value in changes.items():
        place = _place_of(name, request)
        if value is None:
            place.pop(name, None)
        else:
            place[name] = value
    return {name: value for name, value in request.items() if value != {}}


def _place_of(name: str, request: dict[str, Any]) -> dict[str, Any]:
    source = request["TransformInput"]
    for place, names in (
        (source["DataSource"]["S3DataSource"], {"S3DataType", "S3Uri"}),
        (source, {"ContentType", "CompressionType", "SplitType"}),
        (request["TransformOutput"], {"S3OutputPath", "Accept", "AssembleWith", "KmsKeyId"}),
        (request["TransformResources"], {"InstanceType", "InstanceCount", "VolumeKmsKeyId", "TransformAmiVersion"}),
        (request.setdefault("DataProcessing", {}), {"InputFilter", "OutputFilter", "JoinSource"}),
        (request.setdefault("ModelClientConfig", {}), {"InvocationsTimeoutInSeconds", "InvocationsMaxRetries"}),
    ):
        if name in names:
            return place
    return request


class TransformCase:
    """Files go in with `put`, `run` runs the job over them with a scripted model, or with any other model."""

    def __init__(self, folder: Path) -> None:
        self.workdir = folder / "work"
        self.store = DirectoryStore(folder / "s3")
        self.model = ScriptedModel()
        self.progress: list[TransformProgress] = []

    def put(self, **files: bytes) -> None:
        """`put(a=b"1\\n2\\n")` is s3://b/in/a."""
        for name, content in files.items():
            self.store.write(f"s3://b/in/{name}", content)

    def run(
        self,
        script: Script | ModelSource | None = None,
        *,
        options: TransformOptions | None = None,
        faults: FaultPlan = NO_FAULTS,
        stop: threading.Event | None = None,
        get: Callable[[str], Reply] | None = None,
        **changes: Any,
    ) -> TransformResult:
        """Check the request as the service would, then run the job; without a script the model answers what it got."""
        request = transform_request(**changes)
        check_transform_request(request, store=self.store, model={})
        self.model = ScriptedModel(get=get) if script is None or not callable(script) else ScriptedModel(script, get)
        with self.model:
            return run_transform_job(
                request,
                store=self.store,
                model=script if script is not None and not callable(script) else ModelUrl(url=self.model.url),
                workdir=self.workdir,
                options=options or TransformOptions(time_scale=0.05),
                faults=faults,
                stop=stop,
                on_progress=self.progress.append,
            )

    def outputs(self, prefix: str = "s3://b/out/") -> dict[str, bytes]:
        """Every object below the output path, by its name there."""
        return {entry.uri.removeprefix(prefix): self.store.read(entry.uri) for entry in self.store.list(prefix)}

    def log(self, instance: int = 0, stream: str = "data-log", job: str = "job") -> list[str]:
        """The lines of one log stream, without the time before the service's own."""
        folder = self.workdir / "logs" / "aws" / "sagemaker" / "TransformJobs" / job / f"instance-{instance}"
        lines = (folder / stream).read_text().splitlines()
        return [line.partition(":[sagemaker logs]: ")[2] or line for line in lines]
