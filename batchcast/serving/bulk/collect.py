"""From the answers of an asynchronous endpoint to a published run, by the step that a pipeline runs too.

The answers of a shard become the output object that a transform job would have written. A record that was given up
gets an answer with the error the contract file declares, so that the ledger has it as failed and says why.
"""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any

from batchcast.pipelines.parameters import fill_arguments
from batchcast.runs.approve import decide_stored_run
from batchcast.serving.bulk.run import AsyncRun, BulkRecord, RequestTracker, track_requests
from batchcast.steps.arguments import NONE
from batchcast.steps.errors import Problem, ServiceError
from batchcast.steps.publish_arguments import PublishArguments
from batchcast.steps.shards.layout import output_uri
from batchcast.steps.shards.request_text import RequestText
from batchcast.steps.store.objects import ObjectStore

_READERS = 16


def collect_run(
    run: AsyncRun, store: ObjectStore, *, now: float, error_key: str, allow_partial: bool = False
) -> tuple[int, int]:
    """Write the output of every shard whose records all have an answer or were given up; how many shards were written
    now, and how many records were given up.

    `allow_partial` writes the other shards too, without their unanswered records. Raises ServiceError when some
    are unanswered otherwise; what could be written is written then.
    """
    tracker = track_requests(run, run.journal(store).read(), store, now)
    tracker.poll(now)
    known = tracker.answered | tracker.lost
    written, unanswered = 0, 0
    with ThreadPoolExecutor(max_workers=_READERS) as pool:
        for shard, each_record in groupby(run.records, key=attrgetter("shard")):
            records = list(each_record)
            there = [each for each in records if known[each.index]]
            unanswered += len(records) - len(there)
            if len(there) < len(records) and not allow_partial:
                continue
            # Without ids in the lines, each must be in its place.
            there = there if run.manifest.request_text.enveloped else records
            places = [tracker.place(each.index) for each in there]
            lines = pool.map(partial(_line, store, tracker, error_key, run.manifest.request_text), there, places)
            store.write(output_uri(run.runs_uri, run.run_id, 0, shard), b"".join(lines))
            written += 1
    if unanswered and not allow_partial:
        what = f"{unanswered:,} of {len(run.records):,} records have no answer yet."
        remedy = f"Run `async submit --shards {run.run_id}` until it ends, or collect --now what is there."
        raise ServiceError(Problem("unanswered", what, run.run_id, remedy))
    return written, int(tracker.lost.sum())


def decide_run(run: AsyncRun, store: ObjectStore, contract: bytes, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Run ValidateAndPublish on the run's outputs; the report, which then lies where a pipeline puts it.

    `parameters` are those of the run, by the pipeline's names. Nothing is sent once more: that was done already.
    """
    arguments = fill_arguments(
        PublishArguments,
        run_id=run.run_id,
        run_label=run.manifest.run_label,
        round=0,
        runs_uri=run.runs_uri,
        publish_uri=parameters["PublishUri"],
        model_name=parameters.get("ModelName", ""),
        max_failed_records=int(parameters["MaxFailedRecords"]),
        max_failed_percent=float(parameters["MaxFailedPercent"]),
        systemic_failure_percent=float(parameters["SystemicFailurePercent"]),
        max_retry_records=0,
        resume_from=run.manifest.resume_from or NONE,
    )
    return decide_stored_run(store, arguments, contract)


def _line(
    store: ObjectStore,
    tracker: RequestTracker,
    error_key: str,
    text: RequestText,
    record: BulkRecord,
    place: str | None,
) -> bytes:
    """A line of the output object: the answer's own text, as the transform's join has it."""
    if tracker.answered[record.index]:
        answer = _one_line(store.read(str(place)), error_key)
    else:
        said = (
            store.read(place).decode("utf-8", "replace") if place else "it expired in the queue or was never finished"
        )
        answer = _error(f"no answer in {tracker.attempts[record.index]} attempts: {said}", error_key)
    if not text.enveloped:
        return answer + b"\n"
    identity = json.dumps(record.item_id, ensure_ascii=False).encode()
    return b'{"SageMakerOutput":' + answer + b',"item_id":' + identity + b"}\n"


def _one_line(body: bytes, error_key: str) -> bytes:
    try:
        document = json.loads(body)
    except ValueError as error:
        return _error(f"the answer is not JSON: {error}", error_key)
    text = body.strip()
    return text if b"\n" not in text else json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _error(what: str, error_key: str) -> bytes:
    return json.dumps({error_key: what}, ensure_ascii=False).encode()
