"""`prices`: the price table, shown or brought up to date."""

from pathlib import Path
from typing import Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import FILE
from batchcast.cli.terminal import plain_table, stdout_console
from batchcast.session.session import AwsSession, pages
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.store.objects import write_file


@click.group()
def prices_command() -> None:
    """The price table: show it, or bring it up to date."""


@prices_command.command("show")
@click.option("--region", default="us-east-1")
def prices_show_command(region: str) -> None:
    """The rates of a region with date, confidence and source."""
    from batchcast.planner.prices.prices import load_prices

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


@prices_command.command()
@click.option("--region", required=True, help="As AWS spells it: eu-west-1.")
@click.option("--csv", "offer_file", type=click.File("r"), help="The region's index.csv; - for stdin; else the API.")
@click.option("--table", type=FILE, help="The table to change, instead of ours.")
@click.option("--yes", is_flag=True, help="Write without asking; the diff is printed either way.")
@click.option("--profile", help="For the API: a profile of ~/.aws/config.")
def refresh_command(region: str, offer_file: Any, table: Path | None, yes: bool, profile: str | None) -> None:
    """Read the prices of a region anew and show what changes, for review.

    Without credentials: download index.csv of the region from below
    https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonSageMaker/current/ and give it as --csv.
    """
    from batchcast.planner.prices.price_list import changes, merge, offer_of_csv, offer_of_query
    from batchcast.planner.prices.prices import PRICES_FILE, dump_prices, load_prices

    path = table or PRICES_FILE
    before = load_prices(path)
    offer = offer_of_csv(offer_file, region) if offer_file else offer_of_query(_listed(region, profile), region)
    after = merge(before, offer)
    changed = changes(before, after, region)
    echo(f"{region}, version {offer.version}, published {offer.published}: {len(offer.prices)} rows")
    for name, old, new in changed:
        echo(f"{'- ' + f'{old.usd:g}' if old else '':>12}  {'+ ' + f'{new.usd:g}' if new else '':>12}  {name}")
    echo(f"{len(changed)} of {len(after.rates[region])} types change.")
    if yes or click.confirm(f"Write {path}?"):
        write_file(path, dump_prices(after).encode())
        echo(f"Wrote {path}.")


def _listed(region: str, profile: str | None) -> list[str]:
    """All rows of the service in a region. The API answers in us-east-1, eu-central-1 and ap-south-1 only."""
    listing = pages(
        AwsSession("us-east-1", profile).client("pricing").get_products,
        ServiceCode="AmazonSageMaker",
        Filters=[{"Type": "TERM_MATCH", "Field": "regionCode", "Value": region}],
    )
    return [row for page in listing for row in page["PriceList"]]
