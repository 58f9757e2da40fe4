"""What `async status` prints."""

from __future__ import annotations

from typing import Any

from batchcast.cli.echo import echo
from batchcast.serving.endpoint.settings import AsyncSettings
from batchcast.serving.endpoint.status import AsyncStatus


def usd_per_hour(settings: AsyncSettings, region: str, price_per_hour: float | None) -> float | None:
    """USD an instance hour; None where nobody said and the table has no such type in the region."""
    from batchcast.planner.prices.prices import load_prices

    if price_per_hour is not None:
        return price_per_hour
    rate = load_prices().rates.get(region, {}).get(settings.instance_type)
    return rate.of("AsyncInf") if rate else None


def status_document(found: AsyncStatus, hours: float, usd: float | None) -> dict[str, Any]:
    """The status as --json prints it; `hours` of instances since Monday, `usd` an hour of one."""
    return {
        "endpoint": found.endpoint,
        "status": found.status,
        "instances": found.instances,
        "desired_instances": found.desired,
        "backlog": found.backlog,
        "oldest_age_seconds": found.oldest_age,
        "expired_last_day": found.expired_today,
        "problems": [str(problem) for problem in found.problems],
        "instance_hours_since_monday": round(hours, 3),
        "cost_usd_since_monday": None if usd is None else round(hours * usd, 2),
    }


def print_status(found: AsyncStatus, hours: float, usd: float | None) -> None:
    """The same in words."""

    oldest = "" if found.oldest_age is None else f", the oldest of {found.oldest_age:,.0f} s"
    queue = "not measured" if found.backlog is None else f"{found.backlog:,.0f} requests{oldest}"
    expired = "not measured" if found.expired_today is None else f"{found.expired_today:,.0f} requests"
    cost = f"{hours:.2f} instance hours, " + (
        "--price-per-hour says what they cost" if usd is None else f"${hours * usd:,.2f}"
    )
    instances = f"{found.instances}" + (f", going to {found.desired}" if found.desired != found.instances else "")
    rows = {
        "Endpoint": f"{found.endpoint} ({found.status})",
        "Instances": f"{instances}{' (asleep)' if found.instances == found.desired == 0 else ''}",
        "Queue": queue,
        "Expired": f"{expired} in the last day",
        "Since Monday": cost,
        "Scaling": "whole" if not found.problems else "not whole:",
    }
    for name, text in rows.items():
        echo(f"{name + ':':<14}{text}")
    for problem in found.problems:
        echo(f"  {problem}")
