"""`check-model`: one request a kind of item, before a run."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchcast.cli.echo import echo, echo_json
from batchcast.cli.options import COUNT, FILE, JSON_OPTION, SERVER_OPTION, THERE, URL_OPTION
from batchcast.cli.terminal import working
from batchcast.pipelines.parameters import Parameters
from batchcast.session.guarded_read import read_guarded
from batchcast.session.workspace_models import model_server
from batchcast.steps.errors import ModelError

if TYPE_CHECKING:
    from batchcast.serving.adhoc.model_check import CheckedAnswer

_REQUEST_SHOWN = 400
_ROWS_SHOWN = 3


@click.command("check-model")
@click.option("--history", type=THERE, required=True, help="Parquet history.")
@click.option("--contract", type=FILE, required=True, help="The model.toml to check.")
@SERVER_OPTION
@URL_OPTION
@click.option("--item", "items", multiple=True, metavar="ITEM_ID", help="An item to send; repeat for more.")
@click.option("--horizon", type=COUNT, help="Steps to forecast.  [default: ForecastHorizon's]")
@click.option("--run-date", default="auto", help="The last day of history that is used.")
@JSON_OPTION
def check_model_command(
    history: Path,
    contract: Path,
    model_command: str | None,
    model_url: str | None,
    items: tuple[str, ...],
    horizon: int | None,
    run_date: str,
    as_json: bool,
) -> None:
    """Send a model one request a kind of item, and show what its answer holds.

    The longest and the shortest history, the one with most empty values and with most zeros are sent as a run would
    send them. Each path of model.toml is followed in the answer, and the rows are shown that would be published.
    Ends with 4 when an answer could not be published.
    """
    from batchcast.serving.adhoc.model_check import check_answer, pick_kinds
    from batchcast.serving.adhoc.records import build_records
    from batchcast.serving.realtime import ask_model
    from batchcast.steps.contract.model_contract import read_contract
    from batchcast.steps.outcome.answer_types import readable_text

    declared = read_contract(contract)
    with working(f"Reading {history}"):
        kinds = dict.fromkeys(items, "named by --item") or read_guarded(pick_kinds, history, declared)
        built = build_records(
            list(kinds),
            history=str(history),
            contract=contract.read_bytes(),
            run_date=run_date,
            forecast_horizon=horizon or Parameters.model_fields["forecast_horizon"].default,
        )
    server, bodies = model_server(model_command, model_url), [record.body for record in built.records]
    with working("Asking the model"):
        answers = ask_model(server, bodies, concurrency=1, request=built.contract.request)
    said = [one.body if one.good else f"status {one.status}: {one.body[:300]!r}" for one in answers]
    checked = [
        check_answer(record.item_id, kinds[record.item_id], record.body, answer, built)
        for record, answer in zip(built.records, said, strict=True)
    ]
    sent = built.contract.request.content_type
    if as_json:
        documents = [asdict(one) | {"request": readable_text(one.request, sent)} for one in checked]
        echo_json(documents)
    else:
        for one in checked:
            _print(one, sent)
    sys.exit(ModelError.exit_code if any(one.problem for one in checked) else 0)


def _print(one: CheckedAnswer, content_type: str) -> None:
    from batchcast.steps.outcome.answer_types import readable_text

    echo(f"{one.item_id}  ({one.kind})", bold=True)
    text = readable_text(one.request, content_type)
    more = f"… {len(one.request):,} bytes in all" if len(text) > _REQUEST_SHOWN else ""
    echo(f"  request  {text[:_REQUEST_SHOWN]}{more}")
    echo(f"  answer   {one.answer}")
    for name, found in one.found.items():
        echo(f"  {name:10} {found}")
    for row in one.rows[:_ROWS_SHOWN]:
        echo(f"  publish  {row}")
    if len(one.rows) > _ROWS_SHOWN:
        echo(f"           … {len(one.rows)} rows")
    if one.problem:
        echo(f"  problem  {one.problem}", fg="red")
