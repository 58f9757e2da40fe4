"""The last lines of `plan`: batch, asynchronous, hybrid or real-time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from batchcast.serving.choice import Choice


def print_choice(console: Console, choice: Choice, ad_hoc_requests: int) -> None:
    """What each way costs and takes, what is against it, and which rule decided."""
    from batchcast.serving.choice import WAYS

    table = Table("Way", "Weekly run, P95", "Ad hoc", "A week", "", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in table.columns[1:4]:
        column.justify = "right"
    for way in choice.ways:
        minutes = "none" if way.ad_hoc_minutes is None else f"{way.ad_hoc_minutes:.1f} min"
        style = "bold green" if way.name == choice.name else "dim" if way.reasons else ""
        row = (way.name, f"{way.weekly_hours:.1f} h", minutes, f"${way.usd_a_week:,.2f}")
        table.add_row(*row, "; ".join(way.reasons) or WAYS[way.name], style=style)
    console.print()
    console.print(table)
    console.print(f"\n[bold]{choice.name}[/]: {WAYS[choice.name]}.")
    requests = f"{ad_hoc_requests} ad-hoc request{'' if ad_hoc_requests == 1 else 's'} a week"
    console.print(f"The rule that decided: {choice.rule} Counted with {requests}.")
