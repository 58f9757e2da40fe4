"""`async status`: instances, queue, scaling and cost of the endpoint."""

import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from batchcast.cli.echo import echo, echo_json
from batchcast.cli.options import ACCOUNT_ALONE_OPTIONS, ENDPOINT_OPTION, JSON_OPTION
from batchcast.planner.prices.prices import load_prices
from batchcast.serving.endpoint.endpoint import read_async_settings
from batchcast.serving.endpoint.settings import AsyncSettings
from batchcast.serving.endpoint.status import AsyncStatus, async_status
from batchcast.session.session import open_session
from batchcast.steps.errors import ConfigError


@click.command("status")
@ENDPOINT_OPTION
@ACCOUNT_ALONE_OPTIONS
@click.option("--price-per-hour", type=float, help="USD an instance hour, instead of the price table's.")
@JSON_OPTION
def async_status_command(endpoint: str, price_per_hour: float | None, as_json: bool, **where: Any) -> None:
    """Instances, queue, whether its scaling is whole, and what it cost since Monday.

    Exit code 2 when something keeps it from waking, growing or sleeping.
    """
    session = open_session(**where)
    now = datetime.now(UTC)
    found = async_status(endpoint, session.client, now)
    monday = (now - timedelta(days=now.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
    hours = found.instance_hours(monday, now)
    usd = _usd_per_hour(read_async_settings(endpoint, session.client), session.region, price_per_hour)
    if as_json:
        echo_json(_status_document(found, hours, usd))
    else:
        print_status(found, hours, usd)
    if found.problems:
        sys.exit(ConfigError.exit_code)


def _usd_per_hour(settings: AsyncSettings, region: str, price_per_hour: float | None) -> float | None:
    """USD an instance hour; None where nobody said and the table has no such type in the region."""
    if price_per_hour is not None:
        return price_per_hour
    rate = load_prices().rates.get(region, {}).get(settings.instance_type)
    return rate.of("AsyncInf") if rate else None


def _status_document(found: AsyncStatus, hours: float, usd: float | None) -> dict[str, Any]:
    """The status as --json prints it; `hours` of instances since Monday, `usd` an hour of one."""
    shown = {name: value for name, value in asdict(found).items() if name != "changes"}
    return {
        **shown,
        "problems": [str(problem) for problem in found.problems],
        "instance_hours_since_monday": round(hours, 3),
        "cost_usd_since_monday": None if usd is None else round(hours * usd, 2),
    }


def print_status(found: AsyncStatus, hours: float, usd: float | None) -> None:
    oldest = "" if found.oldest_age_seconds is None else f", the oldest of {found.oldest_age_seconds:,.0f} s"
    queue = "not measured" if found.backlog is None else f"{found.backlog:,.0f} requests{oldest}"
    expired = "not measured" if found.expired_last_day is None else f"{found.expired_last_day:,.0f} requests"
    price = "--price-per-hour says what they cost" if usd is None else f"${hours * usd:,.2f}"
    going = "" if found.desired_instances == found.instances else f", going to {found.desired_instances}"
    asleep = " (asleep)" if found.instances == found.desired_instances == 0 else ""
    rows = {
        "Endpoint": f"{found.endpoint} ({found.status})",
        "Instances": f"{found.instances}{going}{asleep}",
        "Queue": queue,
        "Expired": f"{expired} in the last day",
        "Since Monday": f"{hours:.2f} instance hours, {price}",
        "Scaling": "whole" if not found.problems else "not whole:",
    }
    for name, text in rows.items():
        echo(f"{name + ':':<14}{text}")
    for problem in found.problems:
        echo(f"  {problem}")
