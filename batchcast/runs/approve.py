"""Release a run that is held because its forecasts look wrong, or close it for good.

ValidateAndPublish then runs here, on what the run has left in the store: outside the pipeline, and without a transform.
"""

import dataclasses
import getpass
import json
import sys
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from batchcast.runs.run_record import RunRecord
from batchcast.session.session import Session, WorkspaceSession
from batchcast.steps.container import ContainerPaths
from batchcast.steps.contract.model_contract import CONTRACT_FILE
from batchcast.steps.errors import ConfigError, DataError, Problem
from batchcast.steps.outcome.approval import Approval
from batchcast.steps.outcome.decision import held_error
from batchcast.steps.publish.lock import locked
from batchcast.steps.publish.stored_json import to_json
from batchcast.steps.publish_arguments import PublishArguments
from batchcast.steps.report.page import page_of_rejected
from batchcast.steps.store.objects import ConflictError, ObjectStore, join_uri, key_path
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


def approve_run(run: RunRecord, contract: bytes, approval: Approval, now: datetime) -> dict[str, Any]:
    """Publish the forecasts of a held run as they are; its new report.

    Nothing is transformed, and every record is accounted for again. The first approval of a run is the one that counts:
    a second call, after one that was killed, publishes under it. Raises ConfigError for a run that is not held for how
    its forecasts look, CoverageError when it is held for something else by now, ServiceError while another run works.
    """
    report = _held_report(run)
    arguments = _arguments(report)
    first = _first_approval(run.store, arguments, approval)
    # The step gives the lock back.
    with locked(run.store, arguments.publish_uri, run_id=run.run_id, run_label=arguments.run_label, now=now):
        found = decide_stored_run(run.store, arguments, contract, approval=first)
    if found["outcome"] == "HELD":
        raise held_error(found["cause"], found["cause_kind"])
    return found


def reject_run(run: RunRecord, *, by: str, at: str, reason: str) -> dict[str, Any]:
    """Close a held run: it cannot be approved any more; its new report. Raises ConfigError as `approve_run`."""
    report = _held_report(run)
    report["rejected"] = {"by": by, "at": at, "reason": reason}
    folder = join_uri(_arguments(report).runs_uri, run.run_id, "report")
    page = join_uri(folder, "report.html")
    if run.store.exists(page):
        run.store.write(page, page_of_rejected(run.store.read(page).decode(), report["rejected"]).encode())
    run.store.write(join_uri(folder, "report.json"), to_json(report))
    return report


def decider(session: Session) -> str:
    """Who decides: the caller's ARN on AWS, the account of this machine in a workspace."""
    if isinstance(session, WorkspaceSession):
        return getpass.getuser()
    return str(session.client("sts").get_caller_identity()["Arn"])


def _held_report(run: RunRecord) -> dict[str, Any]:
    report = run.report()
    if report is None:
        what = f"run {run.run_id} has no report: it came to no decision."
        raise ConfigError(Problem("not_held", what, "RUN_ID", "`status` says how it ended."))
    if rejected := report.get("rejected"):
        what = f"run {run.run_id} was rejected by {rejected['by']} at {rejected['at']}: {rejected['reason']}."
        raise ConfigError(Problem("rejected", what, "RUN_ID", "Start a new run."))
    if report["outcome"] != "HELD":
        what = f"run {run.run_id} is {report['outcome']}, not held."
        raise ConfigError(Problem("not_held", what, "RUN_ID", "There is nothing to approve or reject."))
    if report["cause_kind"] != "forecasts":
        what = f"run {run.run_id} is not held for how its forecasts look: {report['cause']}"
        raise ConfigError(Problem("not_approvable", what, "RUN_ID", "Correct that, then `rerun` the run."))
    return report


def _arguments(report: Mapping[str, Any]) -> PublishArguments:
    names = [field.name for field in dataclasses.fields(PublishArguments)]
    given = {"model_name": "", **report["parameters"]}  # which reports before 0.2.0 have not
    if missing := [name for name in names if name not in given]:
        what = f"does not say what the step was run with: {', '.join(missing)} are missing from its parameters."
        raise DataError(Problem("report", what, "report.json", "`rerun` the run: its records are accounted for anew."))
    return PublishArguments(**{name: given[name] for name in names})


def _first_approval(store: ObjectStore, arguments: PublishArguments, approval: Approval) -> Approval:
    uri = join_uri(arguments.runs_uri, arguments.run_id, "report", "approval.json")
    try:
        store.put_if(uri, to_json(dataclasses.asdict(approval)), None)
    except ConflictError:
        return Approval(**json.loads(store.read(uri)))
    return approval
