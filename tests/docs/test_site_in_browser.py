"""The site as a person meets it, opened from its folder: `make site` has to be run before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from chromium import chromium
from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

SITE = Path(__file__).resolve().parents[2] / "build" / "site"
PAGES = ["index.html", "tutorial.html"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert (SITE / "index.html").exists(), "there is no site: run `make site`"
    with chromium() as found:
        yield found


def opened(browser: Browser, name: str, **settings: Any) -> Page:
    """A page of the site; whatever it asks of anybody but the folder is refused, and fails the test at its end."""
    page = browser.new_context(bypass_csp=True, **settings).new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.goto((SITE / name).as_uri())
    return page


asked: list[str] = []


@pytest.fixture(autouse=True)
def nothing_is_fetched() -> Iterator[None]:
    asked.clear()
    yield
    assert [url for url in asked if not url.startswith(("file:", "blob:", "data:"))] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_violation(browser: Browser, name: str, width: int, scheme: Any) -> None:
    page = opened(browser, name, color_scheme=scheme, viewport={"width": width, "height": 900})
    found = Axe().run(page)
    assert found.violations_count == 0, [
        (one["id"], [each["html"][:150] for each in one["nodes"]]) for one in found.response["violations"]
    ]


@pytest.mark.parametrize("name", PAGES)
def test_no_page_is_wider_than_a_telephone(browser: Browser, name: str) -> None:
    page = opened(browser, name, viewport={"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_search_finds_a_page_without_a_server(browser: Browser) -> None:
    page = opened(browser, "index.html", viewport={"width": 1440, "height": 900})
    page.locator("input.md-search__input").click()
    page.keyboard.type("quarantine")
    first = page.locator("a.md-search-result__link").first
    first.wait_for(timeout=20_000)
    assert "quarantine" in first.inner_text().lower()
