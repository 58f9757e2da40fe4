"""What a rerun is started with: the earlier run's parameters, other values where wanted, and what is carried over."""

import hashlib
import json
from collections.abc import Iterator, Mapping

from batchcast.pipelines.parameters import check_parameters
from batchcast.runs.run_record import PastRun
from batchcast.steps.arguments import NONE
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.shards.manifest import Manifest
from batchcast.steps.shards.selection import parse_item_ids
from batchcast.steps.store.objects import ObjectStore, join_uri

_RUNNING = ("Executing", "Stopping")


def rerun_of_the_rest(run: PastRun, overrides: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a run that carries over what `run` has good forecasts of, and runs only the rest.

    At most MaxRetryRecords records are each sent alone, so that a bad one takes no other with it.
    Raises ConfigError, before anything starts, when the two runs would not fit together or nothing is left to run.
    """
    manifest, report = run.manifest(), run.report()
    problems = list(_problems(run, manifest, overrides))
    if report is not None and report["published"] and report["counts"]["ok"] == report["counts"]["expected"]:
        what = f"run {run.run_id} has a forecast for each of its {report['counts']['expected']} items."
        problems.append(Problem("nothing_left", what, "RUN_ID", "Name items with --items to run them again."))
    if report is not None and report["mismatches"]:
        what = f"run {run.run_id} has answers in another item's place, first {report['mismatches'][0]}."
        problems.append(Problem("untrusted_run", what, "RUN_ID", "Fix the model server, then start a new run."))
    if problems or manifest is None:
        raise ConfigError(*problems)
    fixed = {"ResumeFrom": run.run_id, "RunDate": manifest.run_date.isoformat()}
    values = check_parameters({**run.parameters, **overrides, **fixed})
    if "RecordsPerShard" not in overrides and run.outstanding() <= values.max_retry_records:
        values = values.model_copy(update={"records_per_shard": 1})
    return values.service_values()


def rerun_of_items(run: PastRun, overrides: Mapping[str, str], items_uri: str) -> dict[str, str]:
    """The parameters of a run of these items alone, of the same date unless another is given.

    Raises ConfigError before anything starts.
    """
    manifest = run.manifest()
    problems = [_set_by_rerun(name) for name in ("ResumeFrom", "ItemsUri") if name in overrides]
    if problems:
        raise ConfigError(*problems)
    same_date = {"RunDate": manifest.run_date.isoformat()} if manifest else {}
    fixed = {"ResumeFrom": NONE, "ItemsUri": items_uri}
    return check_parameters({**run.parameters, **same_date, **overrides, **fixed}).service_values()


def put_items(store: ObjectStore, runs_uri: str, data: bytes, where: str) -> str:
    """Put the item ids of a text or of failed_records.jsonl into the store, once for the same items; the URI.

    Raises ConfigError as `batchcast.steps.shards.selection.parse_item_ids`.
    """
    ids = dict.fromkeys(parse_item_ids(data, where))
    # As JSON, because an id may begin with a brace.
    text = "".join(json.dumps({"item_id": item_id}, ensure_ascii=False) + "\n" for item_id in ids).encode()
    uri = join_uri(runs_uri, "items", f"{hashlib.sha256(text).hexdigest()[:16]}.jsonl")
    store.write(uri, text)
    return uri


def _problems(run: PastRun, manifest: Manifest | None, overrides: Mapping[str, str]) -> Iterator[Problem]:
    if "ResumeFrom" in overrides:
        yield _set_by_rerun("ResumeFrom")
    if run.status in _RUNNING:
        what = f"run {run.run_id} is {run.status}."
        yield Problem("still_running", what, "RUN_ID", "Wait for its end, or stop it.")
    if manifest is None:
        what = f"run {run.run_id} built no shards: there is nothing to carry over."
        yield Problem("no_manifest", what, "RUN_ID", "Start a new run.")
        return
    kept = {
        "RunDate": manifest.run_date.isoformat(),
        "ForecastHorizon": str(manifest.forecast_horizon),
        "RunsUri": run.parameters["RunsUri"],
    }
    for name, value in kept.items():
        if overrides.get(name, value) != value:
            what = f"run {run.run_id} has {value}, and its forecasts are carried over."
            yield Problem("resume_mismatch", what, name, "Leave it out, or start a new run.")


def _set_by_rerun(name: str) -> Problem:
    return Problem("parameter", "is set by rerun itself.", name, "Leave it out.")
