"""Runs of what was before: a rerun, with the earlier run's parameters and what is carried over, and a backfill.

A backfill is of past dates, one after the other, each published under its own date.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from batchcast.pipelines.parameters import check_parameters
from batchcast.runs.published import PublishedRun, list_published
from batchcast.runs.run_record import RunRecord
from batchcast.session.session import Session
from batchcast.steps.arguments import NONE
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.publish.publication import read_publication
from batchcast.steps.shards.manifest import Manifest
from batchcast.steps.shards.selection import parse_item_ids
from batchcast.steps.store.objects import ObjectStore, join_uri

_RUNNING = ("Executing", "Stopping")


def rerun_of_the_rest(run: RunRecord, overrides: Mapping[str, str]) -> dict[str, str]:
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


def rerun_of_items(run: RunRecord, overrides: Mapping[str, str], items_uri: str) -> dict[str, str]:
    """The parameters of a run of these items alone, of the same date unless another is given. Raises ConfigError before
    anything starts."""
    manifest = run.manifest()
    ConfigError.raise_any([_set_by_rerun(name) for name in ("ResumeFrom", "ItemsUri") if name in overrides])
    same_date = {"RunDate": manifest.run_date.isoformat()} if manifest else {}
    fixed = {"ResumeFrom": NONE, "ItemsUri": items_uri}
    return check_parameters({**run.parameters, **same_date, **overrides, **fixed}).service_values()


def put_items(store: ObjectStore, runs_uri: str, data: bytes, where: str) -> str:
    """Put the item ids of a text or of failed_records.jsonl into the store, once for the same items; the URI. Raises
    ConfigError as `batchcast.steps.shards.selection.parse_item_ids`."""
    ids = dict.fromkeys(parse_item_ids(data, where))
    # As JSON, because an id may begin with a brace.
    text = "".join(json.dumps({"item_id": item_id}, ensure_ascii=False) + "\n" for item_id in ids).encode()
    uri = join_uri(runs_uri, "items", f"{hashlib.sha256(text).hexdigest()[:16]}.jsonl")
    store.write(uri, text)
    return uri


def _problems(run: RunRecord, manifest: Manifest | None, overrides: Mapping[str, str]) -> Iterator[Problem]:
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


Attend = Callable[[Mapping[str, str]], tuple[dict[str, Any], int]]
"""Runs one execution with these parameters to its end; the result's document and the exit code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfilledDate:
    """What became of one run date. `wape` is None where the history has no actual values after it.

    `skipped` when the date was published before; `exit_code` is that of the run.
    """

    run_date: date
    run_id: str
    outcome: str
    expected: int | None = None
    ok: int | None
    wape: float | None = None
    skipped: bool = False
    exit_code: int = 0


def backfill_dates(first: date, last: date, every_days: int) -> list[date]:
    """The run dates from `first` to at most `last`. Raises ConfigError when there is none."""
    if first > last:
        what = f"{first} is after {last}."
        raise ConfigError(Problem("dates", what, "--from", "Give the earlier date first."))
    days = range(0, (last - first).days + 1, every_days)
    return [first + timedelta(days=day) for day in days]


def backfill_parameters(values: Mapping[str, str], run_date: date) -> dict[str, str]:
    """The parameters of the run of one date. Raises ConfigError with all problems, and for a RunDate among `values`."""
    if "RunDate" in values:
        raise ConfigError(Problem("parameter", "is set by backfill itself.", "RunDate", "Give --from and --to."))
    label = {"RunLabel": f"backfill-{run_date}"} if "RunLabel" not in values else {}
    return check_parameters({**values, **label, "RunDate": run_date.isoformat()}).service_values()


def backfill(
    session: Session, dates: list[date], values: Mapping[str, str], attend: Attend
) -> Iterator[BackfilledDate]:
    """Run each date in order, but for those that are published already; each as soon as it has ended.

    A date that is held does not keep the later ones from running. The pointer stays at the latest run date, as it
    does in any run.
    """
    parameters = {run_date: backfill_parameters(values, run_date) for run_date in dates}
    for run_date in dates:
        there = _published(session.store, parameters[run_date])
        if there is not None:
            yield BackfilledDate(
                run_date=there.run_date, run_id=there.run_id, outcome=there.outcome, ok=there.items, skipped=True
            )
        else:
            document, exit_code = attend(parameters[run_date])
            yield _ended(run_date, document, exit_code)


def _published(store: ObjectStore, values: Mapping[str, str]) -> PublishedRun | None:
    """A publication of that run date, for as many days and of the same items."""
    publish_uri = values["PublishUri"]
    for run in list_published(publish_uri, store=store):
        if run.run_date.isoformat() == values["RunDate"]:
            built = read_publication(store, publish_uri, run.run_date, run.run_id)["parameters"]
            if [str(built["forecast_horizon"]), built["items_uri"]] == [values["ForecastHorizon"], values["ItemsUri"]]:
                return run
    return None


def _ended(run_date: date, document: Mapping[str, Any], exit_code: int) -> BackfilledDate:
    counts, score = document["counts"] or {}, document["score"]
    return BackfilledDate(
        run_date=run_date,
        run_id=document["run_id"],
        outcome=document["outcome"] or document["execution"]["status"],
        expected=counts.get("expected"),
        ok=counts.get("ok"),
        wape=score and score["wape_model"],
        exit_code=exit_code,
    )
