"""The first step: from the Parquet history to the objects of the transform, every item accounted for.

    survey the items ─▶ frequency and run date ─▶ count the rows ─▶ choose ─▶ plan the shards ─▶ scatter the rows to
    buckets ─▶ bucket by bucket: sort, check, render, write ─▶ records.parquet, baseline.parquet ─▶ manifest.json, last

The bytes written depend on the rows alone, not on files, order or processes; memory on a record's size and the items.
"""

import dataclasses
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batchcast.steps.build_arguments import BuildArguments, parse_arguments
from batchcast.steps.container import ContainerPaths, empty_directory, scratch_directory
from batchcast.steps.contract.model_contract import CONTRACT_FILE, ModelContract, read_contract
from batchcast.steps.history.date_axis import DateAxis
from batchcast.steps.history.disk_space import check_disk
from batchcast.steps.history.files import ParquetHistory, Unit, open_history
from batchcast.steps.history.items import Items, count_rows, deal_units, find_row, merge_items, survey_items
from batchcast.steps.history.partition import Partition, Spill, bucket_starts, bucket_tasks, row_bytes, spill_units
from batchcast.steps.history.run_date import find_axis, plausible_end
from batchcast.steps.history.static_table import StaticTable, read_static_table
from batchcast.steps.history.workers import Progress, Workers
from batchcast.steps.outcome.earlier_run import EarlierRun, read_earlier_run
from batchcast.steps.publish.lock import locked
from batchcast.steps.reading_note import keep_reading_note
from batchcast.steps.shards.account import Account, check_account, refuse_contradictions, write_account, write_baseline
from batchcast.steps.shards.baseline import baseline_file
from batchcast.steps.shards.manifest import Manifest
from batchcast.steps.shards.plan import ShardPlan, plan_shards
from batchcast.steps.shards.records import BuiltRecords, RecordWriter
from batchcast.steps.shards.render import RecordRenderer
from batchcast.steps.shards.request_text import RequestText
from batchcast.steps.shards.selection import Selection, leave_out_implausible, read_item_ids, select, send_again
from batchcast.steps.store.environment import open_store
from batchcast.steps.store.objects import ObjectStore

MARKER = "_batchcast"
_BASELINE = "baseline.npy"
Numbers = npt.NDArray[np.int64]
# What is rendered in one go: smaller chunks cost calls, larger ones leave the processor's cache.
_CHUNK_BYTES = 4 << 20
_ROWS_A_PROCESS = 1_000_000  # below it a process costs more time than it saves


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """What is known before the rows are read."""

    arguments: BuildArguments
    contract: ModelContract
    history: ParquetHistory
    earlier: EarlierRun | None
    wanted: list[str] | None
    static: StaticTable | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run(_Opened):
    """What is known when the rows were surveyed."""

    axis: DateAxis

    @property
    def request_text(self) -> RequestText:
        """How the records become requests."""
        return RecordRenderer(self.contract, self.axis, {}, ()).request_text(self.contract.request)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Means:
    """What the rows are worked on with: processes, a lane of units for each, and the directories to write to."""

    workers: Workers
    lanes: list[list[Unit]]
    scratch: Path
    shards: Path


def main(argv: Sequence[str], environ: Mapping[str, str]) -> None:
    """Run the step in its container, and print what it built in one line."""
    manifest = build_shards(parse_arguments(argv), ContainerPaths.from_environment(environ), open_store(environ))
    sys.stdout.write(_summary(manifest))


def build_shards(arguments: BuildArguments, paths: ContainerPaths, store: ObjectStore) -> Manifest:
    """Read the inputs `history` and `contract`, write the outputs `shards`, `manifest` and `marker`; the manifest.

    Raises ConfigError, DataError and ServiceError; no output is left then, and no lock.
    """
    with _lock(arguments, store), keep_reading_note(paths.message):
        return _build_outputs(arguments, paths, store)


def _lock(arguments: BuildArguments, store: ObjectStore) -> AbstractContextManager[None]:
    uri, run_id, label = arguments.locked_uri, arguments.run_id, arguments.run_label
    return nullcontext() if uri is None else locked(store, uri, run_id=run_id, run_label=label, now=datetime.now(UTC))


def _build_outputs(arguments: BuildArguments, paths: ContainerPaths, store: ObjectStore) -> Manifest:
    outputs = [paths.output(name) for name in ("shards", "manifest", "marker")]
    for output in outputs:
        empty_directory(output)
    try:
        run, account = _build(_open(arguments, paths, store), paths)
        # Kept with the run, so that one that resumes it can tell whether it asks the model the same.
        shutil.copyfile(paths.input("contract") / CONTRACT_FILE, paths.output("manifest") / CONTRACT_FILE)
        (paths.output("marker") / MARKER).write_text("This object keeps the prefix from being empty.\n")
        return write_account(
            account,
            paths.output("manifest"),
            arguments=arguments,
            contract=run.contract,
            axis=run.axis,
            request_text=run.request_text,
        )
    except BaseException:
        for output in outputs:
            empty_directory(output)
        raise


def _open(arguments: BuildArguments, paths: ContainerPaths, store: ObjectStore) -> _Opened:
    contract = read_contract(paths.input("contract") / CONTRACT_FILE)
    uri, resumed = arguments.fixed_items_uri, arguments.fixed_resume_from
    wanted = None if uri is None else read_item_ids(store, uri)
    earlier = None if resumed is None else read_earlier_run(store, arguments.runs_uri, resumed, contract)
    return _Opened(
        arguments=arguments,
        contract=contract,
        history=open_history(paths.input("history"), contract),
        earlier=earlier,
        wanted=wanted,
        static=read_static_table(paths.input("history"), contract.series),
    )


def _build(opened: _Opened, paths: ContainerPaths) -> tuple[_Run, Account]:
    """Write the shards; the run as it was found to be, and what became of every item."""
    arguments, contract = opened.arguments, opened.contract
    processes = max(1, min(arguments.processes, opened.history.rows // _ROWS_A_PROCESS))
    with scratch_directory(paths) as scratch, Workers(processes, scratch) as workers:
        lanes = deal_units(opened.history.units(), processes)
        means = _Means(workers=workers, lanes=lanes, scratch=scratch, shards=paths.output("shards"))
        run, items, end = _survey(opened, means)
        most = arguments.max_record_bytes
        selection = select(items, contract, run.static, wanted=run.wanted, earlier=run.earlier, max_bytes=most)
        selection = leave_out_implausible(selection, items, run.axis, end)
        account = _write_shards(run, items, selection, means)
        if not account.sent and selection.carried:
            # What was left to do proved spoiled when its rows were read: no shard was written.
            account = _write_shards(run, items, send_again(selection, items, contract, run.static, most), means)
        locate = partial(_locate, run, means, items)
        if contract.series.off_grid == "refuse":
            refuse_contradictions(account, locate)
        check_account(account, arguments.systemic_failure_percent, locate)
        manifest = paths.output("manifest")
        write_baseline(account, scratch / _BASELINE, manifest, contract, run.axis, run.earlier)
    return run, account


def _survey(opened: _Opened, means: _Means) -> tuple[_Run, Items, int]:
    """Frequency, run date and items of the run, and the first key at which no value is believed."""
    history, contract, now = opened.history, opened.contract, datetime.now(UTC)
    tasks = [(units, contract, history, means.scratch) for units in means.lanes]
    surveys = means.workers.run(survey_items, tasks, Progress("survey the items", history.rows, "rows"))
    column, asked = contract.series.timestamp, opened.arguments
    fixed, horizon = asked.fixed_run_date, asked.forecast_horizon
    axis = find_axis(surveys, contract.series, history.types[column], run_date=fixed, horizon=horizon, now=now)
    if opened.earlier:
        opened.earlier.check_same(
            run_date=axis.run_date,
            forecast_horizon=axis.forecast_horizon,
            frequency=axis.frequency,
            contract=contract,
        )
    found = [
        (units, len(lane.last), column, history, axis, means.scratch)
        for units, lane in zip(means.lanes, surveys, strict=True)
    ]
    counts = means.workers.run(count_rows, found, Progress("count the rows", history.rows, "rows"))
    fields = {field.name: getattr(opened, field.name) for field in dataclasses.fields(opened)}
    end = plausible_end(surveys, contract.series, axis, now)
    return _Run(**fields, axis=axis), merge_items(surveys, counts), end


def _locate(run: _Run, means: _Means, items: Items, item: int, key: int) -> str:
    for units, numbers in zip(means.lanes, items.lanes, strict=True):
        found = find_row(units, run.history, run.contract.series.timestamp, numbers == item, key, means.scratch)
        if found:
            return found
    return ""


def _write_shards(run: _Run, items: Items, selection: Selection, means: _Means) -> Account:
    """Write the records of the selected items. Raises DataError when the selection alone cannot make a run."""
    plan = _plan(run, items.rows[selection.built])
    account = Account(items=items, selection=selection, order=selection.built[plan.order], built=[])
    check_account(account, run.arguments.systemic_failure_percent)
    rows, later = (each[account.order] for each in (account.items.rows, account.items.later))
    check_disk(run.history, run.contract, rows, later, means.shards)
    partition = _partition(run, account, plan)
    spills = _scatter(account, partition, means)
    return replace(account, built=_write(run, account, plan, partition, spills, means))


def _plan(run: _Run, rows: Numbers) -> ShardPlan:
    arguments = run.arguments
    plan = plan_shards(
        rows,
        instances=arguments.transform_instance_count,
        concurrency=arguments.max_concurrent_transforms,
        records_per_shard=arguments.records_per_shard,
        items_per_request=run.contract.request.items_per_request,
        by_object=run.request_text.by_object,
    )
    idle = arguments.transform_instance_count - plan.shards
    if plan.shards and idle > 0:
        sys.stderr.write(f"{len(rows)} records make {plan.shards} shards: {idle} instances will have nothing to do\n")
    return plan


def _partition(run: _Run, account: Account, plan: ShardPlan) -> Partition:
    columns = run.contract.value_columns
    size = row_bytes(run.history, columns)
    rows = account.items.rows[account.order] + account.items.later[account.order]
    return Partition(
        history=run.history,
        axis=run.axis,
        date=run.contract.series.timestamp,
        columns=columns,
        row_bytes=size,
        starts=bucket_starts(rows, plan.starts, size),
    )


def _scatter(account: Account, partition: Partition, means: _Means) -> list[Spill]:
    place = np.full(len(account.items.ids), -1, np.int64)
    place[account.order] = np.arange(len(account.order))
    tasks = [
        (units, np.append(place[numbers], -1), partition, means.scratch / f"spill-{lane}.arrow")
        for lane, (units, numbers) in enumerate(zip(means.lanes, account.items.lanes, strict=True))
    ]
    return means.workers.run(spill_units, tasks, Progress("sort the rows into buckets", partition.history.rows, "rows"))


def _write(
    run: _Run, account: Account, plan: ShardPlan, partition: Partition, spills: list[Spill], means: _Means
) -> list[BuiltRecords]:
    writer = RecordWriter(
        contract=run.contract,
        axis=run.axis,
        id_types=tuple(run.history.types[name] for name in run.contract.series.item_id),
        shard_starts=plan.starts,
        request_text=run.request_text,
        max_bytes=run.arguments.max_record_bytes,
        chunk_rows=-(-_CHUNK_BYTES // partition.row_bytes),
        directory=means.shards,
        baseline=baseline_file(
            means.scratch / _BASELINE, len(account.order), len(run.contract.series.targets), run.axis
        ),
    )
    attributes = account.attributes(run.contract.series, run.static)
    tasks = []
    for buckets in bucket_tasks(partition.starts, plan.starts):
        first, end = (int(partition.starts[bucket]) for bucket in (buckets.start, buckets.stop))
        places = pa.array(np.arange(first, end))
        pieces = [spill.only(buckets) for spill in spills]
        tasks.append((buckets, pieces, first, {name: column.take(places) for name, column in attributes.items()}))
    rows = account.items.rows[account.order].sum() + account.items.later[account.order].sum()
    return means.workers.run(writer.write, tasks, Progress("write the records", int(rows), "rows"))


def _summary(manifest: Manifest) -> str:
    totals = manifest.totals
    later = f"; {totals.later_items} items begin after the run date" if totals.later_items else ""
    how = f"{manifest.frequency}{' (inferred)' if manifest.frequency_inferred else ''}"
    return (
        f"run date {manifest.run_date.isoformat()}, frequency {how}: {totals.items} items = {totals.records} records + "
        f"{totals.quarantined} quarantined + {totals.carried} carried over; {totals.rows:,} rows, "
        f"{totals.bytes / 1e6:,.1f} MB in {len(manifest.shards)} shards{later}\n"
    )
