"""What `forecast` prints and writes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from batchcast.serving.adhoc.plot import PlottedForecast, forecast_page


def write_files(plots: Sequence[PlottedForecast], told: str, *, html: Path | None, png: Path | None) -> None:
    """Write page and picture where they are asked for; `told` says whose forecast it is."""
    from batchcast.serving.adhoc.png import write_png
    from batchcast.steps.store.objects import whole_file

    if html:
        with whole_file(html, html.absolute().parent) as stream:
            stream.write(forecast_page(plots, told).encode())
    if png:
        write_png(plots, told, png)


def forecast_document(plots: Sequence[PlottedForecast], run_date: date, told: str) -> dict[str, Any]:
    """The forecasts as --json prints them."""
    return {
        "source": told,
        "run_date": run_date.isoformat(),
        "items": [
            {
                "item_id": one.item_id,
                "target": one.target,
                "forecast": {day.isoformat(): value for day, value in one.forecast.items()},
                "wape": one.wape(one.forecast),
                "wape_naive": one.wape(one.naive),
            }
            for one in plots
        ],
    }
