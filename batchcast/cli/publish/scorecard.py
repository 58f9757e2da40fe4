from collections.abc import Mapping, Sequence
from typing import Any

import click

from batchcast.cli.echo import echo, echo_json
from batchcast.cli.options import JSON_OPTION, PUBLISH_OPTIONS, open_publish_uri
from batchcast.cli.terminal import plain_table, stdout_console, working


@click.command()
@PUBLISH_OPTIONS
@JSON_OPTION
def scorecard_command(publish_uri: str | None, name: str, as_json: bool, **where: Any) -> None:
    """Show how good the published forecasts were, by what is known since.

    Each run scores those before it: WAPE of the model and of the seasonal naive, and bias, by run date, by steps ahead
    and by class of items (A: 80 % of the volume, B: the next 15 %, C: the rest).
    """
    from batchcast.runs.scorecard import read_scorecard

    session, uri = open_publish_uri(publish_uri, name, where)
    with working("Reading the scores"):
        card = read_scorecard(uri, store=session.store)
    if as_json:
        echo_json(card)
        return
    if not card["runs"]:
        echo(f"Nothing is known yet of what the runs at {uri} forecast.")
        return
    last = card["weeks"][-1]
    better = "better" if last["error"] <= last["naive_error"] else "worse"
    echo(f"By what run date {last['week']} knew, the model was {better} than the seasonal naive.")
    _print_scores(card["runs"], "Run date", "run_date")
    _print_scores(card["leads"], "Steps ahead", "lead")
    _print_scores(card["items"], "Items", "items")


def _print_scores(rows: Sequence[Mapping[str, Any]], head: str, by: str) -> None:
    table = plain_table(head, "WAPE", "Naive", "MASE", "Naive", "Bias", "Values", numbers=range(1, 7))
    for row in rows:
        shares = [row[name] for name in ("wape", "wape_naive", "mase", "mase_naive", "bias_share")]
        words = ["-" if share is None else f"{share:.3f}" for share in shares]
        table.add_row(str(row[by]), *words, f"{row['cells']:,}")
    stdout_console().print("", table)
