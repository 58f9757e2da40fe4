"""Forecasts in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from batchcast.serving.adhoc.plot import PlottedForecast, terminal_plot, week_table

_MOST_COLUMNS = 110


def print_forecasts(plots: Sequence[PlottedForecast], told: str) -> None:
    """A plot and the weeks of each item, and in the end whose forecast it is."""
    from batchcast.cli.console import cell, stdout_console

    console = stdout_console()
    for one in plots:
        period = f"{min(one.forecast):%d %b %Y} to {max(one.forecast):%d %b %Y}"
        head = f"\n[bold]{cell(one.item_id)}[/]  {cell(one.target)}, {period}: {one.total} in all"
        console.print(head, highlight=False)
        console.print(terminal_plot(one, min(console.width, _MOST_COLUMNS)), end="")
        shown = "[bold cyan]━[/] forecast  ━ history" + ("  [green]╍[/] actual" if one.actual else "")
        error, naive = one.wape(one.forecast), one.wape(one.naive)
        score = "" if error is None or naive is None else f"   WAPE {error:.2f}, seasonal naive {naive:.2f}"
        console.print(f"       {shown}{score}\n", highlight=False)
        console.print(week_table(one))
    console.print(f"\n{told}", style="dim", highlight=False, markup=False)
