"""`prices show`: the rates of a region."""

import click

from batchcast.cli.terminal import plain_table, stdout_console
from batchcast.planner.prices.prices import load_prices
from batchcast.steps.errors import ConfigError, Problem


@click.command("show")
@click.option("--region", default="us-east-1")
def prices_show_command(region: str) -> None:
    """The rates of a region with date, confidence and source."""
    known = load_prices()
    rates = known.rates.get(region)
    if not rates:
        remedy = f"Known: {', '.join(sorted(known.rates))}. `prices refresh --region {region}` adds it."
        raise ConfigError(Problem("region", f"there are no prices for {region}.", "--region", remedy))
    rows = [
        (name, f"{rate.usd:g}", rate.as_of.isoformat(), rate.confidence, rate.source) for name, rate in rates.items()
    ]
    console = stdout_console()
    console.print(plain_table("Type", "USD an hour", "As of", "Confidence", "Source", rows=rows, numbers=[1]))
    for name in sorted({rate.source for rate in rates.values()}):
        console.print(f"{name}: {known.sources[name]}", style="dim")
