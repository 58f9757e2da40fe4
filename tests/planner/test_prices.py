from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest

from batchcast.planner.plan.options import PlanOptions
from batchcast.planner.plan.prepare import plan_inputs
from batchcast.planner.prices.prices import Rate, _by_size, dump_prices, fees_of, load_prices, price_warnings, rate_of
from batchcast.steps.errors import ConfigError

TODAY = date(2026, 5, 1)


def test_the_shipped_table_survives_a_round_trip(tmp_path: Path) -> None:
    table = load_prices()
    copy = tmp_path / "prices.json"
    copy.write_text(dump_prices(table))
    assert load_prices(copy) == table


def test_every_shipped_row_has_a_source_text_and_a_positive_rate() -> None:
    table = load_prices()
    rates = [rate for rows in table.rates.values() for rate in rows.values()]
    assert len(rates) > 40
    assert all(rate.usd > 0 and rate.source in table.sources for rate in rates)


def test_a_type_without_a_price_names_its_neighbours_and_the_way_out() -> None:
    with pytest.raises(ConfigError, match=r"ml\.m4\.4xlarge in us-east-1.*Nearest.*ml\.m\d.*--price-per-hour"):
        rate_of(load_prices(), "us-east-1", "ml.m4.4xlarge", price_per_hour=None, today=TODAY)


def test_another_size_of_a_family_is_derived_by_its_vcpus_and_said() -> None:
    rates = load_prices().rates["us-east-1"]
    assert "ml.m5.8xlarge" not in rates
    found = rate_of(load_prices(), "us-east-1", "ml.m5.8xlarge", price_per_hour=None, today=TODAY)
    assert found.usd == pytest.approx(2 * rates["ml.m5.4xlarge"].usd, rel=0.001)
    assert found.confidence == "by size"
    assert any("another of its family" in line for line in warnings(TODAY, name="ml.m5.8xlarge"))


def test_the_sizes_that_are_listed_go_with_their_vcpus() -> None:
    rates = load_prices().rates["us-east-1"]
    for name, rate in rates.items():
        others = {other: known for other, known in rates.items() if other != name}
        derived = _by_size(others, name)
        if derived is not None and not name.startswith("ml.g"):  # a GPU is in the price of each size
            assert derived.usd == pytest.approx(rate.usd, rel=0.05), name


def test_the_price_of_another_region_is_marked_as_such() -> None:
    found = rate_of(load_prices(), "eu-central-1", "ml.m5.4xlarge", price_per_hour=None, today=TODAY)
    assert (found.usd, found.confidence) == (load_prices().rates["us-east-1"]["ml.m5.4xlarge"].usd, "us-east-1")
    said = " ".join(warnings(TODAY, region="eu-central-1"))
    assert "is that of us-east-1" in said
    assert "prices refresh --region eu-central-1" in said


def test_a_price_given_by_hand_needs_no_row() -> None:
    rate = rate_of(load_prices(), "mars-1", "ml.x9.huge", price_per_hour=1.5, today=TODAY)
    assert (rate.usd, rate.confidence, rate.as_of) == (1.5, "given", TODAY)


@pytest.mark.parametrize("usd", [0.0, -1.0])
def test_a_price_of_nothing_is_refused(usd: float) -> None:
    with pytest.raises(ConfigError, match="no price"):
        rate_of(load_prices(), "us-east-1", "ml.m5.4xlarge", price_per_hour=usd, today=TODAY)


def warnings(today: date, region: str = "us-east-1", name: str = "ml.m5.4xlarge") -> list[str]:
    table = load_prices()
    rates: Mapping[str, Rate] = {name: rate_of(table, region, name, price_per_hour=None, today=today)}
    return price_warnings(table, region, rates, today)


def test_a_price_warns_when_older_than_180_days_and_not_before() -> None:
    assert warnings(date(2026, 10, 18)) == []
    [old] = warnings(date(2026, 10, 19))
    assert "181 days old" in old
    assert "prices refresh --region us-east-1" in old


def test_a_derived_price_says_so() -> None:
    [derived] = warnings(date(2026, 10, 1), name="ml.m7i.4xlarge")
    assert "derived" in derived
    assert "1.2 x" in derived


def test_a_region_without_fees_uses_those_of_us_east_1_and_says_so() -> None:
    table = load_prices()
    assert fees_of(table, "eu-west-1") == table.fees["us-east-1"]
    assert any(
        "no data and request fees for eu-west-1" in text for text in warnings(TODAY, "eu-west-1", "ml.m5.xlarge")
    )


def test_a_component_may_have_a_rate_of_its_own() -> None:
    rate = Rate(usd=1.0, as_of=TODAY, source="s", confidence="listed", components={"AsyncInf": 1.2})
    assert rate.of("AsyncInf") == 1.2
    assert rate.of("Tsform") == 1.0


def test_a_discount_is_taken_off_the_uses_that_are_named() -> None:
    rate = Rate(usd=1.0, as_of=TODAY, source="s", confidence="listed", components={"AsyncInf": 1.2, "Tsform": 2.0})
    cheaper = rate.discounted(25.0, "Tsform", "Processing")
    assert [cheaper.of(use) for use in ("Tsform", "Processing", "AsyncInf", "Host")] == [1.5, 0.75, 1.2, 1.0]


@pytest.mark.parametrize("text", ["", "[]", '{"rates": 1}', '{"rates": {"r": {"t": {"usd": "x"}}}}'])
def test_a_file_that_is_no_price_table_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"mine\.json"):
        load_prices(path)


def test_a_missing_table_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.json"):
        load_prices(tmp_path / "nowhere.json")


def test_processing_has_its_own_price_in_a_region_that_the_table_lacks() -> None:
    options = PlanOptions(items=10, seconds=1.0, region="eu-central-1", instance_type="ml.m5.12xlarge")
    found = plan_inputs(options, load_prices(), TODAY)
    rates = load_prices().rates["us-east-1"]
    assert found.processing_rate.usd == rates[found.processing_type].usd != found.rate.usd
