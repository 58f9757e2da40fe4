"""The site's navigation has every page, and reading it asks nobody."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SETTINGS = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def in_navigation(part: Any) -> list[str]:
    """The pages of a part of the navigation."""
    if isinstance(part, str):
        return [part]
    return [page for each in (part.values() if isinstance(part, dict) else part) for page in in_navigation(each)]


def test_the_navigation_has_every_page_once() -> None:
    pages = {path.relative_to(DOCS).as_posix(): 1 for path in DOCS.rglob("*.md")}
    assert Counter(in_navigation(SETTINGS["nav"])) == pages


def test_reading_it_fetches_nothing() -> None:
    assert SETTINGS["theme"]["font"] is False
    assert "offline" in SETTINGS["plugins"]
    for name in [*SETTINGS["extra_css"], *SETTINGS["extra_javascript"], *SETTINGS["extra"]["polyfills"]]:
        assert (DOCS / name).is_file()
        assert "://" not in (DOCS / name).read_text(encoding="utf-8")
