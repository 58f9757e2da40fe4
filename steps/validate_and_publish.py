"""The step ValidateAndPublish: account for every item of the run, decide, and publish or say why not.

It never asks how the transform job ended. A run that is held ends with an error, and so does its execution: the
service supports no condition inside another one, and one is needed for the retry round.
"""

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import pyarrow as pa

from batchcast.steps.answers.item_arrays import arrays_in, at_once, kept_table
from batchcast.steps.answers.item_names import ItemNames
from batchcast.steps.arguments import value_given
from batchcast.steps.checks.flags import Flag
from batchcast.steps.checks.forecast_checks import CheckedForecasts, check_forecasts
from batchcast.steps.checks.scorecard import scorecard, scored_runs, worse_than_naive
from batchcast.steps.container import ContainerPaths, scratch_directory
from batchcast.steps.contract.checks import flag_words
from batchcast.steps.contract.model_contract import CONTRACT_FILE, read_contract
from batchcast.steps.errors import DataError, Problem
from batchcast.steps.history.disk_space import check_array_space
from batchcast.steps.outcome.approval import Approval
from batchcast.steps.outcome.baseline_arrays import arrange
from batchcast.steps.outcome.comparison import Array, Comparison, score
from batchcast.steps.outcome.data_log import FailedRequest, explain_rows, failed_requests
from batchcast.steps.outcome.decision import Decision, decide, held_error
from batchcast.steps.outcome.input_records import write_failed_records, write_retry_shards
from batchcast.steps.outcome.last_run import read_last_run
from batchcast.steps.outcome.ledger import write_ledger
from batchcast.steps.outcome.quantile_scores import score_quantiles
from batchcast.steps.outcome.reconcile import Reconciliation, check_records, retry_groups
from batchcast.steps.publish.forecast_table import merged_words
from batchcast.steps.publish.lock import end_lock
from batchcast.steps.publish.publication import Publication
from batchcast.steps.publish.stored_json import to_json
from batchcast.steps.publish_arguments import PublishArguments, parse_publish_arguments
from batchcast.steps.read_outputs import Outputs, find_outputs, output_readers, reconcile_outputs
from batchcast.steps.reading_note import keep_reading_note
from batchcast.steps.report.document import published_report, report
from batchcast.steps.report.page import draw_items, report_page
from batchcast.steps.report.page_items import PageItems
from batchcast.steps.run_publication import PublishRun, merged_rows, publish_run
from batchcast.steps.shards.layout import retry_members
from batchcast.steps.shards.manifest import RECORDS_SCHEMA, count_baseline, read_manifest, stream_records
from batchcast.steps.store.environment import open_store
from batchcast.steps.store.job_logs import read_data_logs
from batchcast.steps.store.objects import ObjectStore, join_uri, write_file

ReadLogs = Callable[[], list[str] | None]
"""Reads what the service wrote about the run's requests; None where that cannot be read."""

_RECORDS = ("item_id", "shard", "line", "position", "bytes", "quarantine_reason", "quarantine_detail", "carried")
REPORT_FILE = "report.json"
HIDDEN_FILE = "not_visible.json"
"""Is there only for a run that is published and not what readers see: the account's rule tells people of it."""


def main(argv: Sequence[str], environ: Mapping[str, str]) -> None:
    """Run the step in its container. Raises CoverageError for a run that is held, after its reports are stored."""
    arguments, paths = parse_publish_arguments(argv), ContainerPaths.from_environment(environ)
    store = open_store(environ)
    processes = len(os.sched_getaffinity(0))
    decision, summary = validate_and_publish(
        arguments, paths, store, lambda: read_data_logs(environ, arguments.run_id), processes=processes
    )
    sys.stdout.write(summary)
    if decision.outcome == "HELD":
        _store_reports(arguments, paths, store)
        raise held_error(decision.cause, decision.cause_kind)
    # What a state machine reads in place of the report, and fails without; a run that was published has not failed.
    with suppress(OSError):
        write_file(paths.message, decision.outcome.encode())


def validate_and_publish(
    arguments: PublishArguments,
    paths: ContainerPaths,
    store: ObjectStore,
    read_logs: ReadLogs = lambda: None,
    *,
    approval: Approval | None = None,
    processes: int = 1,
) -> tuple[Decision, str]:
    """The whole step but its end; what was decided, and that in a line of text.

    With an approval nothing that only looks wrong holds the run. More than one of `processes` begin as this one did:
    they are for a step that is a process of its own.
    Raises DataError or ConfigError when the manifest or the contract file is broken.

    Gives back the lock of the publish prefix unless another round follows.
    """
    try:
        with keep_reading_note(paths.message), scratch_directory(paths) as scratch, arrays_in(scratch):
            outputs = find_outputs(paths.input("output"))
            with output_readers(outputs, processes, scratch) as readers:
                run = _open(arguments, paths, store, approval=approval, scratch=scratch)
                found = reconcile_outputs(run, outputs, readers)
            decision, summary = _decide_and_publish(run, outputs, found, read_logs)
    except Exception:
        end_lock(store, arguments.publish_uri, arguments.run_id)
        raise
    if decision.outcome != "RETRY":
        end_lock(store, arguments.publish_uri, arguments.run_id)
    return decision, summary


def _decide_and_publish(
    run: PublishRun, outputs: Outputs, found: Reconciliation, read_logs: ReadLogs
) -> tuple[Decision, str]:
    """Publish the run if it may be, and write its reports; what was decided."""
    arguments, paths, store = run.arguments, run.paths, run.store
    lines = read_logs() if found.silent else None
    requests = None if lines is None else failed_requests(lines)
    _explain(run, found, requests or {})
    targets, item_ids = run.expected.targets, run.records["item_id"]
    points = _points(found.values, run.expected.points)
    days, season = len(run.expected.dates), run.manifest.season
    compared = arrange(paths.input("manifest"), item_ids, targets, days, season)
    run = dataclasses.replace(run, scores=run.score_before(compared))
    earlier = scored_runs(store, arguments.publish_uri, run.last_run, run.manifest.run_date)
    weeks = [(each.run_date, each.manifest["scores"]) for each in earlier]
    card = scorecard([(run.manifest.run_date, run.scores), *weeks])
    checked = _check(run, found, points, outputs, compared, card)
    wrong = [] if run.approval else [f"{flag.item_id} {flag.detail}".strip() for flag in checked.holding]
    findings = found.findings(wrong, None if requests is None else requests.values())
    shared_files = not run.manifest.request_text.by_object
    decision = decide(dataclasses.replace(findings, shared_files=shared_files), arguments)
    if decision.outcome == "RETRY":
        groups = retry_groups(found.retry, arguments.max_retry_records, run.manifest.request_text)
        write_retry_shards(
            store, arguments.runs_uri, found.ledger.others, groups, paths.output("retry"), run.sent(found.ledger)
        )
    summary = report(
        run.manifest,
        found,
        decision,
        checked.flags,
        approval=run.approval,
        arguments=arguments,
        score=_score(run, found, points, compared),
        card=card,
    )
    measure = partial(PageItems.of, run.expected, ItemNames(item_ids), found.values, compared, checked.last)
    publication = _publish_and_report(run, found, decision, checked, summary, measure)
    return decision, _summary(decision, found, publication, checked.flags)


def _publish_and_report(
    run: PublishRun,
    found: Reconciliation,
    decision: Decision,
    checked: CheckedForecasts,
    summary: Mapping[str, Any],
    measure: Callable[[], PageItems],
) -> Publication | None:
    """Publish the run if it may be, while what does not ask how that went is drawn and written."""
    ledger, folder = found.ledger, run.paths.output("report")

    def draw() -> str:
        return draw_items(summary, ledger.others, checked.flags, run.expected, measure())

    folder.mkdir(parents=True, exist_ok=True)
    parts: list[Callable[[], Any]] = [
        draw,
        partial(write_ledger, ledger, folder / "ledger.parquet"),
    ]
    published = decision.outcome in ("COMPLETE", "COMPLETE_WITH_QUARANTINE")
    if published:
        parts.insert(0, partial(publish_run, run, found, decision, checked))
    *done, drawn, _ = at_once(lambda part: part(), parts)
    publication, carried_forward = done[0] if published else (None, 0)
    if publication:
        summary = published_report(summary, publication, carried_forward)
    _write_reports(run, found, summary, report_page(summary, drawn))
    return publication


def _points(values: Array, places: Sequence[int]) -> Array:
    """The columns at these places; a view where one stands for each column, or there is one."""
    whole = list(places) == list(range(values.shape[2]))
    if whole or len(places) == 1:
        return values if whole else values[:, :, places[0] : places[0] + 1]
    return values[:, :, list(places)]


def _score(run: PublishRun, found: Reconciliation, points: Array, compared: Comparison) -> dict[str, Any] | None:
    """The errors of points and quantiles against the actual values that are known by now; None without any."""
    targets = run.expected.targets
    scored = score(points, compared, targets)
    if scored is None:
        return None
    return scored | {"quantiles": score_quantiles(found.values, compared.actual, run.contract.outputs, targets)}


def _open(arguments: PublishArguments, paths: ContainerPaths, store: ObjectStore, **given: Any) -> PublishRun:
    manifest = read_manifest(paths.input("manifest"))
    schema = pa.schema([RECORDS_SCHEMA.field(name) for name in _RECORDS])
    records = kept_table(stream_records(paths.input("manifest"), _RECORDS), schema, "item_id")
    contract = read_contract(paths.input("contract") / CONTRACT_FILE)
    if manifest.run_id != arguments.run_id:
        what = f"it is the manifest of run {manifest.run_id}, and this is run {arguments.run_id}."
        raise DataError(Problem("manifest_mismatch", what, remedy="Build the run again."))
    if manifest.resume_from != value_given(arguments.resume_from):
        what = f"it was built with ResumeFrom {manifest.resume_from}, and this is {arguments.resume_from}."
        raise DataError(Problem("manifest_mismatch", what, remedy="Build the run again."))
    if manifest.contract_sha256 != contract.sha256:
        what = "the contract file is not the one the records were built with."
        raise DataError(Problem("contract_changed", what, remedy="Deploy once, then start a new execution."))
    check_records(manifest, records)
    given |= {"manifest": manifest, "records": records, "contract": contract, "expected": manifest.expected(contract)}
    last_run = read_last_run(store, arguments.publish_uri, manifest.run_id, manifest.run_date)
    run = PublishRun(arguments=arguments, paths=paths, store=store, last_run=last_run, **given)
    steps = -(-count_baseline(paths.input("manifest")) // max(1, len(records) * len(run.expected.targets)))
    check_array_space(len(records), steps, run.expected, run.scratch, merged_rows(run))
    return run


def _explain(run: PublishRun, found: Reconciliation, requests: Mapping[str, FailedRequest]) -> None:
    """Let the ledger say what the jobs' logs say of the records that have no answer."""
    records = {shard.name: shard.records for shard in run.manifest.shards}
    again = (row.shard for row in found.ledger.odd if row.round and row.shard)
    explain_rows(found.ledger, requests, records | {shard: (retry_members(shard) or (0, 1))[1] for shard in again})


def _check(
    run: PublishRun,
    found: Reconciliation,
    points: Array,
    outputs: Outputs,
    compared: Comparison,
    card: Mapping[str, Any],
) -> CheckedForecasts:
    item_ids, last_run = run.records["item_id"], run.last_run
    known = {(0, f"{shard.name}.out") for shard in run.manifest.shards}
    known |= {(row.round, f"{row.shard}.out") for row in found.ledger.odd if row.round == 1}
    unexpected = [
        Flag(kind="unexpected_output", item_id="", detail=f"output/r{number}/{name}")
        for number, name in sorted(set(outputs) - known)
    ]
    fewer = []
    if last_run is not None and not run.has_chosen_items and run.covers_less:
        detail = f"{len(item_ids)} items, against {last_run.items} of run {last_run.run_id}"
        fewer = [Flag(kind="fewer_items", item_id="", detail=detail)]
    points_columns = [run.expected.columns[place] for place in run.expected.points]
    return check_forecasts(
        run.store,
        run.arguments.publish_uri,
        last_run,
        run_date=run.manifest.run_date,
        dates=run.expected.dates,
        item_ids=item_ids,
        values=points,
        compared=compared,
        columns=dict(zip(run.expected.targets, points_columns, strict=True)),
        checks=run.contract.checks,
        chosen=run.has_chosen_items,
        others=[*unexpected, *fewer, *(worse_than_naive(card) if run.scores else ())],
    )


def _summary(decision: Decision, found: Reconciliation, publication: Publication | None, flags: Sequence[Flag]) -> str:
    """One line; a held run's begins with the cause, because a log shows the first words of it."""
    tally = found.tally
    if decision.outcome == "HELD":
        return f"HELD: {decision.cause}\n"
    counts = f"{tally.expected} items = {tally.ok} ok + {tally.quarantined} quarantined"
    what = f"{decision.outcome}: {counts} + {tally.failed} failed + {tally.missing} missing"
    if publication is None:
        return f"{what}; {len(found.retry)} records are sent once more\n"
    items = len({flag.item_id for flag in flags if flag.item_id})
    words = flag_words([flag.kind for flag in flags if not flag.item_id], items)
    warning = f"; WARNING: {words}" if words else ""
    merged = f"; {merged_words(publication.merged)}" if publication.merged else ""
    return f"{what}{merged}{warning}; published at {publication.uri}; {publication.pointer_note}\n"


def _write_reports(run: PublishRun, found: Reconciliation, summary: Mapping[str, Any], page: str) -> None:
    """The reports, `report.json` last: what it sums up is there when it is."""
    directory = run.paths.output("report")
    write_failed_records(
        run.store, run.arguments.runs_uri, found.ledger.odd, directory / "failed_records.jsonl", run.sent(found.ledger)
    )
    files = {"report.html": page.encode(), REPORT_FILE: to_json(summary)}
    if summary["published"] and not summary["pointer_moved"]:
        files = {HIDDEN_FILE: to_json({"run_id": summary["run_id"], "why": summary["pointer_note"]}), **files}
    for name, data in files.items():
        write_file(directory / name, data)


def _store_reports(arguments: PublishArguments, paths: ContainerPaths, store: ObjectStore) -> None:
    """Put the reports where the service puts them, which it does not promise for a job that failed."""
    target = join_uri(arguments.runs_uri, arguments.run_id, "report")
    for path in sorted(paths.output("report").iterdir(), key=lambda path: path.name == REPORT_FILE):
        store.upload(path, join_uri(target, path.name))
