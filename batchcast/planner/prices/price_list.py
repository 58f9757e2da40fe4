"""Rates out of AWS's price list: the rows of its query API, or the CSV file of one region.

What a row is for is read from its usage type (`EUW1-Tsform:ml.m5.xlarge`) alone: the other attributes of a row are
spelled differently from service to service and year to year, and filters on them find nothing or the notebook's rate.
The files: https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonSageMaker/current/<region>/index.csv, of which
the first five lines carry the version and the date of publication.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import islice
from typing import cast, get_args

from batchcast.planner.prices.prices import Component, PriceTable, Rate
from batchcast.steps.errors import ConfigError, DataError, Problem

_USAGE_TYPE = re.compile(rf"(?:[A-Z0-9]+-)?({'|'.join(get_args(Component))}):(ml\.[a-z0-9-]+\.[a-z0-9]+)")
_CSV_PREAMBLE = 5


_Row = tuple[Component, str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One region as published on a day: on-demand US dollars an hour by what a type is used for, and the type."""

    region: str
    version: str
    published: date
    prices: Mapping[tuple[Component, str], float]


def offer_of_query(rows: Iterable[str], region: str) -> Offer:
    """From the `PriceList` entries that `pricing.get_products(ServiceCode="AmazonSageMaker", …)` returns.

    Raises DataError for prices that contradict each other or are zero, ConfigError when the region has none.
    """
    documents = [json.loads(row) for row in rows]
    here = [row for row in documents if row["product"]["attributes"].get("regionCode") == region]
    prices = [
        price
        for row in here
        for term in row.get("terms", {}).get("OnDemand", {}).values()
        for dimension in term["priceDimensions"].values()
        for price in _classify(row["product"]["attributes"].get("usagetype", ""), dimension["pricePerUnit"].get("USD"))
    ]
    newest: Mapping[str, object] = max(here, key=lambda row: str(row.get("publicationDate", "")), default={})
    return _offer(region, str(newest.get("version", "")), str(newest.get("publicationDate", "")), prices)


def offer_of_csv(lines: Iterable[str], region: str) -> Offer:
    """From the lines of the region's offer file. Raises as `offer_of_query`; ConfigError for another kind of file."""
    stream = iter(lines)
    preamble = dict(row[:2] for row in csv.reader(islice(stream, _CSV_PREAMBLE)) if len(row) > 1)
    if "Publication Date" not in preamble:
        what = "the file does not begin with the five lines of an offer file (Version, Publication Date)."
        raise ConfigError(Problem("price_list", what, remedy="Give the region's index.csv as it was downloaded."))
    prices: list[_Row] = []
    for row in csv.DictReader(stream):
        columns = {name.lower().replace(" ", ""): value for name, value in row.items() if name}
        if columns.get("termtype") == "OnDemand" and columns.get("regioncode") == region:
            prices += _classify(columns.get("usagetype", ""), columns.get("priceperunit"))
    return _offer(region, preamble.get("Version", ""), preamble["Publication Date"], prices)


def merge(table: PriceTable, offer: Offer) -> PriceTable:
    """The table with the offer's rows in place of the region's old ones; types that the offer lacks are kept."""
    source = f"offer-{offer.region}-{offer.version or offer.published.isoformat()}"
    text = f"AWS offer file of AmazonSageMaker, {offer.region}, version {offer.version}, published {offer.published}"
    rates = {**table.rates.get(offer.region, {}), **_rates(offer, source)}
    merged = {**table.rates, offer.region: rates}
    used = {rate.source for of_region in merged.values() for rate in of_region.values()}
    sources = {name: known for name, known in {**table.sources, source: text}.items() if name in used}
    return replace(table, rates=merged, sources=sources)


def changes(before: PriceTable, after: PriceTable, region: str) -> list[tuple[str, Rate | None, Rate | None]]:
    """The types of a region whose dollars differ: name, old, new."""
    old, new = before.rates.get(region, {}), after.rates.get(region, {})
    return [
        (name, old.get(name), new.get(name))
        for name in sorted(old.keys() | new.keys())
        if _dollars(old.get(name)) != _dollars(new.get(name))
    ]


def _classify(usage_type: str, usd: str | None) -> Iterator[_Row]:
    match = _USAGE_TYPE.fullmatch(usage_type)
    if match and usd is not None:
        yield cast(Component, match[1]), match[2], float(usd)


def _offer(region: str, version: str, published: str, rows: list[_Row]) -> Offer:
    if not rows:
        what = f"the price list has no instance prices for {region}."
        raise ConfigError(Problem("price_list", what, remedy="Name a region as AWS spells it, such as eu-west-1."))
    problems = [
        Problem("price_zero", f"{component}:{name} is listed at {usd} USD.", where=region)
        for component, name, usd in rows
        if usd <= 0
    ]
    listed: dict[tuple[Component, str], set[float]] = {}
    for component, name, usd in rows:
        listed.setdefault((component, name), set()).add(usd)
    problems += [
        Problem("price_conflict", f"{component}:{name} has the prices {sorted(several)} USD.", where=region)
        for (component, name), several in listed.items()
        if len(several) > 1
    ]
    DataError.raise_any(problems)
    day = datetime.fromisoformat(published).date()
    prices = {key: max(usd_of_key) for key, usd_of_key in listed.items()}
    return Offer(region=region, version=version, published=day, prices=prices)


def _rates(offer: Offer, source: str) -> dict[str, Rate]:
    by_type: dict[str, dict[Component, float]] = {}
    for (component, name), usd in offer.prices.items():
        by_type.setdefault(name, {})[component] = usd
    return {
        name: Rate(
            usd=usd,
            as_of=offer.published,
            source=source,
            confidence="listed",
            components={component: other for component, other in of.items() if other != usd},
        )
        for name, of in sorted(by_type.items())
        for usd in [of.get("Tsform", next(iter(of.values())))]
    }


def _dollars(rate: Rate | None) -> tuple[float, Mapping[Component, float]] | None:
    return None if rate is None else (rate.usd, rate.components)
