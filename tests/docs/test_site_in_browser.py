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


def violations(page: Page) -> list[tuple[str, list[str]]]:
    """The rules of axe that the page breaks, with the places."""
    found = Axe().run(page).response["violations"]
    return [(one["id"], [each["html"][:150] for each in one["nodes"]]) for one in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_violation(browser: Browser, name: str, width: int, scheme: Any) -> None:
    page = opened(browser, name, color_scheme=scheme, viewport={"width": width, "height": 900})
    assert violations(page) == []


def test_every_page_fits_a_telephone_and_axe_finds_nothing_there(browser: Browser) -> None:
    # The decisions look like each other, and the longest generated pages take seconds each.
    left_out = {"404.html", "command-line.html", "errors.html", "fidelity.html", "python.html"}
    pages = [path for path in SITE.rglob("*.html") if path.name not in left_out and path.parent.name != "adr"]
    assert len(pages) > 12
    page = opened(browser, "index.html", viewport={"width": 390, "height": 844})
    found = {}
    for path in pages:
        page.goto(path.as_uri())
        wide = page.evaluate("document.documentElement.scrollWidth") > 390
        page.wait_for_timeout(100)  # the script that names what has no name runs after the theme's own
        if faults := [*violations(page), *(["wider than the window"] if wide else [])]:
            found[path.name] = faults
    assert found == {}


def test_search_finds_a_page_without_a_server(browser: Browser) -> None:
    page = opened(browser, "index.html", viewport={"width": 1440, "height": 900})
    page.locator("input.md-search__input").click()
    page.keyboard.type("quarantine")
    first = page.locator("a.md-search-result__link").first
    first.wait_for(timeout=20_000)
    assert "quarantine" in first.inner_text().lower()
