"""`check-container`: is this model container compatible with Batch Transform, and with which settings?"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchcast.cli.echo import echo
from batchcast.steps.errors import ConfigError, ModelError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchcast.container_check.report import Judge

RECORDS = 8
"""Records that are sent, of those there are: from the first to the last, evenly spread."""


@click.command("check-container")
@click.option("--model-url", "url", metavar="URL", help="A container that is already running.")
@click.option(
    "--model-command", "command", metavar="'CMD … {port}'", help="Starts a container on {port}; it is ended again."
)
@click.option(
    "--sample",
    type=click.Path(path_type=Path),
    help="Records of the model, a JSON document a line; those of the bakery sample unless given.",
)
@click.option(
    "--contract", type=click.Path(path_type=Path), help="The model.toml of these records, to judge the answers by."
)
@click.option(
    "--start-timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for /ping; SageMaker waits about half an hour.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout instead of the table.")
def check_container_command(
    url: str | None,
    command: str | None,
    sample: Path | None,
    contract: Path | None,
    start_timeout: float,
    as_json: bool,
) -> None:
    """Check whether a model container is compatible with Batch Transform.

    Sends it good, bad, large, empty and many records, and says what works, what would break a job, and which
    settings to give the job. Exit code 0: fit, 4: unfit.
    """
    from batchcast.cli.model.container_report import container_document, print_container_report
    from batchcast.container_check.check import check_container as examine
    from batchcast.container_check.container import CheckLimits
    from batchcast.session.workspace_models import model_server

    source = model_server(command, url)
    records, judge = _records_and_judge(sample, contract)
    with _progress() as show:
        report = examine(source, records, judge=judge, limits=CheckLimits(start=start_timeout), on_check=show)
    container = url or command or ""
    if as_json:
        echo(json.dumps(container_document(report, container), indent=1))
    else:
        print_container_report(report, container, _origin(len(records), sample, contract))
    sys.exit(0 if report.compatible else ModelError.exit_code)


def _records_and_judge(sample: Path | None, contract: Path | None) -> tuple[list[bytes], Judge]:
    from batchcast.container_check.report import forecast_judge, judge_json
    from batchcast.local.sample import SAMPLE, bakery_records, read_sample_file
    from batchcast.steps.contract.model_contract import read_contract

    if sample is not None:
        judge = judge_json if contract is None else forecast_judge(read_contract(contract))
        return _spread(read_sample_file(sample)), judge
    if contract is not None:
        remedy = "Give records that fit it with --sample FILE."
        raise ConfigError(Problem("sample", "--contract is given without --sample.", str(contract), remedy))
    return _spread(bakery_records()), forecast_judge(read_contract(SAMPLE / "model.toml"))


def _spread(records: Sequence[bytes]) -> list[bytes]:
    count = min(RECORDS, len(records))
    places = [place * (len(records) - 1) // max(count - 1, 1) for place in range(count)]
    return [records[place] for place in places]


def _origin(count: int, sample: Path | None, contract: Path | None) -> str:
    if sample is None:
        return f"{count} records of the bakery sample; give --sample FILE for those of your own model."
    judged = f"judged by {contract}" if contract else "only known to be JSON; give --contract to have forecasts judged"
    return f"{count} records of {sample}, the answers {judged}."


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """What is being checked, on stderr: in place on a terminal, nothing elsewhere."""
    from batchcast.cli.console import stderr_console

    with stderr_console().status("build records") as status:
        yield lambda name: status.update(f"check {name}")
