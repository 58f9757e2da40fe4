"""The first step: from the Parquet history to the objects of the transform, every item accounted for.

    survey the items ─▶ frequency and run date ─▶ count the rows ─▶ choose ─▶ plan the shards ─▶ scatter the rows to
    buckets ─▶ bucket by bucket: sort, check, render, write ─▶ records.parquet, baseline.parquet ─▶ manifest.json, last

The bytes written depend on the rows alone, not on files, order or processes; memory on a record's size and the items.
"""

import dataclasses
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batchcast.steps.answers.item_arrays import arrays_in
from batchcast.steps.arguments import SPARK, BuildArguments, parse_arguments, value_given
from batchcast.steps.container import ContainerPaths, empty_directory, scratch_directory
from batchcast.steps.contract.model_contract import CONTRACT_FILE, ModelContract, read_contract
from batchcast.steps.engines.processes import ProcessEngine
from batchcast.steps.engines.spark import SparkEngine, spark_engine
from batchcast.steps.engines.spark_submit import run_elsewhere
from batchcast.steps.history.date_axis import DateAxis
from batchcast.steps.history.disk_space import check_disk
from batchcast.steps.history.files import ParquetHistory, open_history
from batchcast.steps.history.items import Items, deal_units, find_row, merge_items
from batchcast.steps.history.partition import Partition, bucket_starts, row_bytes
from batchcast.steps.history.run_date import find_axis, plausible_end
from batchcast.steps.history.static_table import StaticTable, read_static_table
from batchcast.steps.history.workers import Workers
from batchcast.steps.outcome.earlier_run import EarlierRun, read_earlier_run
from batchcast.steps.publish.lock import locked
from batchcast.steps.reading_note import keep_reading_note
from batchcast.steps.shards.account import Account, check_account, refuse_contradictions, write_account, write_baseline
from batchcast.steps.shards.baseline import baseline_file
from batchcast.steps.shards.manifest import Manifest
from batchcast.steps.shards.plan import ShardPlan, plan_shards
from batchcast.steps.shards.records import RecordWriter
from batchcast.steps.shards.render import RecordRenderer
from batchcast.steps.shards.request_text import RequestText
from batchcast.steps.shards.selection import Selection, leave_out_implausible, read_item_ids, select, send_again
from batchcast.steps.store.environment import open_store
from batchcast.steps.store.objects import ObjectStore

MARKER = "_batchcast"
_BASELINE = "baseline.npy"
Numbers = npt.NDArray[np.int64]
BuildEngine = ProcessEngine | SparkEngine
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


def main(argv: Sequence[str], environ: Mapping[str, str]) -> None:
    """Run the step in its container, and print what it built in one line."""
    arguments, paths = parse_arguments(argv), ContainerPaths.from_environment(environ)
    if arguments.build_engine == SPARK and run_elsewhere(argv, paths):
        return
    manifest = build_shards(arguments, paths, open_store(environ))
    sys.stdout.write(_summary(manifest))


def build_shards(arguments: BuildArguments, paths: ContainerPaths, store: ObjectStore) -> Manifest:
    """Read the inputs `history` and `contract`, write the outputs `shards`, `manifest` and `marker`; the manifest.

    Raises ConfigError, DataError and ServiceError; no output is left then, and no lock.
    """
    with _lock(arguments, store), keep_reading_note(paths.message):
        return _build_outputs(arguments, paths, store)


def _lock(arguments: BuildArguments, store: ObjectStore) -> AbstractContextManager[None]:
    uri, run_id, label = value_given(arguments.publish_uri), arguments.run_id, arguments.run_label
    return nullcontext() if uri is None else locked(store, uri, run_id=run_id, run_label=label, now=datetime.now(UTC))


def _build_outputs(arguments: BuildArguments, paths: ContainerPaths, store: ObjectStore) -> Manifest:
    outputs = [paths.output(name) for name in ("shards", "manifest", "marker")]
    for output in outputs:
        empty_directory(output)
    try:
        with scratch_directory(paths) as scratch, arrays_in(scratch):
            run, account = _build(_open(arguments, paths, store, scratch), paths, scratch)
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


def _open(arguments: BuildArguments, paths: ContainerPaths, store: ObjectStore, scratch: Path) -> _Opened:
    contract = read_contract(paths.input("contract") / CONTRACT_FILE)
    uri, resumed = value_given(arguments.items_uri), value_given(arguments.resume_from)
    wanted = None if uri is None else read_item_ids(store, uri)
    earlier = None if resumed is None else read_earlier_run(store, arguments.runs_uri, resumed, contract, scratch)
    return _Opened(
        arguments=arguments,
        contract=contract,
        history=open_history(paths.input("history"), contract),
        earlier=earlier,
        wanted=wanted,
        static=read_static_table(paths.input("history"), contract.series),
    )


def _build(opened: _Opened, paths: ContainerPaths, scratch: Path) -> tuple[_Run, Account]:
    """Write the shards; the run as it was found to be, and what became of every item."""
    arguments, contract, shards = opened.arguments, opened.contract, paths.output("shards")
    with _engine(opened, paths, scratch) as engine:
        run, items, end = _survey(opened, engine)
        pa.default_memory_pool().release_unused()  # What the survey freed goes back to the system.
        most = arguments.max_record_bytes
        selection = select(items, contract, run.static, wanted=run.wanted, earlier=run.earlier, max_bytes=most)
        selection = leave_out_implausible(selection, items, run.axis, end)
        account = _write_shards(run, items, selection, engine, shards)
        if not account.sent and selection.carried:
            # What was left to do proved spoiled when its rows were read: no shard was written.
            selection = send_again(selection, items, contract, run.static, most)
            account = _write_shards(run, items, selection, engine, shards)
        locate = partial(_locate, run, engine, items)
        if contract.series.off_grid == "refuse":
            refuse_contradictions(account, locate)
        check_account(account, arguments.systemic_failure_percent, locate)
        manifest = paths.output("manifest")
        write_baseline(account, scratch / _BASELINE, manifest, contract, run.axis, run.earlier)
    return run, account


@contextmanager
def _engine(opened: _Opened, paths: ContainerPaths, scratch: Path) -> Iterator[BuildEngine]:
    units, processes = opened.history.units(), opened.arguments.processes
    most = opened.history.rows // _ROWS_A_PROCESS
    if opened.arguments.build_engine == SPARK:
        with spark_engine(paths, scratch, processes) as cluster:
            yield cluster.over(deal_units(units, max(1, min(cluster.parallelism, most))))
        return
    lanes = deal_units(units, max(1, min(processes, most)))
    with Workers(len(lanes), scratch) as workers:
        yield ProcessEngine(workers=workers, lanes=lanes, scratch=scratch)


def _survey(opened: _Opened, engine: BuildEngine) -> tuple[_Run, Items, int]:
    """Frequency, run date and items of the run, and the first key at which no value is believed."""
    history, contract, now = opened.history, opened.contract, datetime.now(UTC)
    surveys = engine.survey(history, contract)
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
    counts = engine.count(history, column, axis, [len(lane.last) for lane in surveys])
    fields = {field.name: getattr(opened, field.name) for field in dataclasses.fields(opened)}
    end = plausible_end(surveys, contract.series, axis, now)
    return _Run(**fields, axis=axis), merge_items(surveys, counts), end


def _locate(run: _Run, engine: BuildEngine, items: Items, item: int, key: int) -> str:
    engine.fetch_codes()
    for units, numbers in zip(engine.lanes, items.lanes, strict=True):
        found = find_row(units, run.history, run.contract.series.timestamp, numbers == item, key, engine.scratch)
        if found:
            return found
    return ""


def _write_shards(run: _Run, items: Items, selection: Selection, engine: BuildEngine, shards: Path) -> Account:
    """Write the records of the selected items. Raises DataError when the selection alone cannot make a run."""
    plan = _plan(run, items.rows[selection.built])
    account = Account(items=items, selection=selection, order=selection.built[plan.order], built=[])
    check_account(account, run.arguments.systemic_failure_percent)
    rows, later = (each[account.order] for each in (account.items.rows, account.items.later))
    check_disk(run.history, run.contract, rows, later, run.axis, shards, hosts=engine.hosts)
    partition = _partition(run, account, plan)
    place = np.full(len(items.ids), -1, np.int64)
    place[account.order] = np.arange(len(account.order))
    positions = [np.append(place[numbers], -1) for numbers in items.lanes]
    writer = _writer(run, account, plan, partition, engine.scratch, shards)
    attributes = account.attributes(run.contract.series, run.static)
    return replace(account, built=engine.write(writer, partition, positions, attributes))


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
        rows=int(rows.sum()),
        starts=bucket_starts(rows, plan.starts, size),
    )


def _writer(
    run: _Run, account: Account, plan: ShardPlan, partition: Partition, scratch: Path, shards: Path
) -> RecordWriter:
    targets, records = len(run.contract.series.targets), len(account.order)
    return RecordWriter(
        contract=run.contract,
        axis=run.axis,
        id_types=tuple(run.history.types[name] for name in run.contract.series.item_id),
        shard_starts=plan.starts,
        request_text=run.request_text,
        max_bytes=run.arguments.max_record_bytes,
        chunk_rows=-(-_CHUNK_BYTES // partition.row_bytes),
        directory=shards,
        baseline=baseline_file(scratch / _BASELINE, records, targets, run.axis),
    )


def _summary(manifest: Manifest) -> str:
    totals = manifest.totals
    later = f"; {totals.later_items} items begin after the run date" if totals.later_items else ""
    how = f"{manifest.frequency}{' (inferred)' if manifest.frequency_inferred else ''}"
    return (
        f"run date {manifest.run_date.isoformat()}, frequency {how}: {totals.items} items = {totals.records} records + "
        f"{totals.quarantined} quarantined + {totals.carried} carried over; {totals.rows:,} rows, "
        f"{totals.bytes / 1e6:,.1f} MB in {len(manifest.shards)} shards{later}\n"
        + "".join(f"{note}\n" for note in manifest.notes)
    )
