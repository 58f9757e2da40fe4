"""What `forecast` prints and writes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click

from pipelines.forecast_plot import PlottedForecast, forecast_page, terminal_plot, week_table

__all__ = ["forecast_document", "print_forecasts", "write_files"]

_MOST_COLUMNS = 110


def write_files(plots: Sequence[PlottedForecast], told: str, *, html: Path | None, png: Path | None) -> None:
    """Write page and picture where they are asked for; `told` says whose forecast it is."""
    from pipelines.forecast_png import write_png
    from steps.object_store import whole_file

    if html:
        with whole_file(html, html.absolute().parent) as stream:
            stream.write(forecast_page(plots, told).encode())
        click.echo(f"Page: {html}", err=True)
    if png:
        write_png(plots, told, png)
        click.echo(f"Picture: {png}", err=True)


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


def print_forecasts(plots: Sequence[PlottedForecast], told: str) -> None:
    """A plot and the weeks of each item, and in the end whose forecast it is."""
    from rich.markup import escape

    from pipelines.console import stdout_console

    console = stdout_console()
    for one in plots:
        period = f"{min(one.forecast):%d %b %Y} to {max(one.forecast):%d %b %Y}"
        head = f"\n[bold]{escape(one.item_id)}[/]  {escape(one.target)}, {period}: {one.total} in all"
        console.print(head, highlight=False)
        console.print(terminal_plot(one, min(console.width, _MOST_COLUMNS)), end="")
        shown = "[bold cyan]━[/] forecast  ━ history" + ("  [green]╍[/] actual" if one.actual else "")
        error, naive = one.wape(one.forecast), one.wape(one.naive)
        score = "" if error is None or naive is None else f"   WAPE {error:.2f}, seasonal naive {naive:.2f}"
        console.print(f"       {shown}{score}\n", highlight=False)
        console.print(week_table(one))
    console.print(f"\n{told}", style="dim", highlight=False, markup=False)
