"""What a local SageMaker works on: a directory with its records, jobs and logs, an object store, and model servers."""

import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from batchcast.engine.errors import ServiceException, not_emulated
from batchcast.engine.faults import FaultPlan
from batchcast.engine.jobs import JobEnd, Jobs
from batchcast.engine.processing.job import check_processing_request, run_processing_job
from batchcast.engine.requests.request_check import refuse_keys
from batchcast.engine.server.model_server import ModelCommand, ModelSource
from batchcast.engine.state import REGION, Record, RecordFolder, arn
from batchcast.engine.transform.context import TransformProgress
from batchcast.engine.transform.job import run_transform_job
from batchcast.engine.transform.plan import TransformOptions
from batchcast.engine.transform.request import check_transform_request
from batchcast.steps.store.objects import ObjectStore

_STATE = "state"
# A model that is only declared was never created: its description has to have a time all the same.
_PIPELINE = {"PipelineName": str, "Versions": list, "LastModifiedTime": str}
_EXECUTION = {
    **dict.fromkeys(("PipelineName", "PipelineExecutionId", "PipelineDefinition", "ClientRequestToken"), str),
    **dict.fromkeys(("Status", "CreationTime", "LastModifiedTime"), str),
    **dict.fromkeys(("PipelineParameters", "RetryTokens"), list),
    **dict.fromkeys(("Steps", "Attempts"), dict),
}
_JOB = {"Request": dict, "Status": str, "CreationTime": str, "LastModifiedTime": str}
_PROGRESS = {"files_done": int, "files_total": int, "records_done": int}
_BEGINNING = "1970-01-01T00:00:00.000+00:00"


class Workspace:
    """`<root>/state` has the records, `<root>/jobs` what jobs need to run, `<root>/logs` what CloudWatch would have."""

    def __init__(
        self,
        root: Path,
        *,
        models: Mapping[str, ModelSource],
        store: ObjectStore,
        faults: FaultPlan,
        step_faults: Mapping[str, Sequence[str]],
        options: TransformOptions,
    ) -> None:
        root = root.absolute()  # a job's command runs in a directory of its own
        self.root = root
        self.store = store
        self.step_faults = step_faults
        self.time_scale = options.time_scale
        self.pipelines = RecordFolder(root / _STATE / "pipelines", _PIPELINE)
        self.executions = RecordFolder(root / _STATE / "executions", _EXECUTION)
        self.models = RecordFolder(root / _STATE / "models", {"ModelName": str})
        self.tags = RecordFolder(root / _STATE / "tags")
        self._progress = RecordFolder(root / _STATE / "transform-progress", _PROGRESS, lasting=False)
        self._sources = models
        self._faults = faults
        self._options = options
        self.broken: dict[str, Exception] = {}
        """Executions and jobs, by ARN, that this process could not go on with; they are interrupted, not ended."""
        transforms = RecordFolder(root / _STATE / "transform-jobs", _JOB)
        processings = RecordFolder(root / _STATE / "processing-jobs", _JOB)
        self.jobs = {
            "Transform": Jobs("Transform", transforms, self._check_transform, self._run_transform, self.broken),
            "Processing": Jobs("Processing", processings, self._check_processing, self._run_processing, self.broken),
        }

    def model(self, name: str) -> Record | None:
        """DescribeModel's answer: of a created model, or of one that is only declared with a server of its own."""
        declared = {"ModelArn": arn("model", name), "CreationTime": _BEGINNING, "PrimaryContainer": {}}
        return self.models.read(name) or ({"ModelName": name, **declared} if name in self._sources else None)

    def all_models(self) -> Iterator[Record]:
        created = (record["ModelName"] for record in self.models.all())
        yield from filter(None, map(self.model, sorted({*created, *self._sources})))

    def model_source(self, model: Mapping[str, Any]) -> ModelSource:
        """The server of a model: the one declared for its name, else for its image. Raises NotEmulatedError when there
        is neither, because nothing says how to start it."""
        container = model.get("PrimaryContainer", {})
        source = self._sources.get(model["ModelName"]) or self._sources.get(container.get("Image", ""))
        if source is None:
            known = ", ".join(self._sources) or "none"
            what = f"No server is declared for model {model['ModelName']} or its image; declared: {known}."
            remedy = "Declare the command or the URL that stands for it."
            raise not_emulated(what, where=f"model {model['ModelName']}", remedy=remedy)
        if isinstance(source, ModelCommand):
            return replace(source, environment={**source.environment, **container.get("Environment", {})})
        return source

    def transform_progress(self, job: str) -> TransformProgress:
        """How far a transform job is, whichever process runs it; all zero before its first report."""
        return TransformProgress(**(self._progress.read(job) or {}))

    def job_folders(self, execution_id: str) -> list[Path]:
        """What the jobs of an execution left on disk beside their records: files, partial outputs, logs."""
        return [
            folder
            for kind, jobs in self.jobs.items()
            for name in jobs.names_of(execution_id)
            for folder in (
                self.root / "jobs" / name,
                self.root / "partial" / name,
                self.root / "logs" / "aws" / "sagemaker" / f"{kind}Jobs" / name,
            )
            if folder.exists()
        ]

    def forget_jobs(self, execution_id: str) -> None:
        """Remove the jobs of an execution that has ended, and what they left on disk."""
        for folder in self.job_folders(execution_id):
            shutil.rmtree(folder, ignore_errors=True)
        for jobs in self.jobs.values():
            for name in jobs.names_of(execution_id):
                self._progress.delete(name)
                jobs.records.delete(name)

    def _check_transform(self, request: Mapping[str, Any]) -> None:
        model = self.model(request.get("ModelName", ""))
        check_transform_request(request, store=self.store, model=model, region=REGION)
        if model is not None:
            self.model_source(model)

    def _check_processing(self, request: Mapping[str, Any]) -> None:
        check_processing_request(request)
        outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
        where = "ProcessingOutputConfig.Outputs[{}].S3Output.S3Uri"
        refuse_keys(self.store, {where.format(at): each["S3Output"]["S3Uri"] for at, each in enumerate(outputs)})

    def _run_transform(self, request: Mapping[str, Any], resume: bool, stop: threading.Event) -> JobEnd:
        def report(progress: TransformProgress) -> None:
            self._progress.write(request["TransformJobName"], asdict(progress))

        model = self.model(request["ModelName"])
        if model is None:
            raise ServiceException("ValidationException", f"Model {request['ModelName']} was deleted.")
        return run_transform_job(
            request,
            store=self.store,
            model=self.model_source(model),
            workdir=self.root,
            options=replace(self._options, resume=resume),
            faults=self._faults,
            stop=stop,
            on_progress=report,
        )

    def _run_processing(self, request: Mapping[str, Any], _: bool, stop: threading.Event) -> JobEnd:
        name = request["ProcessingJobName"]
        logs = self.root / "logs" / "aws" / "sagemaker" / "ProcessingJobs" / name
        workdir, job_arn = self.root / "jobs" / name, self.jobs["Processing"].arn(name)
        return run_processing_job(request, arn=job_arn, store=self.store, workdir=workdir, log_folder=logs, stop=stop)
