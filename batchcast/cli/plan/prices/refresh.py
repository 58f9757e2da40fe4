"""`prices refresh`: read the prices of a region anew."""

from pathlib import Path
from typing import Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import FILE
from batchcast.planner.prices.price_list import changes, merge, offer_of_csv, offer_of_query
from batchcast.planner.prices.prices import PRICES_FILE, dump_prices, load_prices
from batchcast.session.session import AwsSession, pages
from batchcast.steps.store.objects import write_file


@click.command()
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
