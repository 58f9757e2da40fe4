"""The report in a browser: nothing wider than the window, and nothing that axe finds wrong, light and dark."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from sample_run import CONTRACT, RUN_DATE, SampleRun

from batchcast.steps.answers.item_names import ItemNames
from batchcast.steps.contract.answer import Expected
from batchcast.steps.contract.frequency import parse_frequency
from batchcast.steps.contract.model_contract import read_contract
from batchcast.steps.outcome.comparison import Comparison
from batchcast.steps.outcome.ledger import LedgerRow
from batchcast.steps.report.page import draw_items, report_page
from batchcast.steps.report.page_items import PageItems

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium")
    assert executable, "these tests need chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--headless", "--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of a run with scores, and of one that is held, with items that were lost."""
    good = SampleRun(root=tmp_path_factory.mktemp("good"), with_actuals=True)
    good.transform()
    good.step()
    bad = SampleRun(root=tmp_path_factory.mktemp("bad"), quarantined={"shop-9/item-900<b>": "too_short"})
    bad.transform({name: lines[:-1] for name, lines in bad.answers().items()})
    bad.step(number=0, max_retry_records=0)
    return {"good": good.report_file("report.html"), "bad": bad.report_file("report.html")}


@pytest.mark.parametrize("which", ["good", "bad"])
@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1440)])
def test_the_report_fits_and_axe_finds_nothing(
    browser: Browser, reports: dict[str, Path], which: str, scheme: Any, width: int
) -> None:
    page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    page.goto(reports[which].as_uri())
    page.get_by_label("Item, or a part of its name").fill("item")
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    results = Axe().run(page)
    assert results.violations_count == 0, [(one["id"], one["nodes"]) for one in results.response["violations"]]
    page.close()


def found(page: Page, text: str) -> list[str]:
    """What the search says, and the cells of its rows."""
    page.get_by_label("Item, or a part of its name").fill(text)
    return [page.get_by_role("status").inner_text(), *page.locator("#find td").all_inner_texts()]


def test_an_item_is_found_with_its_status_total_and_change(browser: Browser, tmp_path: Path) -> None:
    odd = ["shop-9/\U0001f600\U0001f600", "shop-9/\U0001f600\U0001f601", "shop-9/\u00e4"]
    first = SampleRun(root=tmp_path / "first", run_id="runaaaaaaaaa", run_date=RUN_DATE - timedelta(days=1))
    first.transform()
    first.step()
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    lost = dict.fromkeys(["shop-9/<b>", *odd], "too_short")
    run = SampleRun(root=tmp_path / "second", run_id="runbbbbbbbbb", quarantined=lost, level=11.0)
    run.transform()
    run.step(max_failed_records=4)
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text))
    page.goto(run.report_file("report.html").as_uri())
    page.wait_for_selector("#find:not([hidden])")
    total = sum(row["daily_sales"] for row in run.answer("shop-0/item-003")["forecast"])
    count, *cells = found(page, "ITEM-003")
    assert (count, cells[:2]) == ("1 item", ["shop-0/item-003", "has a forecast"])
    assert float(cells[2]) == pytest.approx(total, rel=1e-3)
    assert re.fullmatch(r"[+-][0-9.]+%", cells[3])
    reason = "quarantined: its history has fewer steps than min_history"
    assert found(page, "<b>")[:5] == ["1 item", "shop-9/<b>", reason, "-", "-"]
    assert [found(page, name)[1] for name in odd] == odd
    assert found(page, "item")[0] == "12 items"
    assert found(page, "nowhere") == ["0 items"]
    assert found(page, "") == [""]
    assert errors == []
    page.close()


def test_without_script_the_page_shows_all_but_the_search(browser: Browser, reports: dict[str, Path]) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(reports["bad"].as_uri())
    assert not page.get_by_label("Item, or a part of its name").is_visible()
    assert page.get_by_text("Items without a forecast").is_visible()
    page.close()


@pytest.mark.parametrize("names", ["numbered", "random"])
def test_a_hundred_thousand_items_are_searched_in_a_page_below_a_megabyte(
    browser: Browser, reports: dict[str, Path], tmp_path: Path, names: str
) -> None:
    count, steps = 100_000, 7
    chance = np.random.default_rng(0)
    digits = chance.bytes(16 * count).hex()
    ids = sorted(
        f"shop-{at // 100:04d}/item-{at:06d}" if names == "numbered" else digits[32 * at : 32 * at + 32]
        for at in range(count)
    )
    report = json.loads(reports["good"].with_suffix(".json").read_text())
    contract = tmp_path / "model.toml"
    contract.write_text(CONTRACT)
    outputs = read_contract(contract)
    expected = Expected.of(outputs.outputs, RUN_DATE, steps, parse_frequency("D"), outputs.request)
    values = np.exp(chance.normal(2, 1, (count, steps, 1)))
    last = values * chance.normal(1, 0.1, values.shape)
    values[7] = np.nan
    compared = Comparison(
        naive=last,
        actual=np.full_like(last, np.nan),
        scale=last.mean(axis=1),
        before=np.tile(last, (1, 6, 1)),
        season=7,
    )
    lost = LedgerRow(item_id=ids[7], status="failed", reason="error_answer", run_id="runaaaaaaaaa")
    began = time.process_time()
    items = PageItems.of(expected, ItemNames(pa.chunked_array([ids])), values, compared, last)
    text = report_page(report, draw_items(report, {7: lost}, [], expected, items))
    assert time.process_time() - began < 5
    assert len(text.encode()) < 1_000_000
    path = tmp_path / "report.html"
    path.write_text(text)
    page = browser.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("#find:not([hidden])")
    # Random names cannot be packed: those that are not well are there all the same, and the page says what is not.
    assert found(page, ids[7])[:3] == ["1 item", ids[7], "failed: the model answered with an error"]
    if names == "numbered":
        assert found(page, "ITEM-099999")[:2] == ["1 item", ids[-1]]
        assert found(page, "shop-0001")[0] == "100 items, of which the first 20"
    else:
        assert re.search(r"Among [0-9]{2},[0-9]{3} items of 100,000", page.locator("#find").inner_text())
    page.close()
