"""What an instance hour costs: a dated table whose every row says where its number comes from.

One row holds the on-demand rate of a type in a region. Hosting, Batch Transform, Processing and asynchronous inference
have the same rate for the same type (AWS bill lines of December 2023, offer files of 2026); a row may still carry
another rate for one of them under `components`, keyed by the word of the usage type.
What the table has not is taken from what it has, and said: the same type in us-east-1, or another size of the same
family, whose price goes with its number of vCPU.
"""

import json
from collections.abc import Mapping
from dataclasses import field, replace
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from batchcast.planner.prices.instance_types import vcpus
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.store.documents import read_file

Component = Literal["Host", "Tsform", "Processing", "AsyncInf"]
"""Real-time endpoint, transform job, processing job, asynchronous endpoint: the words of the usage types, as in
`USE1-Tsform:ml.m5.4xlarge`."""
DEFAULT_REGION = "us-east-1"
PRICES_FILE = Path(__file__).with_name("prices.json")
STALE_DAYS = 180
_CONFIG = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Rate:
    """US dollars an hour of one instance type; `confidence` is listed, billed, derived, or given by hand; `us-east-1`
    for that region's price in another, and `by size` for that of another size."""

    usd: float
    as_of: date
    source: str
    confidence: str
    components: Mapping[Component, float] = field(default_factory=dict)

    def of(self, component: Component) -> float:
        return self.components.get(component, self.usd)

    def discounted(self, percent: float, *components: Component) -> Self:
        """With so much off these uses, as a Savings Plan has it."""
        cheaper = {one: self.of(one) * (1 - percent / 100) for one in components}
        return replace(self, components={**self.components, **cheaper})


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Fees:
    """What is paid besides instances, in US dollars."""

    endpoint_data_in_gb: float
    endpoint_data_out_gb: float
    s3_put_1k: float
    s3_get_1k: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """Rates by region and type, fees by region, and the texts that `Rate.source` names."""

    rates: Mapping[str, Mapping[str, Rate]]
    fees: Mapping[str, Fees]
    sources: Mapping[str, str]


_TABLE = TypeAdapter(PriceTable)


def load_prices(path: Path = PRICES_FILE) -> PriceTable:
    """Read a price table. Raises ConfigError for a file that is none."""
    try:
        return _TABLE.validate_json(read_file(path, "prices"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = f"is no price table ({'.'.join(map(str, first['loc']))}: {first['msg']})."
        remedy = "Use the shape of planner/prices.json."
        raise ConfigError(Problem("prices", what, where=str(path), remedy=remedy)) from error


def dump_prices(table: PriceTable) -> str:
    """The table as JSON, a line a row, so that a change of price is a readable diff."""
    document = _TABLE.dump_python(table, mode="json", exclude_defaults=True)
    lines = ["{", ' "sources": {', _rows(document["sources"]), " },", ' "fees": {', _rows(document["fees"]), " },"]
    blocks = [
        f"  {json.dumps(region)}: {{\n{_rows(rates, indent=3)}\n  }}"
        for region, rates in sorted(document["rates"].items())
    ]
    return "\n".join([*lines, ' "rates": {', ",\n".join(blocks), " }", "}", ""])


def rate_of(table: PriceTable, region: str, instance_type: str, *, price_per_hour: float | None, today: date) -> Rate:
    """The rate of a type: the one given, else the table's, else the nearest to it that the table tells.

    Raises ConfigError when there is none.
    """
    if price_per_hour is not None:
        if price_per_hour <= 0:
            raise ConfigError(Problem("price", f"{price_per_hour} USD an hour is no price.", where="--price-per-hour"))
        return Rate(usd=price_per_hour, as_of=today, source="given", confidence="given")
    found = find_rate(table, region, instance_type)
    if found is None:
        raise ConfigError(_unknown(table, region, instance_type))
    return found


def find_rate(table: PriceTable, region: str, instance_type: str) -> Rate | None:
    """The table's rate of a type, else the nearest to it that the table tells; None where it tells none."""
    here, there = table.rates.get(region, {}), table.rates.get(DEFAULT_REGION, {})
    found = here.get(instance_type) or _by_size(here, instance_type)
    if found is None and (found := there.get(instance_type) or _by_size(there, instance_type)):
        found = replace(found, confidence=DEFAULT_REGION)
    return found


def _by_size(rates: Mapping[str, Rate], instance_type: str) -> Rate | None:
    """From the largest size of the family that has a price: AWS's on-demand prices go with the vCPU in a family."""
    family, wanted = instance_type.rpartition(".")[0], vcpus(instance_type)
    kin = {count: rate for name, rate in rates.items() if name.rpartition(".")[0] == family and (count := vcpus(name))}
    if not (kin and wanted):
        return None
    largest = kin[max(kin)]
    return replace(largest, usd=round(largest.usd * wanted / max(kin), 4), confidence="by size", components={})


def fees_of(table: PriceTable, region: str) -> Fees:
    """The fees of a region; where the table has none, those of us-east-1 (`price_warnings` says so)."""
    return table.fees.get(region, table.fees[DEFAULT_REGION])


def price_warnings(table: PriceTable, region: str, rates: Mapping[str, Rate], today: date) -> list[str]:
    """What a reader must know about the prices of a plan; `rates` by instance type."""
    warnings = []
    for name, rate in rates.items():
        age = (today - rate.as_of).days
        if age > STALE_DAYS:
            warnings.append(
                f"the price of {name} is {age} days old ({rate.as_of}), more than {STALE_DAYS}: "
                f"`prices refresh --region {region}` brings it up to date."
            )
        if rate.confidence == "derived":
            warnings.append(f"the price of {name} is derived, not read from a price list: {table.sources[rate.source]}")
        if rate.confidence == "by size":
            warnings.append(f"the price of {name} follows by its size from another of its family.")
        if rate.confidence == DEFAULT_REGION != region:
            what = f"the price of {name} is that of {DEFAULT_REGION}, the table has none for {region}"
            warnings.append(f"{what}: `prices refresh --region {region}` adds it.")
    if region not in table.fees:
        warnings.append(f"the table has no data and request fees for {region}: those of {DEFAULT_REGION} are used.")
    return warnings


def _rows(rows: Mapping[str, Any], indent: int = 2) -> str:
    return ",\n".join(f"{' ' * indent}{json.dumps(key)}: {json.dumps(value)}" for key, value in rows.items())


def _unknown(table: PriceTable, region: str, instance_type: str) -> Problem:
    near = get_close_matches(instance_type, list(table.rates.get(region, {})), n=3, cutoff=0.5)
    known = f" Nearest with a price: {', '.join(near)}." if near else f" The table has no prices for {region}."
    return Problem(
        "price",
        f"there is no price for {instance_type} in {region}.{known}",
        where="--instance-type",
        remedy=f"Give --price-per-hour, or add the region's prices with `prices refresh --region {region}`.",
    )
