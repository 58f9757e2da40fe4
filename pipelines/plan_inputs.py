"""The options of `plan`, `simulate` and the budget guard, turned into the inputs of the planner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from steps.errors import ConfigError, Problem

if TYPE_CHECKING:
    from planner.inputs import PlanInputs
    from planner.prices import PriceTable

__all__ = ["PlanOptions", "plan_inputs", "plan_options", "price_table"]

_Command = TypeVar("_Command", bound=Callable[..., Any])
# A record of a year of hourly rows is about 1 MB, an answer of 31 days about 2 kB.
_ASSUMED_RECORD_MB = 1.0
_ASSUMED_ANSWER_MB = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What was said on the command line; None is: not said."""

    items: int | None = None
    seconds: float | None = None
    seconds_cv: float | None = None
    record_mb: float | None = None
    answer_mb: float | None = None
    instance_type: str | None = None
    instances: int | None = None
    concurrency: int | None = None
    max_payload: int | None = None
    records_per_shard: int | None = None
    files: int | None = None
    region: str | None = None
    price_per_hour: float | None = None
    prices: Path | None = None
    endpoint_instances: int | None = None
    endpoint_requests: int | None = None
    endpoint_discount: float | None = None
    ad_hoc: int | None = None
    quota: int | None = None
    tuning: Path | None = None


def plan_options(command: _Command) -> _Command:
    """The options that `PlanOptions` holds, on a click command."""
    file = click.Path(path_type=Path, dir_okay=False)
    for option in reversed(
        [
            click.option("--items", type=click.IntRange(1), help="Records of a run."),
            click.option("--seconds", type=float, help="Seconds a record takes alone, one request in flight."),
            click.option("--seconds-cv", type=float, help="Their standard deviation by their mean. Assumed: 0.5."),
            click.option("--record-mb", type=float, help="Size of a record in MB. Assumed: 1."),
            click.option("--answer-mb", type=float, help="Size of an answer in MB. Assumed: 0.002."),
            click.option("--instance-type", metavar="TYPE", help="Default: that of the pipeline."),
            click.option("--instances", type=click.IntRange(1), help="Instances of the job. Default: the pipeline's."),
            click.option("--concurrency", type=click.IntRange(1), help="Requests in flight an instance."),
            click.option("--max-payload", type=click.IntRange(1, 100), help="MaxPayloadInMB. Default: the pipeline's."),
            click.option("--records-per-shard", type=click.IntRange(0), help="Default: by the shard rule."),
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
    from planner.prices import PRICES_FILE, load_prices

    return load_prices(options.prices or PRICES_FILE)


def plan_inputs(options: PlanOptions, table: PriceTable, today: date) -> PlanInputs:
    """Defaults filled in from the pipeline's parameters. Raises ConfigError for what is missing or impossible."""
    from pipelines import instance_types
    from pipelines.parameters import Parameters
    from planner import inputs
    from planner.instance_types import check_transform_type
    from planner.prices import DEFAULT_REGION, fees_of, rate_of
    from planner.tuning import check_tuning_fits, conditions_of, read_tuning

    defaults = {name: field.default for name, field in Parameters.model_fields.items()}
    tuning = read_tuning(options.tuning) if options.tuning else None
    instance_type = options.instance_type or defaults["transform_instance_type"]
    check_transform_type(instance_type, instance_types.of_transform())
    if tuning:
        check_tuning_fits(tuning, instance_type=instance_type)
    region = options.region or DEFAULT_REGION
    rate = rate_of(table, region, instance_type, price_per_hour=options.price_per_hour, today=today)
    processing_type = defaults["processing_instance_type"]
    given = options.price_per_hour if instance_type == processing_type else None
    settings = tuning.parameters if tuning else None
    return inputs.PlanInputs(
        workload=_workload(options, tuning),
        region=region,
        instance_type=instance_type,
        instances=options.instances or defaults["transform_instance_count"],
        concurrency=options.concurrency
        or (settings.max_concurrent_transforms if settings else defaults["max_concurrent_transforms"]),
        max_payload_mb=options.max_payload
        or (settings.max_payload_in_mb if settings else defaults["max_payload_in_mb"]),
        rate=rate,
        processing_type=processing_type,
        # Where the table lacks the processing type too, the given price stands for it: it is 0.2 % of the run.
        processing_rate=table.rates.get(region, {}).get(processing_type, rate) if given is None else rate,
        fees=fees_of(table, region),
        capacity=tuning.capacity.capacity() if tuning else _assumed(instance_type),
        conditions=conditions_of(tuning) if tuning else _prior(defaults),
        endpoint_instances=options.endpoint_instances or inputs.ENDPOINT_INSTANCES,
        endpoint_requests=options.endpoint_requests or inputs.ENDPOINT_REQUESTS,
        endpoint_discount_percent=options.endpoint_discount or 0.0,
        ad_hoc_requests=inputs.AD_HOC_REQUESTS if options.ad_hoc is None else options.ad_hoc,
        quota=options.quota,
        records_per_shard=options.records_per_shard or defaults["records_per_shard"],
        files=options.files,
    )


def _workload(options: PlanOptions, tuning: Any) -> Any:
    from planner.workload import ASSUMED_SECONDS_CV, Workload

    sample = tuning.measured.sample if tuning else None
    seconds = options.seconds if options.seconds is not None else (sample.seconds_mean if sample else None)
    missing = [
        Problem("plan", "is needed.", where=name, remedy=remedy)
        for name, value, remedy in (
            ("--items", options.items, "Give the number of records, or --history."),
            ("--seconds", seconds, "Give the seconds a record takes alone, or --tuning."),
        )
        if value is None
    ]
    if options.items is None or seconds is None:
        raise ConfigError(*missing)
    cv = options.seconds_cv if options.seconds_cv is not None else (sample.seconds_cv if sample else ASSUMED_SECONDS_CV)
    return Workload(
        items=options.items,
        seconds=seconds,
        seconds_cv=cv,
        record_mb=_ASSUMED_RECORD_MB if options.record_mb is None else options.record_mb,
        answer_mb=_ASSUMED_ANSWER_MB if options.answer_mb is None else options.answer_mb,
    )


def _assumed(instance_type: str) -> Any:
    from planner.capacity import assumed_capacity, ideal_capacity
    from planner.instance_types import physical_cores, vcpus

    cores, threads = physical_cores(instance_type), vcpus(instance_type)
    return assumed_capacity(cores, threads) if cores and threads else ideal_capacity()


def _prior(defaults: dict[str, Any]) -> Any:
    from dataclasses import replace

    from planner.conditions import PRIOR

    return replace(
        PRIOR,
        max_retries=defaults["invocations_max_retries"],
        timeout=float(defaults["invocations_timeout_in_seconds"]),
    )
