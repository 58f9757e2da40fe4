"""`forecast`: a few items now, without waiting for the weekly run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchcast.cli.echo import echo, echo_json
from batchcast.cli.options import COUNT, JSON_OPTION, NAME_OPTION, PATH, OutputFile
from batchcast.cli.terminal import cell, stdout_console, working
from batchcast.engine.server.model_server import ModelSource, ModelUrl
from batchcast.serving.adhoc.png import check_png, write_png
from batchcast.serving.endpoint.endpoint import instances_of, read_async_settings
from batchcast.serving.endpoint.settings import DEFAULT_TIMEOUT, DEFAULT_TTL, TIMEOUT_RANGE, TTL_RANGE
from batchcast.session.session import Session, open_session, session_options
from batchcast.session.workspace_models import read_models
from batchcast.steps.errors import ConfigError, ModelError, Problem
from batchcast.steps.store.documents import read_file
from batchcast.steps.store.objects import DirectoryStore, write_file

if TYPE_CHECKING:
    from batchcast.serving.adhoc.plot import PlottedForecast
    from batchcast.serving.adhoc.records import AdHocRecord, AdHocRecords
    from batchcast.serving.adhoc.request import AdHocRequest
_MOST_COLUMNS = 110


@click.command()
@click.argument("items", nargs=-1, required=True, metavar="ITEM…")
@click.option("--history", metavar="DIR|FILE|S3URI", help="Parquet history; that of the latest run unless given.")
@click.option("--contract", type=PATH, help="The model.toml; that of the latest run unless given.")
@click.option("--run-date", metavar="DATE|auto", help="Last day of history used; that of the latest run unless given.")
@click.option("--horizon", type=COUNT, default=31, help="Steps to forecast.")
@click.option("--endpoint", metavar="NAME", help="Ask this asynchronous endpoint.")
@click.option("--model-url", "url", metavar="URL", help="Ask a container that runs.")
@click.option("--model", metavar="NAME", help="Ask this model of the workspace's models.toml; else the latest run's.")
@NAME_OPTION
@click.option("--no-wait", is_flag=True, help="With --endpoint: print where the answers will lie, and end.")
@click.option("--ttl", type=click.IntRange(*TTL_RANGE), help=f"Seconds it may wait.  [default: {DEFAULT_TTL}]")
@click.option("--timeout", type=click.IntRange(*TIMEOUT_RANGE), help=f"Seconds it has.  [default: {DEFAULT_TIMEOUT}]")
@click.option("--html", type=OutputFile(), help="Write the plots to this page too.")
@click.option("--png", type=OutputFile(), help="Write the plots as this picture too.")
@session_options
@JSON_OPTION
def forecast_command(
    items: tuple[str, ...], html: Path | None, png: Path | None, as_json: bool, no_wait: bool, **given: Any
) -> None:
    """Forecast some items now: the records of the weekly run, sent one by one.

    Without any option these are items of the bakery sample and its model on this machine.
    """
    from batchcast.serving.adhoc.plot import PlottedForecast
    from batchcast.serving.adhoc.records import build_records

    _check(given, no_wait=no_wait)
    if png:
        check_png(len(items))
    source = _source(given)
    built = build_records(
        list(dict.fromkeys(items)),
        history=source.history,
        contract=source.contract,
        run_date=given["run_date"] or source.run_date,
        forecast_horizon=given["horizon"],
        objects=(source.session.store, source.session.client("s3")) if source.session else None,
    )
    if given["endpoint"]:
        asked = f"endpoint {given['endpoint']}"
        requests = _sent(built, given, source)
        if no_wait:
            echo("\n".join(f"{record.item_id}: {request.output}" for record, request in requests))
            return
        answers = _followed(requests, given, source)
    else:
        model, asked = _local_model(given, source)
        answers = _asked(built, model)
    plots = [PlottedForecast.of(record, answers[record.item_id], built) for record in built.records]
    last = f"{built.run_date:%d %b %Y %H:%M}" if built.frequency.below_day else f"{built.run_date:%d %b %Y}"
    source_text = f"Forecast by {asked}; history up to {last}."
    _write_files(plots, source_text, html=html, png=png)
    if as_json:
        echo_json(_document(plots, built.run_date, source_text))
    else:
        print_forecasts(plots, source_text)


def _check(given: Mapping[str, Any], *, no_wait: bool) -> None:
    """Refuse what does not go together, all of it at once."""
    problems = []
    if given["endpoint"] and given["url"]:
        problems.append(Problem("endpoint", "both --endpoint and --model-url.", remedy="Give one of them."))
    for name, value in (("--no-wait", no_wait), ("--ttl", given["ttl"]), ("--timeout", given["timeout"])):
        if value and not given["endpoint"]:
            problems.append(Problem("endpoint", f"{name} without --endpoint.", remedy="Leave it out."))
    if given["endpoint"] and given["workspace"]:
        remedy = "Leave --endpoint out to ask the workspace's model, or --workspace to work on AWS."
        problems.append(Problem("endpoint", "a workspace has no asynchronous endpoint.", "--endpoint", remedy))
    if given["model"] and (given["url"] or given["endpoint"] or not given["workspace"]):
        what = "--model names a server of a workspace."
        problems.append(Problem("model", what, remedy="Give --workspace alone, or leave it out."))
    if bool(given["history"]) != bool(given["contract"]):
        problems.append(Problem("history", "--history and --contract belong together.", remedy="Give both or none."))
    ConfigError.raise_any(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Where records come from; `session` is None for the sample, `model` is the latest run's."""

    history: str
    contract: bytes
    run_date: str
    model: str = ""
    session: Session | None = None


def _source(given: Mapping[str, Any]) -> _Source:
    from batchcast.local.sample import SAMPLE_RUN_DATE, sample_file
    from batchcast.runs.run_record import contract_of_run, latest_run

    history, contract = given["history"], given["contract"]
    session = None
    if given["workspace"] or given["endpoint"] or str(history).startswith("s3://"):
        session = open_session(given["workspace"], region=given["region"], profile=given["profile"])
    if history and contract:
        return _Source(history=history, contract=read_file(contract, "contract"), run_date="auto", session=session)
    if session is None:
        sample = read_file(sample_file("model.toml"), "contract")
        return _Source(history=str(sample_file("history")), contract=sample, run_date=SAMPLE_RUN_DATE)
    run = latest_run(session, given["name"])
    if run is None:
        what = f"pipeline {given['name']} has no run there, so that nothing says what its records are."
        where = str(given["workspace"] or session.region)
        raise ConfigError(Problem("no_run", what, where, "Run it first, or give --history and --contract."))
    uri = run.parameters["HistoryUri"]
    if isinstance(session.store, DirectoryStore):
        uri = str(session.store.root.joinpath(*uri.removeprefix("s3://").strip("/").split("/")))
    _, data = contract_of_run(session, run)
    parameters = run.parameters
    return _Source(
        history=uri, contract=data, run_date=parameters["RunDate"], model=parameters["ModelName"], session=session
    )


def _sent(built: AdHocRecords, given: Mapping[str, Any], source: _Source) -> list[tuple[AdHocRecord, AdHocRequest]]:
    from batchcast.serving.adhoc.request import send

    session = source.session
    assert session is not None
    settings = read_async_settings(given["endpoint"], session.client)
    ttl, timeout, now = given["ttl"] or DEFAULT_TTL, given["timeout"] or DEFAULT_TIMEOUT, time.time()
    return [
        (record, send(record.body, settings, session.client, session.store, ttl=ttl, timeout=timeout, now=now))
        for record in built.records
    ]


def _followed(
    requests: Sequence[tuple[AdHocRecord, AdHocRequest]], given: Mapping[str, Any], source: _Source
) -> dict[str, bytes]:
    from batchcast.serving.adhoc.request import follow_request

    session = source.session
    assert session is not None
    sagemaker = session.client("sagemaker")
    said = [f"Waiting for endpoint {given['endpoint']}"]

    def look() -> None:
        count, _ = instances_of(sagemaker.describe_endpoint(EndpointName=given["endpoint"]))
        state = f"{count} instances" if count else "at zero instances; the first starts in about ten minutes"
        said.append(f"Waiting for endpoint {given['endpoint']}, {state}")

    with working(lambda: said[-1]):
        return {record.item_id: follow_request(request, session.store, on_poll=look) for record, request in requests}


def _asked(built: AdHocRecords, model: ModelSource) -> dict[str, bytes]:
    from batchcast.serving.realtime import ask_model

    bodies = [record.body for record in built.records]
    found = ask_model(model, bodies, concurrency=2, request=built.contract.request)
    problems = [
        Problem("answer", f"status {answer.status}: {answer.body[:200].decode('utf-8', 'replace')}.", record.item_id)
        for record, answer in zip(built.records, found, strict=True)
        if not answer.good
    ]
    ModelError.raise_any(problems)
    return {record.item_id: answer.body for record, answer in zip(built.records, found, strict=True)}


def _local_model(given: Mapping[str, Any], source: _Source) -> tuple[ModelSource, str]:
    """The server to ask, and what it is called."""
    from batchcast.local.run import sample_model

    if given["url"]:
        return ModelUrl(url=given["url"]), given["url"]
    if given["workspace"] is None:
        if given["history"]:
            remedy = "Give --endpoint, --model-url, or the --workspace of a local run."
            raise ConfigError(Problem("model", "nothing says which model to ask.", remedy=remedy))
        return sample_model(), "the bakery sample's model"
    models = read_models(given["workspace"])
    name = given["model"] or source.model
    if name not in models:
        what = f"there is no model {name!r} in the workspace's models.toml."
        raise ConfigError(Problem("model", what, "--model", f"Known are: {', '.join(models) or 'none'}."))
    return models[name], f"model {name}"


def print_forecasts(plots: Sequence[PlottedForecast], source_text: str) -> None:
    """A plot and the weeks of each item, and in the end whose forecast it is."""
    from batchcast.serving.adhoc.plot import terminal_plot, week_table

    console = stdout_console()
    for one in plots:
        head = f"\n[bold]{cell(one.item_id)}[/]  {cell(one.target)}, {one.summary}"
        console.print(head, highlight=False)
        console.print(terminal_plot(one, min(console.width, _MOST_COLUMNS)), end="")
        shown = "[bold cyan]━[/] forecast  ━ history" + ("  [green]╍[/] actual" if one.actual else "")
        console.print(f"       {shown}   {one.score}".rstrip() + "\n", highlight=False)
        console.print(week_table(one))
    console.print(f"\n{source_text}", style="dim", highlight=False, markup=False)


def _write_files(plots: Sequence[PlottedForecast], source_text: str, *, html: Path | None, png: Path | None) -> None:
    from batchcast.serving.adhoc.plot import forecast_page

    if html:
        write_file(html, forecast_page(plots, source_text).encode())
        echo(f"Page: {html}", err=True)
    if png:
        write_png(plots, source_text, png)
        echo(f"Picture: {png}", err=True)


def _document(plots: Sequence[PlottedForecast], run_date: date, source_text: str) -> dict[str, Any]:
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
