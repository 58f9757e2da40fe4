from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from batchcast.planner.prices.price_list import Offer, changes, merge, offer_of_csv, offer_of_query
from batchcast.planner.prices.prices import load_prices
from batchcast.steps.errors import ConfigError, DataError

HEADER = (
    '"SKU","TermType","PriceDescription","Unit","PricePerUnit","Currency","Product Family","Location","usageType",'
    '"operation","Region Code","Instance Name"'
)


def csv_line(usage_type: str, usd: str, *, term: str = "OnDemand", region: str = "eu-west-1") -> str:
    return f'"X","{term}","a, b","Hrs","{usd}","USD","ML Instance","Ireland","{usage_type}","RunInstance","{region}",""'


def csv_file(*lines: str) -> list[str]:
    preamble = ['"FormatVersion","v1.0"', '"Disclaimer","none"', '"Publication Date","2026-10-04T21:50:12Z"']
    return [*preamble, '"Version","20261004215012"', '"OfferCode","AmazonSageMaker"', HEADER, *lines]


def api_row(usage_type: str, usd: str, *, region: str = "eu-west-1", **attributes: str) -> str:
    row: dict[str, Any] = {
        "product": {"attributes": {"usagetype": usage_type, "regionCode": region, **attributes}},
        "terms": {"OnDemand": {"X.Y": {"priceDimensions": {"X.Y.Z": {"unit": "Hrs", "pricePerUnit": {"USD": usd}}}}}},
        "version": "20261004215012",
        "publicationDate": "2026-10-04T21:50:12Z",
    }
    return json.dumps(row)


def found(offer: Offer) -> dict[str, float]:
    return {f"{component}:{name}": usd for (component, name), usd in offer.prices.items()}


def test_csv_rows_are_told_apart_by_usage_type_alone() -> None:
    offer = offer_of_csv(
        csv_file(
            csv_line("EUW1-Host:ml.m5.xlarge", "0.2570000000"),
            csv_line("EUW1-Tsform:ml.m5.xlarge", "0.2570000000"),
            csv_line("EUW1-Notebk:ml.m5.xlarge", "0.9"),
            csv_line("EUW1-Studio_JupyterLab:ml.m5.xlarge", "0.9"),
            csv_line("EUW1-Host:ml.m5.xlarge-extra", "0.9"),
            csv_line("EUW1-Tsform:ml.m5.xlarge", "0.1", term="Reserved"),
            csv_line("EUW2-Tsform:ml.m5.xlarge", "0.3", region="eu-west-2"),
        ),
        "eu-west-1",
    )
    assert found(offer) == {"Host:ml.m5.xlarge": 0.257, "Tsform:ml.m5.xlarge": 0.257}
    assert (offer.published, offer.version) == (date(2026, 10, 4), "20261004215012")


def test_api_rows_give_the_same_as_the_csv() -> None:
    rows = [
        api_row("EUW1-AsyncInf:ml.g6.xlarge", "1.4302", instanceType="ml.g6.xlarge-AsyncInf"),
        api_row("EUW1-Processing:ml.m5.xlarge", "0.257"),
        api_row("EUW1-Notebk:ml.m5.xlarge", "0.9", instanceType="ml.m5.xlarge"),
        api_row("Tsform:ml.m5.xlarge", "0.23", region="us-east-1"),
    ]
    assert found(offer_of_query(rows, "eu-west-1")) == {
        "AsyncInf:ml.g6.xlarge": 1.4302,
        "Processing:ml.m5.xlarge": 0.257,
    }
    assert found(offer_of_query(rows, "us-east-1")) == {"Tsform:ml.m5.xlarge": 0.23}


def test_two_prices_for_one_key_are_refused() -> None:
    rows = [api_row("EUW1-Host:ml.m5.xlarge", "0.257"), api_row("EUW1-Host:ml.m5.xlarge", "0.300")]
    with pytest.raises(DataError, match=r"Host:ml\.m5\.xlarge has the prices \[0\.257, 0\.3\]"):
        offer_of_query(rows, "eu-west-1")


def test_a_price_of_zero_is_refused() -> None:
    with pytest.raises(DataError, match=r"Tsform:ml\.m5\.xlarge is listed at 0"):
        offer_of_csv(csv_file(csv_line("EUW1-Tsform:ml.m5.xlarge", "0.0000000000")), "eu-west-1")


def test_a_region_that_the_list_lacks_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no instance prices for mars-1"):
        offer_of_query([api_row("EUW1-Host:ml.m5.xlarge", "0.257")], "mars-1")


def test_another_kind_of_csv_is_refused() -> None:
    with pytest.raises(ConfigError, match="Publication Date"):
        offer_of_csv(["item,sales", "a,1", "b,2"], "eu-west-1")


def test_a_merge_changes_the_rows_of_the_offer_and_keeps_the_others() -> None:
    before = load_prices()
    rows = [
        api_row("Tsform:ml.m5.4xlarge", "0.95", region="us-east-1"),
        api_row("Host:ml.m5.4xlarge", "0.96", region="us-east-1"),
        api_row("Tsform:ml.c5.xlarge", "0.204", region="us-east-1"),
    ]
    after = merge(before, offer_of_query(rows, "us-east-1"))
    rate = after.rates["us-east-1"]["ml.m5.4xlarge"]
    assert (rate.usd, rate.of("Host"), rate.of("AsyncInf"), rate.as_of) == (0.95, 0.96, 0.95, date(2026, 10, 4))
    assert "20261004215012" in after.sources[rate.source]
    assert after.rates["us-east-1"].keys() == before.rates["us-east-1"].keys()
    assert after.rates["eu-west-1"] == before.rates["eu-west-1"]
    assert [name for name, _, _ in changes(before, after, "us-east-1")] == ["ml.m5.4xlarge"]


def test_sources_that_no_row_names_any_more_go_away() -> None:
    table = load_prices()
    after = merge(table, offer_of_query([api_row("EUW1-Host:ml.m5.xlarge", "0.257")], "eu-west-1"))
    assert "bill-2023-12" in table.sources
    assert "bill-2023-12" not in after.sources
    assert changes(table, after, "eu-west-1") == []
