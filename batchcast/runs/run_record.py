"""A run that was started before: its parameters, and what it left in the store."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchcast.pipelines.definition import defaults_of
from batchcast.session.service_errors import answer_or_none, error_code
from batchcast.session.session import Session, pages
from batchcast.session.workspace_inputs import fixed_inputs
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.outcome.ledger import stream_ledger
from batchcast.steps.outcome.stored_report import read_report
from batchcast.steps.shards.layout import ledger_uri
from batchcast.steps.shards.manifest import MANIFEST_FILE, RECORDS_FILE, Manifest, stream_records
from batchcast.steps.store.objects import ObjectMissingError, ObjectStore, join_uri

if TYPE_CHECKING:
    import pyarrow as pa

_NAMED_RUNS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One execution of the pipeline; `parameters` has every parameter with the value it had, as text."""

    arn: str
    status: str
    parameters: Mapping[str, str]
    store: ObjectStore

    @property
    def run_id(self) -> str:
        return self.arn.rsplit("/", 1)[-1]

    def manifest(self) -> Manifest | None:
        """What BuildShards wrote last; None when it did not come so far."""
        try:
            data = self.store.read(join_uri(self.parameters["RunsUri"], self.run_id, "manifest", MANIFEST_FILE))
        except ObjectMissingError:
            return None
        return Manifest.from_json(data, where=self.run_id)

    def records(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """A row an item in parts, as BuildShards wrote them. Raises ObjectMissingError without them."""
        uri = join_uri(self.parameters["RunsUri"], self.run_id, "manifest", RECORDS_FILE)
        with self._copied(uri) as path:
            yield from stream_records(path.parent, columns, where=uri)

    def report(self) -> dict[str, Any] | None:
        """The last report of the run; None when it never came to one."""
        return read_report(self.store, self.parameters["RunsUri"], self.run_id)

    def outstanding(self) -> int:
        """Items without a good forecast; of a run that was not decided, the records of shards without an output."""
        report = self.report()
        if report is not None and report["outcome"] != "RETRY":
            return int(report["counts"]["expected"]) - int(report["counts"]["ok"])
        manifest = self.manifest()
        outputs = self.store.list(join_uri(self.parameters["RunsUri"], self.run_id, "output") + "/")
        answered = {stored.uri.rsplit("/", 1)[-1] for stored in outputs}
        shards = manifest.shards if manifest else ()
        return sum(shard.records for shard in shards if f"{shard.name}.out" not in answered)

    def ledger(self) -> Iterator[pa.Table]:
        """The rows that belong to the report, in parts. Raises ObjectMissingError without one."""
        uri = ledger_uri(self.parameters["RunsUri"], self.run_id)
        with self._copied(uri) as path:
            yield from stream_ledger(path, where=uri)

    @contextmanager
    def _copied(self, uri: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / uri.rsplit("/", 1)[-1]
            self.store.download(uri, path)
            yield path


def find_run(session: Session, pipeline_name: str, run_id: str) -> RunRecord:
    """The run with that execution id. Raises ConfigError for an unknown one, naming the latest that there are."""
    sagemaker = session.client("sagemaker")
    pipeline = sagemaker.describe_pipeline(PipelineName=pipeline_name)
    try:
        return _past_run(session, f"{pipeline['PipelineArn']}/execution/{run_id}")
    except ConfigError as error:
        if error_code(error) not in ("ResourceNotFound", "ValidationException"):
            raise
        ids = [arn.rsplit("/", 1)[-1] for arn in _latest(sagemaker, pipeline_name)]
        what = f"pipeline {pipeline_name} has no run {run_id!r}."
        remedy = f"The latest are {', '.join(ids)}." if ids else "It has not run yet."
        raise ConfigError(Problem("unknown_run", what, "RUN_ID", remedy)) from error


def latest_run(session: Session, pipeline_name: str) -> RunRecord | None:
    """The run that was started last; None when there is none, or no such pipeline."""
    arns = _latest(session.client("sagemaker"), pipeline_name)
    return _past_run(session, arns[0]) if arns else None


def latest_publish_uri(session: Session, pipeline_name: str) -> str:
    """Where the run that was started last publishes. Raises ConfigError where nothing has run yet."""
    run = latest_run(session, pipeline_name)
    if run is None:
        what = f"pipeline {pipeline_name} has not run yet, so its PublishUri is not known."
        raise ConfigError(Problem("publish_uri", what, "PublishUri", "Give it."))
    return run.parameters["PublishUri"]


def _latest(sagemaker: Any, pipeline_name: str) -> list[str]:
    request = {"PipelineName": pipeline_name, "MaxResults": _NAMED_RUNS}
    listed = answer_or_none(sagemaker.list_pipeline_executions, "ResourceNotFound", **request) or {}
    return [each["PipelineExecutionArn"] for each in listed.get("PipelineExecutionSummaries", ())]


def _past_run(session: Session, arn: str) -> RunRecord:
    sagemaker = session.client("sagemaker")
    execution = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    definition = sagemaker.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)
    parameters = {**defaults_of(json.loads(definition["PipelineDefinition"])), **given_parameters(sagemaker, arn)}
    return RunRecord(arn=arn, status=execution["PipelineExecutionStatus"], parameters=parameters, store=session.store)


def given_parameters(sagemaker: Any, arn: str) -> dict[str, str]:
    listing = pages(sagemaker.list_pipeline_parameters_for_execution, PipelineExecutionArn=arn)
    return {each["Name"]: each["Value"] for page in listing for each in page.get("PipelineParameters", [])}


def contract_of_run(session: Session, run: RunRecord) -> tuple[str, bytes]:
    """Its URI and its bytes; the definition of the execution names it. Raises ObjectMissingError when it is gone."""
    described = session.client("sagemaker").describe_pipeline_definition_for_execution(PipelineExecutionArn=run.arn)
    uri = fixed_inputs(described["PipelineDefinition"])["contract"]
    return uri, session.store.read(uri)
