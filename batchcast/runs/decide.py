"""Run ValidateAndPublish here, on what a run has left in the store: outside the pipeline, and without a transform."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from batchcast.steps.container import ContainerPaths
from batchcast.steps.contract.model_contract import CONTRACT_FILE
from batchcast.steps.outcome.approval import Approval
from batchcast.steps.publish_arguments import PublishArguments
from batchcast.steps.store.objects import ObjectStore, join_uri, key_path
from batchcast.steps.validate_and_publish import validate_and_publish


def decide_stored_run(
    store: ObjectStore, arguments: PublishArguments, contract: bytes, *, approval: Approval | None = None
) -> dict[str, Any]:
    """Decide the run on its manifest and outputs; the report, which then lies where a pipeline puts it."""
    base = join_uri(arguments.runs_uri, arguments.run_id)
    with tempfile.TemporaryDirectory(prefix="decide-run-") as folder:
        paths = ContainerPaths(root=Path(folder))
        for name in ("manifest", "output"):
            for stored in store.list(join_uri(base, name) + "/"):
                target = key_path(paths.input(name), stored.uri.removeprefix(join_uri(base, name) + "/"))
                store.download(stored.uri, target)
        for directory in (paths.input("contract"), paths.output("report"), paths.output("retry")):
            directory.mkdir(parents=True)
        (paths.input("contract") / CONTRACT_FILE).write_bytes(contract)
        _, summary = validate_and_publish(arguments, paths, store, approval=approval)
        sys.stderr.write(summary)
        report: dict[str, Any] = json.loads((paths.output("report") / "report.json").read_bytes())
        for path in sorted(paths.output("report").iterdir(), key=lambda path: path.name == "report.json"):
            store.upload(path, join_uri(base, "report", path.name))
    return report
