"""The options of `plan` and `simulate`."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import click

from batchcast.session.session import together

_FILE = click.Path(path_type=Path, dir_okay=False)


def _option(kind: Any, text: str, metavar: str | None = None) -> Any:
    return field(default=None, metadata={"type": kind, "help": text, "metavar": metavar})


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What was given on the command line, None where nothing was. `on_this_machine` as in `check_tuning_fits`."""

    items: int | None = _option(click.IntRange(1, 1_000_000_000), "Records of a run.")
    history: str | None = _option(str, "Parquet history to count records of, instead.", "DIR|FILE|S3URI")
    contract: Path | None = _option(_FILE, "The model.toml of that history.")  # noqa: RUF009
    run_date: str | None = _option(str, "Last day of that history to use. Default: its last.", "DATE")
    horizon: int | None = _option(click.IntRange(1), "Steps to forecast. Default: the pipeline's.")
    seconds: float | None = _option(float, "Seconds a request takes, one in flight.")
    seconds_cv: float | None = _option(float, "Their standard deviation by their mean. Assumed: 0.5.")
    record_mb: float | None = _option(float, "Size of a record in MB. Assumed: 1, or the largest measured.")
    answer_mb: float | None = _option(float, "Size of an answer in MB. Assumed: 0.002.")
    instance_type: str | None = _option(str, "Default: that of the pipeline.", "TYPE")
    instances: int | None = _option(click.IntRange(1), "Instances of the job. Default: the pipeline's.")
    concurrency: int | None = _option(click.IntRange(1), "Requests in flight an instance.")
    max_payload: int | None = _option(click.IntRange(1, 100), "MaxPayloadInMB. Default: the pipeline's.")
    records_per_shard: int | None = _option(click.IntRange(0), "Default: by the shard rule.")
    items_per_request: int | None = _option(click.IntRange(1), "Records of one. Default: the contract's, or 1.")
    files: int | None = _option(click.IntRange(1), "Input files that exist already, of equal size.")
    region: str | None = _option(str, "Default: us-east-1.")
    price_per_hour: float | None = _option(float, "USD an instance hour, instead of the table's.")
    prices: Path | None = _option(_FILE, "Another price table.")  # noqa: RUF009
    endpoint_instances: int | None = _option(click.IntRange(1), "Of the endpoint to compare with: 3.")
    endpoint_requests: int | None = _option(click.IntRange(1), "In flight on that endpoint: 20.")
    endpoint_discount: float | None = _option(click.FloatRange(0, 100), "Percent off it: Savings Plan.")
    batch_discount: float | None = _option(click.FloatRange(0, 100), "Percent off the batch run: Savings Plan.")
    ad_hoc: int | None = _option(click.IntRange(0), "Ad-hoc requests a week: 10.")
    quota: int | None = _option(click.IntRange(0), "The account's limit of instances in transform jobs.")
    tuning: Path | None = _option(_FILE, "tuning.json of this model: measured speed and concurrency.")  # noqa: RUF009
    on_this_machine: bool = False


plan_options = together(
    *(click.option(f"--{one.name.replace('_', '-')}", **one.metadata) for one in fields(PlanOptions) if one.metadata)
)
