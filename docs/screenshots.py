"""Pictures of what people see, on a telephone and on a desk, light and dark: `python docs/screenshots.py`.

It needs `make site`, the workspace that `make run` leaves behind, and a chromium.
"""

from __future__ import annotations

import io
import sys
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "fixtures")]

IMAGES = ROOT / "docs" / "images"
SITE = ROOT / "build" / "site"
_SIZES = {390: 844, 1440: 900}
_COLOURS = 96
_SEARCHED = "17/"


def _pages(folder: Path) -> dict[str, Path]:
    """What is shown, by the name of its pictures."""
    from batchcast.planner.plan.page import render_page
    from batchcast.planner.plan.plan import plan
    from batchcast.planner.prices.prices import load_prices

    explorer = folder / "plan.html"
    planned = plan(items=100_000, seconds=30, today=date.today())
    explorer.write_text(render_page(planned, dict(load_prices().sources)))
    reports = sorted(
        (ROOT / "workspace").glob("s3/batchcast/runs/*/report/report.html"), key=lambda path: path.stat().st_mtime
    )
    if not reports or not (SITE / "index.html").exists():
        sys.exit("There is no site or no report: `make site run` first.")
    return {
        "site": SITE / "index.html",
        "tutorial": SITE / "tutorial.html",
        "report": reports[-1],
        "explorer": explorer,
    }


def _smaller(picture: bytes) -> bytes:
    """The same with few colours: what a page of text and charts needs."""
    from PIL import Image

    few = Image.open(io.BytesIO(picture)).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    small = io.BytesIO()
    few.save(small, format="PNG", optimize=True)
    return small.getvalue()


def main() -> None:
    """Write docs/images/NAME-WIDTH.png, and NAME-WIDTH-dark.png."""
    from chromium import chromium

    with TemporaryDirectory() as folder, chromium() as browser:
        for name, path in _pages(Path(folder)).items():
            for width, height in _SIZES.items():
                for scheme, ending in (("light", ""), ("dark", "-dark")):
                    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
                    page.goto(path.as_uri())
                    page.wait_for_timeout(500)
                    (IMAGES / f"{name}-{width}{ending}.png").write_bytes(_smaller(page.screenshot()))
                    if name == "report":
                        page.get_by_label("Item, or a part of its name").fill(_SEARCHED)
                        found = page.locator("#find").screenshot()
                        (IMAGES / f"search-{width}{ending}.png").write_bytes(_smaller(found))
                    page.close()


if __name__ == "__main__":
    main()
