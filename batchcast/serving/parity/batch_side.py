"""The batch side of a parity check: a run that is there, or a transform job on this machine."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from batchcast.engine.limits import DEFAULT_PAYLOAD_IN_MB, MAX_PAYLOAD_IN_MB, SMALLEST_MB_BYTES
from batchcast.engine.server.model_server import ModelCommand
from batchcast.local.sample import evenly_spread
from batchcast.pipelines.definition import with_request
from batchcast.serving.parity.sample import SampledRecord
from batchcast.serving.realtime import RealTimeAnswer, ask_model
from batchcast.session.session import WorkspaceSession, finished_transform_job
from batchcast.session.workspace_models import declare_model
from batchcast.steps.contract.answer import AnswerError, pick_answer
from batchcast.steps.contract.model_contract import CONTRACT_FILE, ModelContract, parse_contract
from batchcast.steps.contract.request import PLAIN_REQUEST, Request
from batchcast.steps.errors import ConfigError, DataError, ModelError, Problem
from batchcast.steps.outcome.answer_types import decode_stored_answer
from batchcast.steps.outcome.shard_output import Document, read_documents
from batchcast.steps.shards.layout import output_uri, shard_uri
from batchcast.steps.shards.manifest import Manifest, read_stored_run
from batchcast.steps.shards.request_text import PLAIN_TEXT
from batchcast.steps.shards.sent_records import SentRecords
from batchcast.steps.store.objects import ObjectMissingError, ObjectStore, join_uri

_MODEL, _JOB = "parity", "parity"
# Shards that are read in whole to find the extreme records among: the first, the last and some between.
_SHARDS_READ = 8
_PLACE = ("item_id", "line", "position")


def records_of_run(store: ObjectStore, runs_uri: str, run_id: str) -> list[tuple[str, bytes]]:
    """Records of some of the run's shards, evenly spread over it: its item's id, and what the model gets for it alone.
    Raises ConfigError for a run without shards."""
    manifest, table = _run(store, runs_uri, run_id)
    sent = SentRecords.of(manifest, table)
    found = sent.read(table, lambda shard: store.read(shard_uri(runs_uri, run_id, 0, shard)))
    return [(one.item_id, one.body) for one in found]


def answers_of_run(store: ObjectStore, runs_uri: str, run_id: str) -> dict[str, bytes | None]:
    """The answers of those shards' records, by item id."""
    _, table = _run(store, runs_uri, run_id)
    contract = parse_contract(store.read(join_uri(runs_uri, run_id, "manifest", CONTRACT_FILE)))
    answers: dict[str, bytes | None] = {}
    for shard in sorted(set(table["shard"].to_pylist())):
        try:
            documents = _whole_documents(store.read(output_uri(runs_uri, run_id, 0, shard)), contract.request)
        except ObjectMissingError:
            continue
        own = table.filter(pc.equal(table["shard"], shard))
        for item_id, line, position in zip(*(own[name].to_pylist() for name in _PLACE), strict=True):
            found = [each for each in documents if item_id in each.item_ids] or documents[line : line + 1]
            for answer in [document.answer for document in found[:1]]:
                several = contract.request.several
                own_part = pick_answer(answer, contract.outputs, position or 0, item_id) if several else answer
                answers[item_id] = _as_json(own_part)
    return answers


def answer_alone(answer: RealTimeAnswer, contract: ModelContract | None) -> RealTimeAnswer:
    """What an endpoint said to a request of one series, as JSON, without what stands around it where a run sends
    several."""
    plain = contract is None or (not contract.request.several and contract.request.accept == PLAIN_REQUEST.accept)
    if plain or contract is None or not answer.good:
        return answer
    try:
        document = decode_stored_answer(answer.body, contract.request)
        own = pick_answer(document, contract.outputs, 0, "") if contract.request.several else document
    except (ValueError, AnswerError):
        return answer
    return replace(answer, body=_as_json(own))


def _as_json(answer: object) -> bytes:
    """Days of a table as text, as JSON has them."""
    return json.dumps(answer, default=str).encode()


def answers_by_job(command: str, sample: Sequence[SampledRecord], *, concurrency: int) -> dict[str, bytes | None]:
    """What a transform job with the pipeline's settings makes of the records: the server that `command` starts is told
    that it works in a batch, and several records are in flight. Raises ModelError when the job fails.
    """
    with tempfile.TemporaryDirectory(prefix="parity-") as folder:
        declare_model(Path(folder), _MODEL, ModelCommand(command=command))
        session = WorkspaceSession(Path(folder))
        lines = [PLAIN_TEXT.request([one.item_id], [one.body]) + b"\n" for one in sample]
        session.store.write("s3://parity/input/part-00000.jsonl", b"".join(lines))
        job = finished_transform_job(session, _job(max(len(record.body) for record in sample), concurrency))
        if job["TransformJobStatus"] != "Completed":
            what = f"the transform job ended {job['TransformJobStatus']}: {job.get('FailureReason', '')}"
            remedy = "Run `check-container` with this command."
            raise ModelError(Problem("batch_side", f"{what.rstrip('.')}.", command, remedy))
        documents = _whole_documents(session.store.read("s3://parity/output/part-00000.jsonl.out"), PLAIN_REQUEST)
        return {document.item_ids[0]: json.dumps(document.answer).encode() for document in documents}


def answers_outside_batch(command: str, sample: Sequence[SampledRecord]) -> dict[str, bytes | None]:
    """What the server that `command` starts says when nothing tells it that it works in a batch."""
    answers = ask_model(ModelCommand(command=command), [record.body for record in sample], concurrency=1)
    return {record.item_id: answer.body for record, answer in zip(sample, answers, strict=True)}


def _job(longest: int, concurrency: int) -> dict[str, Any]:
    megabytes = max(DEFAULT_PAYLOAD_IN_MB, -(-longest * 105 // 100 // SMALLEST_MB_BYTES))
    job = {
        "TransformJobName": _JOB,
        "ModelName": _MODEL,
        "MaxConcurrentTransforms": min(concurrency, MAX_PAYLOAD_IN_MB // megabytes),
        "MaxPayloadInMB": megabytes,
        "ModelClientConfig": {"InvocationsMaxRetries": 0},
        "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://parity/input/"}}},
        "TransformOutput": {"S3OutputPath": "s3://parity/output"},
        "TransformResources": {"InstanceType": "ml.m5.4xlarge", "InstanceCount": 1},
    }
    return with_request(job)


def _whole_documents(data: bytes, request: Request) -> list[Document]:
    documents = read_documents(data, request)
    broken = [document for document in documents if document.problem]
    if broken:
        what = f"line {broken[0].line} of the output is {broken[0].problem}."
        raise DataError(Problem("batch_side", what, remedy="Look into the run's report first."))
    return documents


def _run(store: ObjectStore, runs_uri: str, run_id: str) -> tuple[Manifest, pa.Table]:
    """The run's manifest, and of its records those in some of its shards."""
    try:
        manifest, table = read_stored_run(store, runs_uri, run_id)
    except ObjectMissingError as error:
        what = f"run {run_id} has no shards."
        raise ConfigError(Problem("unknown_run", what, "--against", "Name a run whose shards were built.")) from error
    names = [each.name for each in evenly_spread(manifest.shards, _SHARDS_READ)]
    return manifest, table.filter(pc.is_in(table["shard"], pa.array(names, pa.string())))
