"""The submitter or the collector of a run as a process of its own, to be killed: `bulk_process.py ROOT submit|collect`.

Its endpoint is a directory: a request is a file in ROOT/queue, which whoever plays the endpoint answers.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from emulated_endpoint import settings
from sample_run import CONTRACT as CONTRACT_TEXT
from sample_run import PUBLISH, RUNS

from batchcast.serving.bulk.collect import collect_run, decide_run
from batchcast.serving.bulk.run import open_async_run
from batchcast.serving.bulk.submit import SubmitPace, submit_run
from batchcast.steps.store.objects import DirectoryStore, join_uri

SECONDS_A_REQUEST, SECONDS_A_WRITE = 0.004, 0.02
PARAMETERS = {
    "PublishUri": PUBLISH,
    "MaxFailedRecords": "0",
    "MaxFailedPercent": "0.0",
    "SystemicFailurePercent": "60.0",
}


class QueueClient:
    """`sagemaker` and `sagemaker-runtime` of an account with one endpoint of one instance."""

    def __init__(self, root: Path) -> None:
        self._queue = root / "queue"

    def describe_endpoint(self, **_: str) -> dict[str, Any]:
        return {"ProductionVariants": [{"CurrentInstanceCount": 1}]}

    def invoke_endpoint_async(self, **request: Any) -> dict[str, str]:
        time.sleep(SECONDS_A_REQUEST)
        name = join_uri(request["S3OutputPathExtension"], request["Filename"])
        places = {f"{kind}Location": f"s3://bucket/async/{kind}/{name}" for kind in ("Output", "Failure")}
        partial = self._queue.parent / f"{uuid.uuid4().hex}.partial"
        partial.write_text(json.dumps({"body": request["Body"].decode(), "id": request["InferenceId"], **places}))
        partial.rename(self._queue / f"{uuid.uuid4().hex}.json")
        return places


class SlowStore(DirectoryStore):
    """So that there is time to kill whoever writes."""

    def write(self, uri: str, data: bytes) -> None:
        time.sleep(SECONDS_A_WRITE)
        super().write(uri, data)


def main(root: Path, what: str, run_id: str) -> None:
    store = SlowStore(root / "s3")
    run = open_async_run(store, RUNS, run_id)
    if what == "submit":
        client = QueueClient(root)
        pace = SubmitPace(seconds=0.5, senders=2)
        ended = submit_run(
            run, settings(max_instances=2), pace, lambda _: client, store, sleep=lambda _: time.sleep(0.02)
        )
        assert (ended.answered, ended.failed, ended.in_flight) == (len(run.records), 0, 0), ended
    else:
        collect_run(run, store, now=time.time(), error_key="error")
        decide_run(run, store, CONTRACT_TEXT.encode(), PARAMETERS)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
