"""What `forecast` prints and writes."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from batchcast.cli.echo import echo
from batchcast.cli.terminal import cell, stdout_console
from batchcast.serving.adhoc.plot import PlottedForecast, forecast_page, terminal_plot, week_table
from batchcast.serving.adhoc.png import write_png
from batchcast.steps.store.objects import write_file

_MOST_COLUMNS = 110


def print_forecasts(plots: Sequence[PlottedForecast], source_text: str) -> None:
    """A plot and the weeks of each item, and in the end whose forecast it is."""
    console = stdout_console()
    for one in plots:
        head = f"\n[bold]{cell(one.item_id)}[/]  {cell(one.target)}, {one.summary}"
        console.print(head, highlight=False)
        console.print(terminal_plot(one, min(console.width, _MOST_COLUMNS)), end="")
        shown = "[bold cyan]━[/] forecast  ━ history" + ("  [green]╍[/] actual" if one.actual else "")
        console.print(f"       {shown}   {one.score}".rstrip() + "\n", highlight=False)
        console.print(week_table(one))
    console.print(f"\n{source_text}", style="dim", highlight=False, markup=False)


def write_files(plots: Sequence[PlottedForecast], source_text: str, *, html: Path | None, png: Path | None) -> None:
    """Write page and picture where they are asked for; `source_text` says whose forecast it is."""
    if html:
        write_file(html, forecast_page(plots, source_text).encode())
        echo(f"Page: {html}", err=True)
    if png:
        write_png(plots, source_text, png)
        echo(f"Picture: {png}", err=True)


def forecast_document(plots: Sequence[PlottedForecast], run_date: date, source_text: str) -> dict[str, Any]:
    """The forecasts as --json prints them."""
    return {
        "source": source_text,
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
