"""The step ValidateAndPublish: account for every item of the run, decide, and publish or say why not.

It never asks how the transform job ended. It exits 0 whenever it could come to a decision: what the pipeline does
next is up to the Condition that reads `report.json`.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from steps.answer import Expected
from steps.carried import read_carried
from steps.comparison import arrange, score
from steps.container import ContainerPaths
from steps.decision import Decision, Tolerance, decide
from steps.errors import DataError, Problem
from steps.flags import Flag, find_flags
from steps.forecast_table import forecast_table
from steps.last_run import LastRun, forecasts_of, levels_of, read_last_run
from steps.ledger import write_ledger
from steps.manifest import Manifest, read_baseline, read_manifest, read_records
from steps.object_store import ObjectStore, open_store, whole_file
from steps.payload import Payload
from steps.payload_file import read_payload
from steps.publish import Publication, publish, to_json
from steps.reconcile import CarriedAnswer, Reconciliation, check_records, reconcile
from steps.report import report
from steps.report_page import report_page
from steps.sent_records import write_failed_records, write_retry_shards

__all__ = ["main", "parse_arguments", "validate_and_publish"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the step works on: its arguments, what the build promised, and where to read and write."""

    arguments: argparse.Namespace
    paths: ContainerPaths
    store: ObjectStore
    manifest: Manifest
    records: pa.Table
    payload: Payload
    expected: Expected


def main(argv: Sequence[str], environ: Mapping[str, str]) -> None:
    """Run the step in its container."""
    validate_and_publish(parse_arguments(argv), ContainerPaths.from_environment(environ), open_store(environ))


def validate_and_publish(arguments: argparse.Namespace, paths: ContainerPaths, store: ObjectStore) -> None:
    """The whole step. Raises DataError or ConfigError when the manifest or the payload file is broken."""
    run = _open(arguments, paths, store)
    outputs = _outputs(run.paths.input("output"))
    found = _reconcile(run, outputs)
    last_run = read_last_run(
        run.store, run.arguments.publish_uri, run.manifest.run_id, run.manifest.run_date, run.expected.targets
    )
    compared = arrange(
        read_baseline(run.paths.input("manifest")),
        run.records["item_id"],
        run.expected.targets,
        len(run.expected.dates),
    )
    levels = levels_of(run.store, last_run, run.records["item_id"], run.expected.targets)
    item_ids = run.records["item_id"].to_pylist()
    flags = [
        *_unexpected(run, found, outputs),
        *find_flags(item_ids, found.values, compared, levels, run.expected.targets),
    ]
    decision = decide(found.findings(len(flags)), _tolerance(run))
    _log.info("%s %s", decision.outcome, decision.cause or found.tally)
    publication, carried_forward = None, 0
    if decision.outcome in ("COMPLETE", "COMPLETE_WITH_QUARANTINE"):
        publication, carried_forward = _publish(run, found, decision, last_run)
    if decision.outcome == "RETRY":
        write_retry_shards(run.store, run.arguments.runs_uri, found.rows, found.retry, run.paths.output("retry"))
    summary = report(
        run.manifest,
        found,
        decision,
        flags,
        publication,
        round=run.arguments.round,
        run_label=run.arguments.run_label,
        runs_uri=run.arguments.runs_uri,
        score=score(found.values, compared, run.expected.targets),
        carried_forward=carried_forward,
        parameters=vars(run.arguments),
    )
    _write_reports(run, found, summary, report_page(summary, run.expected, item_ids, found.values, compared))


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The step's flags as the pipeline definition passes them: none is optional."""
    parser = argparse.ArgumentParser(prog="validate_and_publish", allow_abbrev=False)
    for name in ("run-id", "run-label", "runs-uri", "publish-uri", "resume-from"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--round", type=int, choices=(0, 1), required=True)
    for name in ("max-failed-records", "max-retry-records"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("max-failed-percent", "systemic-failure-percent"):
        parser.add_argument(f"--{name}", type=float, required=True)
    return parser.parse_args(argv)


def _open(arguments: argparse.Namespace, paths: ContainerPaths, store: ObjectStore) -> Run:
    manifest, records = read_manifest(paths.input("manifest")), read_records(paths.input("manifest"))
    payload = read_payload(paths.input("payload") / "payload.toml")
    if manifest.run_id != arguments.run_id:
        what = f"it is the manifest of run {manifest.run_id}, and this is run {arguments.run_id}."
        raise DataError(Problem("manifest_mismatch", what, remedy="Build the run again."))
    if manifest.payload_sha256 != payload.sha256:
        what = "the payload file is not the one the records were built with."
        raise DataError(Problem("payload_changed", what, remedy="Deploy once, then start a new execution."))
    check_records(manifest, records)
    expected = Expected.of(payload.answer, manifest.run_date, manifest.forecast_days)
    return Run(
        arguments=arguments,
        paths=paths,
        store=store,
        manifest=manifest,
        records=records,
        payload=payload,
        expected=expected,
    )


def _outputs(directory: Path) -> dict[tuple[int, str], Path]:
    """(round, name of the output object) to its file. The folders between the two are the service's affair."""
    return {
        (number, path.name): path
        for number in (0, 1)
        for path in sorted((directory / f"r{number}").rglob("*.out"), reverse=True)
    }


def _reconcile(run: Run, outputs: Mapping[tuple[int, str], Path]) -> Reconciliation:
    def read_output(number: int, shard: str) -> bytes | None:
        path = outputs.get((number, f"{shard}.out"))
        return path.read_bytes() if path else None

    carried: dict[str, CarriedAnswer] = {}
    if run.manifest.resume_from is not None:
        items = run.records.filter(run.records["carried"])["item_id"].to_pylist()
        carried = read_carried(run.store, run.arguments.runs_uri, run.manifest.resume_from, items, run.expected)
    return reconcile(run.manifest, run.records, read_output, carried, run.expected, round=run.arguments.round)


def _unexpected(run: Run, found: Reconciliation, outputs: Mapping[tuple[int, str], Path]) -> list[Flag]:
    """Output objects that belong to no record of this run: something else wrote below its prefix."""
    known = {(0, f"{shard.name}.out") for shard in run.manifest.shards}
    known |= {(row.round, f"{row.shard}.out") for row in found.rows if row.round == 1}
    return [
        Flag(kind="unexpected_output", item_id="", detail=f"output/r{number}/{name}")
        for number, name in sorted(set(outputs) - known)
    ]


def _tolerance(run: Run) -> Tolerance:
    return Tolerance(
        max_failed_records=run.arguments.max_failed_records,
        max_failed_percent=run.arguments.max_failed_percent,
        systemic_failure_percent=run.arguments.systemic_failure_percent,
        max_retry_records=run.arguments.max_retry_records,
        hold_on_flags=run.payload.checks.hold_on_flags,
    )


def _publish(run: Run, found: Reconciliation, decision: Decision, last_run: LastRun | None) -> tuple[Publication, int]:
    """Publish the usable forecasts; also the number of items filled up from the last published run."""
    targets, publish_uri = run.expected.targets, run.arguments.publish_uri
    without = [row for row in found.rows if row.status not in ("ok", "carried")]
    older = None
    if run.payload.checks.missing_forecasts == "carry_forward" and without:
        items = [row.item_id for row in without]
        older = forecasts_of(run.store, last_run, items, targets, run.expected.dates)
    table = forecast_table(run.records["item_id"], found.values, found.usable, run.manifest.run_date, targets, older)
    filled = len(older["item_id"].unique()) if older is not None else 0
    previous = {"run_id": last_run.run_id, "run_date": last_run.run_date.isoformat()} if last_run else None
    manifest: dict[str, Any] = {
        "schema": 1,
        "run_id": run.manifest.run_id,
        "run_date": run.manifest.run_date.isoformat(),
        "run_label": run.arguments.run_label,
        "outcome": decision.outcome,
        "counts": dataclasses.asdict(found.tally),
        "forecast_days": run.manifest.forecast_days,
        "targets": list(targets),
        "without_forecast": [{"item_id": row.item_id, "status": row.status, "reason": row.reason} for row in without],
        "carried_forward": filled,
        "previous": previous,
        "parameters": dict(run.manifest.parameters),
        "payload_sha256": run.manifest.payload_sha256,
        "code_version": run.manifest.code_version,
    }
    return publish(run.store, publish_uri, table, manifest), filled


def _write_reports(run: Run, found: Reconciliation, summary: Mapping[str, Any], page: str) -> None:
    """The reports, `report.json` last: what it sums up is there when it is."""
    directory = run.paths.output("report")
    directory.mkdir(parents=True, exist_ok=True)
    write_ledger(found.rows, directory / "ledger.parquet")
    write_failed_records(run.store, run.arguments.runs_uri, found.rows, directory / "failed_records.jsonl")
    for name, data in (("report.html", page.encode()), ("report.json", to_json(summary))):
        with whole_file(directory / name, directory) as stream:
            stream.write(data)
