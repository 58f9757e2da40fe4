"""The options of `plan`, `simulate` and the budget guard, turned into the inputs of the planner."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from batchcast.steps.errors import ConfigError, Problem

if TYPE_CHECKING:
    from batchcast.pipelines.tuning import Tuning
    from batchcast.planner.arithmetic.capacity import Capacity
    from batchcast.planner.arithmetic.conditions import Conditions
    from batchcast.planner.arithmetic.inputs import PlanInputs
    from batchcast.planner.arithmetic.workload import Workload
    from batchcast.planner.plan.history import HistorySize
    from batchcast.planner.prices.prices import PriceTable
    from batchcast.steps.contract.model_contract import ModelContract

_Command = TypeVar("_Command", bound=Callable[..., Any])
# A record of a year of hourly rows is about 1 MB, an answer of 31 days about 2 kB.
_ASSUMED_RECORD_MB = 1.0
_ASSUMED_ANSWER_MB = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What was said on the command line; None is: not said. `on_this_machine` as in `check_tuning_fits`."""

    items: int | None = None
    history: str | None = None
    contract: Path | None = None
    run_date: str | None = None
    seconds: float | None = None
    seconds_cv: float | None = None
    record_mb: float | None = None
    answer_mb: float | None = None
    instance_type: str | None = None
    instances: int | None = None
    concurrency: int | None = None
    max_payload: int | None = None
    records_per_shard: int | None = None
    items_per_request: int | None = None
    files: int | None = None
    region: str | None = None
    price_per_hour: float | None = None
    prices: Path | None = None
    endpoint_instances: int | None = None
    endpoint_requests: int | None = None
    endpoint_discount: float | None = None
    ad_hoc: int | None = None
    quota: int | None = None
    horizon: int | None = None
    tuning: Path | None = None
    on_this_machine: bool = False


def plan_options(command: _Command) -> _Command:
    """The options that `PlanOptions` holds, but the last, on a click command."""
    file = click.Path(path_type=Path, dir_okay=False)
    for option in reversed(
        [
            click.option("--items", type=click.IntRange(1), help="Records of a run."),
            click.option("--history", metavar="DIR|FILE|S3URI", help="Parquet history to count records of, instead."),
            click.option("--contract", type=file, help="The model.toml of that history."),
            click.option("--run-date", metavar="DATE", help="Last day of that history to use. Default: its last."),
            click.option("--horizon", type=click.IntRange(1), help="Steps to forecast. Default: the pipeline's."),
            click.option("--seconds", type=float, help="Seconds a request takes, one in flight."),
            click.option("--seconds-cv", type=float, help="Their standard deviation by their mean. Assumed: 0.5."),
            click.option(
                "--record-mb", type=float, help="Size of a record in MB. Assumed: 1, or the largest measured."
            ),
            click.option("--answer-mb", type=float, help="Size of an answer in MB. Assumed: 0.002."),
            click.option("--instance-type", metavar="TYPE", help="Default: that of the pipeline."),
            click.option("--instances", type=click.IntRange(1), help="Instances of the job. Default: the pipeline's."),
            click.option("--concurrency", type=click.IntRange(1), help="Requests in flight an instance."),
            click.option("--max-payload", type=click.IntRange(1, 100), help="MaxPayloadInMB. Default: the pipeline's."),
            click.option("--records-per-shard", type=click.IntRange(0), help="Default: by the shard rule."),
            click.option(
                "--items-per-request", type=click.IntRange(1), help="Records of one. Default: the contract's, or 1."
            ),
            click.option("--files", type=click.IntRange(1), help="Input files that exist already, of equal size."),
            click.option("--region", help="Default: us-east-1."),
            click.option("--price-per-hour", type=float, help="USD an instance hour, instead of the table's."),
            click.option("--prices", type=file, help="Another price table."),
            click.option("--endpoint-instances", type=click.IntRange(1), help="Of the endpoint to compare with: 3."),
            click.option("--endpoint-requests", type=click.IntRange(1), help="In flight on that endpoint: 20."),
            click.option("--endpoint-discount", type=click.FloatRange(0, 100), help="Percent off it: Savings Plan."),
            click.option("--ad-hoc", type=click.IntRange(0), help="Ad-hoc requests a week: 10."),
            click.option("--quota", type=click.IntRange(0), help="The account's limit of instances in transform jobs."),
            click.option("--tuning", type=file, help="tuning.json of this model: measured speed and concurrency."),
        ]
    ):
        command = option(command)
    return command


def price_table(options: PlanOptions) -> PriceTable:
    """The table the options name, else the one of the package."""
    from batchcast.planner.prices.prices import PRICES_FILE, load_prices

    return load_prices(options.prices or PRICES_FILE)


def plan_inputs(options: PlanOptions, table: PriceTable, today: date) -> PlanInputs:
    """Defaults filled in from the pipeline's parameters. Raises ConfigError for what is missing or impossible."""
    from batchcast.pipelines.parameter_rules import instance_types
    from batchcast.pipelines.parameters import Parameters
    from batchcast.pipelines.tuning import check_tuning_fits, read_tuning
    from batchcast.planner.arithmetic import inputs
    from batchcast.planner.arithmetic.tuned import capacity_of
    from batchcast.planner.prices.instance_types import check_transform_type
    from batchcast.planner.prices.prices import DEFAULT_REGION, fees_of, rate_of
    from batchcast.steps.contract.model_contract import read_contract

    defaults = {name: field.default for name, field in Parameters.model_fields.items()}
    tuning = read_tuning(options.tuning) if options.tuning else None
    contract = None if options.contract is None else read_contract(options.contract)
    size = _history_size(options, contract, options.horizon or defaults["forecast_horizon"])
    instance_type = options.instance_type or defaults["transform_instance_type"]
    check_transform_type(instance_type, instance_types("Transform"))
    if tuning:
        check_tuning_fits(tuning, instance_type=instance_type, on_this_machine=options.on_this_machine)
    region = options.region or DEFAULT_REGION
    rate = rate_of(table, region, instance_type, price_per_hour=options.price_per_hour, today=today)
    processing_type = defaults["processing_instance_type"]
    given = options.price_per_hour if instance_type == processing_type else None
    settings = tuning.parameters if tuning else None
    max_payload = options.max_payload or (settings.max_payload_in_mb if settings else defaults["max_payload_in_mb"])
    together = options.items_per_request or (contract.request.items_per_request if contract else 1)
    return inputs.PlanInputs(
        workload=_workload(options, tuning, size, together, max_payload),
        rows=None if size is None else size.rows,
        region=region,
        instance_type=instance_type,
        instances=options.instances or defaults["transform_instance_count"],
        concurrency=options.concurrency
        or (settings.max_concurrent_transforms if settings else defaults["max_concurrent_transforms"]),
        max_payload_mb=max_payload,
        rate=rate,
        processing_type=processing_type,
        # Where the table lacks the processing type too, the given price stands for it: it is 0.2 % of the run.
        processing_rate=table.rates.get(region, {}).get(processing_type, rate) if given is None else rate,
        fees=fees_of(table, region),
        capacity=capacity_of(tuning.capacity) if tuning else _assumed(instance_type),
        conditions=_conditions(options, tuning, defaults),
        endpoint_instances=options.endpoint_instances or inputs.ENDPOINT_INSTANCES,
        endpoint_requests=options.endpoint_requests or inputs.ENDPOINT_REQUESTS,
        endpoint_discount_percent=options.endpoint_discount or 0.0,
        ad_hoc_requests=inputs.AD_HOC_REQUESTS if options.ad_hoc is None else options.ad_hoc,
        quota=options.quota,
        records_per_shard=options.records_per_shard or defaults["records_per_shard"],
        files=options.files,
    )


def _history_size(options: PlanOptions, contract: ModelContract | None, forecast_horizon: int) -> HistorySize | None:
    if options.history is None:
        return None
    from batchcast.planner.plan.history import measure_history
    from batchcast.session.guarded_read import read_guarded
    from batchcast.steps.arguments import parse_moment

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
    if not history.startswith("s3://"):
        from batchcast.steps.history.folders import history_folder

        with tempfile.TemporaryDirectory(prefix="plan-history-") as folder:
            yield history_folder(history, Path(folder))
        return
    from batchcast.steps.store.environment import open_store
    from batchcast.steps.store.objects import key_path

    store = open_store(os.environ)
    with tempfile.TemporaryDirectory(prefix="plan-history-") as folder:
        for stored in store.list(history):
            name = stored.uri.removeprefix(history).lstrip("/") or stored.uri.rsplit("/", 1)[-1]
            store.download(stored.uri, key_path(Path(folder), name))
        yield Path(folder)


def _workload(
    options: PlanOptions, tuning: Tuning | None, size: HistorySize | None, together: int, max_payload: int
) -> Workload:
    """No more records go into a request than fit MaxPayloadInMB, less the 5 % that BuildShards keeps free."""
    from batchcast.planner.arithmetic import workload

    sample = tuning.measured.sample if tuning else None
    seconds = options.seconds if options.seconds is not None else (sample.seconds_mean if sample else None)
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
    record_mb = _record_mb(options, tuning, size)
    cv = options.seconds_cv if options.seconds_cv is not None else (sample.seconds_cv if sample else None)
    return workload.Workload(
        items=items,
        seconds=seconds,
        seconds_cv=workload.ASSUMED_SECONDS_CV if cv is None else cv,
        record_mb=record_mb,
        answer_mb=_ASSUMED_ANSWER_MB if options.answer_mb is None else options.answer_mb,
        items_per_request=max(1, min(together, int(0.95 * max_payload / max(record_mb, 1e-9)))),
    )


def _record_mb(options: PlanOptions, tuning: Tuning | None, size: HistorySize | None) -> float:
    if options.record_mb is not None:
        return options.record_mb
    if size is not None:
        return size.record_mb
    # A measurement keeps the largest record alone; the mean is no larger.
    return tuning.measured.sample.max_record_mb if tuning else _ASSUMED_RECORD_MB


def _assumed(instance_type: str) -> Capacity:
    from batchcast.planner.arithmetic.capacity import assumed_capacity, ideal_capacity
    from batchcast.planner.prices.instance_types import physical_cores, vcpus

    cores, threads = physical_cores(instance_type), vcpus(instance_type)
    return assumed_capacity(cores, threads) if cores and threads else ideal_capacity()


def _conditions(options: PlanOptions, tuning: Tuning | None, defaults: dict[str, Any]) -> Conditions:
    """Those of the measurement; where nobody measured a start, that of SageMaker or of this machine is assumed."""
    from dataclasses import replace

    from batchcast.planner.arithmetic.conditions import PRIOR, on_this_machine
    from batchcast.planner.arithmetic.tuned import conditions_of

    retries, timeout = defaults["invocations_max_retries"], float(defaults["invocations_timeout_in_seconds"])
    known = conditions_of(tuning) if tuning else replace(PRIOR, max_retries=retries, timeout=timeout)
    return on_this_machine(known) if options.on_this_machine and known.source == PRIOR.source else known
