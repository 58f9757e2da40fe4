"""The picture of a forecast: what it shows, and what it needs."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from batchcast.serving.adhoc.plot import PlottedForecast
from batchcast.serving.adhoc.png import check_png, write_png
from batchcast.steps.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
START = date(2026, 11, 23)
BLUE, GREEN, INK, GREY = (11, 107, 203), (26, 127, 55), (48, 52, 59), (154, 160, 168)
TOLD = "Forecast by endpoint ad-hoc; history up to 22 Nov 2026."


def plotted(item_id: str = "shop/bread", *, with_actual: bool = True, level: float = 50.0) -> PlottedForecast:
    past = {START - timedelta(days=back): level + back % 7 for back in range(1, 90)}
    future = {START + timedelta(days=ahead): level + 5 * (ahead % 7) for ahead in range(31)}
    return PlottedForecast(
        item_id=item_id,
        target="sales",
        history=past,
        forecast=future,
        naive={day: value * 0.9 for day, value in future.items()},
        actual={day: value * 1.2 for day, value in future.items()} if with_actual else {},
    )


def pixels(path: Path) -> np.ndarray:
    """Rows x columns x (red, green, blue), 0 to 255."""
    return np.round(imread(path)[:, :, :3] * 255).astype(int)


def amount(image: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((np.abs(image - np.array(colour)).max(axis=2) <= 4).sum())


@pytest.mark.parametrize(("count", "columns", "width"), [(1, 1, 1440), (3, 1, 1440), (4, 2, 2016), (5, 2, 2016)])
def test_each_item_has_a_panel_with_all_of_its_series(tmp_path: Path, count: int, columns: int, width: int) -> None:
    write_png([plotted(f"shop/{number}") for number in range(count)], TOLD, tmp_path / "plots.png")
    image, rows = pixels(tmp_path / "plots.png"), -(-count // columns)
    assert image.shape[1] == width
    assert image.shape[0] == pytest.approx(144 * (3.1 * rows + 1), abs=1)
    # Without legend and foot, each part of it has every colour: forecast, actual, history and seasonal naive.
    parts = [part for row in np.array_split(image[90:-50], rows) for part in np.array_split(row, columns, axis=1)]
    for part in parts[:count]:
        assert amount(part, BLUE) > 500
        assert amount(part, GREEN) > 300
        assert amount(part, INK) > 500
        assert amount(part, GREY) > 200
    for part in parts[count:]:
        assert amount(part, BLUE) == 0


def test_it_says_below_whose_forecast_it_is(tmp_path: Path) -> None:
    for name, told in (("with", TOLD), ("without", "")):
        write_png([plotted()], told, tmp_path / f"{name}.png")
    images = [pixels(tmp_path / f"{name}.png") for name in ("with", "without")]
    assert amount(images[0][-60:], (107, 114, 123)) > 50
    assert amount(images[1][-60:], (107, 114, 123)) < 10


def test_without_actual_values_nothing_speaks_of_them(tmp_path: Path) -> None:
    write_png([plotted(with_actual=False)], TOLD, tmp_path / "plot.png")
    assert amount(pixels(tmp_path / "plot.png"), GREEN) == 0


def test_the_same_forecast_gives_the_same_bytes_in_place_of_an_older_picture(tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(b"old")
    for name in ("a.png", "b.png"):
        write_png([plotted("5 $ off_{x}/café" * 9)], TOLD, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_values_below_zero_are_inside_the_picture(tmp_path: Path) -> None:
    write_png([plotted(with_actual=False, level=-80.0)], TOLD, tmp_path / "plot.png")
    assert amount(pixels(tmp_path / "plot.png"), BLUE) > 500


def test_more_items_than_a_picture_holds_are_refused() -> None:
    check_png(200)
    with pytest.raises(ConfigError, match="201 items; a picture holds 200"):
        check_png(201)


def test_without_matplotlib_the_remedy_is_named() -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from batchcast.serving.adhoc.png import *; check_png(1)"
    ended = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "the picture needs matplotlib, which is not installed" in ended.stderr
    assert "pip install matplotlib" in ended.stderr
