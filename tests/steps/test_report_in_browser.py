"""The report in a browser: nothing wider than the window, and nothing that axe finds wrong, light and dark."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, sync_playwright
from sample_run import SampleRun

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
    bad = SampleRun(root=tmp_path_factory.mktemp("bad"), quarantined={"shop-9/item-900": "too_short"})
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
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    results = Axe().run(page)
    assert results.violations_count == 0, [(one["id"], one["nodes"]) for one in results.response["violations"]]
    page.close()
