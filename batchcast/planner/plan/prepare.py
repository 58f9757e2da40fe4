"""From the options to the inputs of the planner, and what a run with given parameters will cost."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from batchcast.engine.limits import SMALLEST_MB_BYTES
from batchcast.pipelines.parameter_rules import instance_types, is_newer_type
from batchcast.pipelines.parameters import Parameters
from batchcast.pipelines.tuning import Tuning, check_tuning_fits, read_tuning
from batchcast.planner.arithmetic import inputs
from batchcast.planner.arithmetic.capacity import capacity_of
from batchcast.planner.arithmetic.conditions import PRIOR, Conditions, conditions_of, on_this_machine
from batchcast.planner.arithmetic.formula import Scenario
from batchcast.planner.arithmetic.inputs import ASSUMED_SECONDS_CV, PlanInputs, Workload
from batchcast.planner.arithmetic.scenarios import batch
from batchcast.planner.arithmetic.search import assumed_on
from batchcast.planner.plan.options import PlanOptions
from batchcast.planner.prices.instance_types import check_transform_type
from batchcast.planner.prices.prices import (
    DEFAULT_REGION,
    PRICES_FILE,
    PriceTable,
    fees_of,
    find_rate,
    load_prices,
    rate_of,
)
from batchcast.session.guarded_read import read_guarded
from batchcast.session.session import LOCAL_REGION
from batchcast.steps.arguments import parse_moment
from batchcast.steps.contract.model_contract import ModelContract, read_contract
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.history.disk_space import json_bytes
from batchcast.steps.history.files import open_history
from batchcast.steps.history.folders import history_folder
from batchcast.steps.history.items import count_rows, merge_items, survey_items
from batchcast.steps.history.run_date import find_axis
from batchcast.steps.store.environment import open_store
from batchcast.steps.store.objects import key_path

# A record of a year of hourly rows is about 1 MB, an answer of 31 days about 2 kB.
_ASSUMED_RECORD_MB = 1.0
_ASSUMED_ANSWER_MB = 0.002
_Assumed = TypeVar("_Assumed")


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySize:
    """`rows` of history by item; `record_mb` is the mean of the records."""

    rows: npt.NDArray[np.int64]
    record_mb: float

    @property
    def items(self) -> int:
        """Items with enough history to be forecast."""
        return len(self.rows)


def measure_history(
    directory: Path, contract: ModelContract, *, forecast_horizon: int, run_date: date | None = None
) -> HistorySize:
    """Read the ids and dates of all rows and the values of some. Raises DataError as BuildShards does."""
    history = open_history(directory, contract)
    with tempfile.TemporaryDirectory(prefix="plan-") as folder:
        units, scratch = history.units(), Path(folder)
        survey = survey_items(lambda _: None, units, contract, history, scratch)
        column = contract.series.timestamp
        kind, now = history.types[column], datetime.now(UTC)
        axis = find_axis([survey], contract.series, kind, run_date=run_date, horizon=forecast_horizon, now=now)
        counts = count_rows(lambda _: None, units, len(survey.last), column, history, axis, scratch)
    items = merge_items([survey], [counts])
    enough = items.rows >= max(1, contract.series.min_history)
    rows = items.rows[enough]
    size = json_bytes(history, contract, rows, items.later[enough]) / max(len(rows), 1)
    return HistorySize(rows=rows, record_mb=size / SMALLEST_MB_BYTES)


def price_table(options: PlanOptions) -> PriceTable:
    return load_prices(options.prices or PRICES_FILE)


def plan_inputs(options: PlanOptions, table: PriceTable, today: date) -> PlanInputs:
    """Defaults filled in from the pipeline's parameters. Raises ConfigError for what is missing or impossible."""
    defaults = {name: field.default for name, field in Parameters.model_fields.items()}
    tuning = read_tuning(options.tuning) if options.tuning else None
    contract = None if options.contract is None else read_contract(options.contract)
    size = _history_size(options, contract, options.horizon or defaults["forecast_horizon"])
    instance_type = options.instance_type or defaults["transform_instance_type"]
    if instance_type not in instance_types("Transform") and not is_newer_type("Transform", instance_type):
        check_transform_type(instance_type, instance_types("Transform"))
    together = options.items_per_request or (contract.request.items_per_request if contract else None)
    if tuning:
        here = options.on_this_machine
        check_tuning_fits(tuning, instance_type=instance_type, on_this_machine=here, items_per_request=together)
        together = together or tuning.items_per_request
        defaults |= tuning.parameters.model_dump()
    region = options.region or DEFAULT_REGION
    rate = rate_of(table, region, instance_type, price_per_hour=options.price_per_hour, today=today)
    processing_type = defaults["processing_instance_type"]
    given = options.price_per_hour if instance_type == processing_type else None
    # Where the table lacks the processing type too, the given price stands for it: it is 0.2 % of the run.
    other_rate = rate if given is not None else find_rate(table, region, processing_type) or rate
    max_payload = options.max_payload or defaults["max_payload_in_mb"]
    return inputs.PlanInputs(
        workload=_workload(options, tuning, size, together or 1, max_payload),
        rows=None if size is None else size.rows,
        region=region,
        instance_type=instance_type,
        instances=options.instances or defaults["transform_instance_count"],
        concurrency=options.concurrency or defaults["max_concurrent_transforms"],
        max_payload_mb=max_payload,
        rate=rate.discounted(options.batch_discount or 0.0, "Tsform"),
        processing_type=processing_type,
        processing_rate=other_rate.discounted(options.batch_discount or 0.0, "Processing"),
        fees=fees_of(table, region),
        capacity=capacity_of(tuning.capacity) if tuning else assumed_on(instance_type),
        conditions=_conditions(options, tuning, defaults),
        endpoint_instances=options.endpoint_instances or inputs.ENDPOINT_INSTANCES,
        endpoint_requests=options.endpoint_requests or inputs.ENDPOINT_REQUESTS,
        endpoint_discount_percent=options.endpoint_discount or 0.0,
        ad_hoc_requests=inputs.AD_HOC_REQUESTS if options.ad_hoc is None else options.ad_hoc,
        quota=options.quota,
        records_per_shard=options.records_per_shard or defaults["records_per_shard"],
        files=options.files,
    )


def estimate_run(values: Parameters, *, region: str, **workload: Any) -> Scenario:
    """The planner's estimate of the batch run; `workload` are fields of `PlanOptions`, None where not known.

    Raises ConfigError for what the planner lacks, or has no price of: a workspace has none of its own.
    """
    on_this_machine = region == LOCAL_REGION
    if on_this_machine and workload.get("price_per_hour") is None:
        what = "an instance of a workspace is this machine, which has no price."
        remedy = "Give --price-per-hour: what an hour of an instance would cost in US dollars."
        raise ConfigError(Problem("price", what, "--workspace", remedy))
    options = PlanOptions(
        instance_type=values.transform_instance_type,
        instances=values.transform_instance_count,
        concurrency=values.max_concurrent_transforms,
        max_payload=values.max_payload_in_mb,
        records_per_shard=values.records_per_shard,
        region=region,
        on_this_machine=on_this_machine,
        **workload,
    )
    return batch(plan_inputs(options, price_table(options), date.today()))


def default_bound(values: Parameters, *, region: str, **workload: Any) -> timedelta | None:
    """After how long a run must be hanging: twice the plan's P95, which one sound run in twenty takes longer than.

    None where what is known of the workload, as in `estimate_run`, is too little for a plan. It needs no price.
    """
    try:
        found = estimate_run(values, region=region, **{**workload, "price_per_hour": 1.0})
    except ConfigError:
        return None
    return timedelta(hours=2 * found.p95)


def check_budget(values: Parameters, budget: float, *, region: str, **workload: Any) -> None:
    """Raises ConfigError when the estimate is above the budget, in US dollars; `workload` as in `estimate_run`."""
    found = estimate_run(values, region=region, **workload)
    if found.cost_usd > budget:
        what = f"the run is estimated at {found.cost_usd:,.2f} USD and {found.wall_hours:.1f} h; "
        what += f"the budget is {budget:,.2f} USD."
        remedy = "`plan --budget` finds settings that cost less; else raise the budget."
        raise ConfigError(Problem("budget", what, "--budget", remedy))


def _history_size(options: PlanOptions, contract: ModelContract | None, forecast_horizon: int) -> HistorySize | None:
    if options.history is None:
        return None
    if contract is None or options.items is not None:
        what = "goes with --contract and without --items."
        raise ConfigError(Problem("plan", what, "--history", "Name the model.toml that declares its columns."))
    try:
        run_date = parse_moment(options.run_date) if options.run_date else None
    except ValueError:
        raise ConfigError(Problem("plan", f"{options.run_date!r} is no date.", "--run-date", "2026-11-22.")) from None
    with _local_copy(options.history) as directory:
        return read_guarded(measure_history, directory, contract, forecast_horizon=forecast_horizon, run_date=run_date)


@contextmanager
def _local_copy(history: str) -> Iterator[Path]:
    """The directory itself, or what lies under the S3 prefix, copied for as long as it is looked at."""
    with tempfile.TemporaryDirectory(prefix="plan-history-") as folder:
        if not history.startswith("s3://"):
            yield history_folder(history, Path(folder))
            return
        store = open_store(os.environ)
        for stored in store.list(history):
            name = stored.uri.removeprefix(history).lstrip("/") or stored.uri.rsplit("/", 1)[-1]
            store.download(stored.uri, key_path(Path(folder), name))
        yield Path(folder)


def _workload(
    options: PlanOptions, tuning: Tuning | None, size: HistorySize | None, together: int, max_payload: int
) -> Workload:
    """No more records go into a request than fit MaxPayloadInMB, less the 5 % that BuildShards keeps free."""
    sample = tuning.measured.sample if tuning else None
    seconds = _first((options.seconds, sample.seconds_mean if sample else None), None)
    items = options.items if size is None else size.items
    missing = [
        Problem("plan", "is needed.", where=name, remedy=remedy)
        for name, value, remedy in (
            ("--items", items, "Give the number of records, or --history."),
            ("--seconds", seconds, "Give the seconds a request takes alone, or --tuning."),
        )
        if value is None
    ]
    if items is None or seconds is None:
        raise ConfigError(*missing)
    # A measurement keeps the largest record alone; the mean is no larger.
    sizes = (options.record_mb, size.record_mb if size else None, sample.max_record_mb if sample else None)
    record_mb = _first(sizes, _ASSUMED_RECORD_MB)
    return Workload(
        items=items,
        seconds=seconds,
        seconds_cv=_first((options.seconds_cv, sample.seconds_cv if sample else None), ASSUMED_SECONDS_CV),
        record_mb=record_mb,
        answer_mb=_first((options.answer_mb,), _ASSUMED_ANSWER_MB),
        items_per_request=max(1, min(together, int(0.95 * max_payload / max(record_mb, 1e-9)))),
    )


def _first(values: Sequence[float | None], assumed: _Assumed) -> float | _Assumed:
    return next((value for value in values if value is not None), assumed)


def _conditions(options: PlanOptions, tuning: Tuning | None, defaults: dict[str, Any]) -> Conditions:
    """Those of the measurement; where nobody measured a start, that of SageMaker or of this machine is assumed."""
    retries, timeout = defaults["invocations_max_retries"], float(defaults["invocations_timeout_in_seconds"])
    known = conditions_of(tuning) if tuning else replace(PRIOR, max_retries=retries, timeout=timeout)
    return on_this_machine(known) if options.on_this_machine and known.source == PRIOR.source else known
