"""`prices refresh` by the query API: every page of the region's rows, asked where the API answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore import handlers
from botocore.awsrequest import AWSResponse
from click.testing import CliRunner, Result
from strict import Recorder, violations

from batchcast.cli.main import root
from batchcast.planner.prices.prices import PRICES_FILE, load_prices
from batchcast.steps.errors import ConfigError


def listed(usage_type: str, usd: str) -> str:
    """A row as GetProducts answers with it."""
    return json.dumps(
        {
            "product": {"attributes": {"regionCode": "eu-west-3", "usagetype": usage_type}},
            "terms": {"OnDemand": {"term": {"priceDimensions": {"rate": {"pricePerUnit": {"USD": usd}}}}}},
            "publicationDate": "2026-11-20T00:00:00Z",
            "version": "20261120",
        }
    )


PAGES: dict[str | None, dict[str, Any]] = {
    None: {"PriceList": [listed("EUW3-Host:ml.m5.xlarge", "0.269")], "NextToken": "more"},
    "more": {"PriceList": [listed("EUW3-Tsform:ml.m5.xlarge", "0.269")]},
}


def answer(model: Any, params: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]] | None:
    """In place of the network: the page that was asked for."""
    if model.name != "GetProducts":
        return None
    page = PAGES[json.loads(params["body"]).get("NextToken")]
    assert not list(violations(model.output_shape, page, model.name))
    return AWSResponse("", 200, {}, None), {**page, "ResponseMetadata": {"HTTPStatusCode": 200}}


def refresh(table: Path) -> Result:
    table.write_bytes(PRICES_FILE.read_bytes())
    given = ("prices", "refresh", "--region", "eu-west-3", "--table", str(table), "--yes")
    return CliRunner().invoke(root, given)


def test_every_page_is_read_and_a_region_is_added(
    account: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(handlers, "BUILTIN_HANDLERS", [*handlers.BUILTIN_HANDLERS, ("before-call", answer)])
    table = tmp_path / "prices.json"
    assert "eu-west-3, version 20261120, published 2026-11-20: 2 rows" in refresh(table).stdout
    assert load_prices(table).rates["eu-west-3"]["ml.m5.xlarge"].usd == 0.269
    assert account.operations() == ["pricing:GetProducts", "pricing:GetProducts"]


def test_without_credentials_it_says_what_to_set(
    account: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    refused = refresh(tmp_path / "prices.json").exception
    assert isinstance(refused, ConfigError)
    assert "Set AWS_PROFILE" in str(refused)
