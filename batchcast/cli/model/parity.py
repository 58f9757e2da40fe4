"""`parity`: does batch say what the endpoint says that it is to replace?"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import COUNT, JSON_OPTION, NAME_OPTION, PATH, OutputFile
from batchcast.cli.terminal import working
from batchcast.serving.parity.answer_differences import NumberTolerance
from batchcast.session.session import open_session, session_options
from batchcast.session.workspace_models import command_with_port
from batchcast.steps.errors import ConfigError, ModelError, Problem
from batchcast.steps.store.objects import write_file

if TYPE_CHECKING:
    from batchcast.serving.parity.parity import Parity
    from batchcast.serving.realtime import Ask, RealTimeAnswer
    from batchcast.steps.contract.model_contract import ModelContract
    from batchcast.steps.contract.request import Request

_FIRST = 10


@click.command()
@click.option("--endpoint", metavar="NAME", help="The real-time endpoint.")
@click.option("--model-url", "url", metavar="URL", help="A container that runs, instead of an endpoint.")
@click.option("--against", "run_id", metavar="RUN_ID", help="A run whose answers are compared, and whose records sent.")
@click.option("--model-command", metavar="'CMD … {port}'", help="Start this server and run a transform job on it.")
@click.option("--sample", type=PATH, help="Records for --model-command; else the bakery sample's.")
@click.option("--contract", type=PATH, help="The model.toml of the records of --sample; else the run's.")
@click.option("--records", type=COUNT, default=100, help="Records that are compared.")
@click.option("--concurrency", type=COUNT, default=4, help="Requests at once, each side.")
@click.option("--relative", type=float, default=1e-6, help="Relative difference that is none.")
@click.option("--absolute", type=float, default=1e-9, help="Absolute difference that is none.")
@NAME_OPTION
@click.option("--html", type=OutputFile(), help="Write the report to this file.")
@session_options
@JSON_OPTION
def parity_command(records: int, concurrency: int, html: Path | None, as_json: bool, **given: Any) -> None:
    """Compare the answers of an endpoint with those of batch, record by record.

    The endpoint is asked twice, to know its own noise. Exit code 0: the same, 4: different, or inconclusive, where the
    endpoint's noise hides what there may be.
    """
    from batchcast.serving.parity.batch_side import answer_alone, answers_by_job, answers_outside_batch
    from batchcast.serving.parity.page import parity_page
    from batchcast.serving.parity.parity import compare_all, name_batch_effects
    from batchcast.serving.parity.sample import draw_shard_sample
    from batchcast.serving.realtime import ask_all
    from batchcast.steps.contract.request import PLAIN_REQUEST

    _check_sides(given)
    opened, answers, contract = _batch_side(given)
    request = contract.request if contract and given["run_id"] else PLAIN_REQUEST
    ask = _endpoint_side(given, request)
    sample = draw_shard_sample(opened, records, contract)
    bodies = [record.body for record in sample]
    echo(f"Asking {given['endpoint'] or given['url']} for {len(sample)} records, twice", err=True)
    with working(f"Asking {given['endpoint'] or given['url']}", 2 * len(bodies)) as done:

        def counted(body: bytes) -> RealTimeAnswer:
            try:
                return ask(body)
            finally:
                done()

        first, second = (ask_all(counted, bodies, concurrency=concurrency) for _ in range(2))
    command = given["model_command"]
    if not command:
        first, second = ([answer_alone(each, contract) for each in answers] for answers in (first, second))
    else:
        echo("Running a transform job on the same records", err=True)
        with working("Running the transform job"):
            answers = answers_by_job(command, sample, concurrency=concurrency)
    tolerance = NumberTolerance(relative=given["relative"], absolute=given["absolute"])
    found = compare_all(sample, first, second, answers, tolerance, request.accept)
    if command and not found.matches:
        echo("They differ: asking the same server outside of a batch", err=True)
        found = name_batch_effects(found, answers_outside_batch(command, sample))
    if html:
        batch = f"run {given['run_id']}" if given["run_id"] else str(command)
        write_file(html, parity_page(found, given["endpoint"] or given["url"], batch).encode())
    echo(json.dumps(_document(found), indent=1) if as_json else _describe(found))
    if html:
        echo(f"Report: {html}", err=True)
    sys.exit(0 if found.matches else ModelError.exit_code)


def _check_sides(given: Mapping[str, Any]) -> None:
    """Raises ConfigError where one of the two sides is not named, or twice."""
    if (given["endpoint"] is None) == (given["url"] is None):
        remedy = "Give --endpoint NAME, or --model-url of a container that runs."
        raise ConfigError(Problem("endpoint", "exactly one of --endpoint and --model-url is needed.", remedy=remedy))
    if (given["run_id"] is None) == (given["model_command"] is None):
        remedy = "Give --against RUN_ID, or --model-command that starts the server."
        what = "exactly one of --against and --model-command is needed."
        raise ConfigError(Problem("batch_side", what, remedy=remedy))
    if given["sample"] and given["run_id"]:
        what = "--sample goes with --model-command: a run has records of its own."
        raise ConfigError(Problem("sample", what, remedy="Leave it out."))


def _endpoint_side(given: Mapping[str, Any], request: Request) -> Ask:
    from batchcast.serving.realtime import ask_endpoint, ask_url

    if given["url"]:
        return ask_url(given["url"], request)
    # With --workspace the run is one of this machine; an endpoint is on AWS all the same.
    session = open_session(region=given["region"], profile=given["profile"])
    return ask_endpoint(session.client("sagemaker-runtime"), given["endpoint"], request)


def _batch_side(
    given: Mapping[str, Any],
) -> tuple[Sequence[tuple[str, bytes]], Mapping[str, bytes | None], ModelContract | None]:
    """The records with their ids, the answers that are there already, and the contract file where it is known."""
    from batchcast.local.sample import records_and_contract
    from batchcast.runs.run_record import contract_of_run, find_run
    from batchcast.serving.parity.batch_side import answers_of_run, records_of_run
    from batchcast.serving.parity.sample import open_line
    from batchcast.steps.contract.model_contract import parse_contract, read_contract

    if given["model_command"]:
        command_with_port(given["model_command"], "--model-command")
        records, declared = records_and_contract(given["sample"], given["contract"])
        return [open_line(record) for record in records], {}, declared
    session = open_session(given["workspace"], region=given["region"], profile=given["profile"])
    run = find_run(session, given["name"], given["run_id"])
    where = session.store, run.parameters["RunsUri"], given["run_id"]
    if given["contract"]:
        declared = read_contract(given["contract"])
    else:
        uri, text = contract_of_run(session, run)
        declared = parse_contract(text, where=uri)
    return records_of_run(*where), answers_of_run(*where), declared


def _document(found: Parity) -> dict[str, Any]:
    return {
        "match": found.matches,
        "verdict": found.verdict,
        "noise": found.noise,
        "records": len(found.compared),
        "different": found.different,
        "noisy": found.noisy,
        "differences": [asdict(each) for each in found.differences[:200]],
        "strata": dict(found.strata),
    }


def _describe(found: Parity) -> str:
    count = len(found.compared)
    strata = ", ".join(f"{number} {name}" for name, number in found.strata.items())
    lines = [f"{count} records: {strata}."]
    if found.noisy:
        lines.append(
            f"The endpoint contradicts itself on {found.noisy} of them, by up to {found.noise:.2%}; batch may differ "
            "twice as much there."
        )
    if found.matches:
        return "\n".join([*lines, "Batch says what the endpoint says."])
    if found.verdict == "inconclusive":
        lines.append(f"Inconclusive: nothing below {2 * found.noise:.2%} can be told from the endpoint's own noise.")
        lines.append("A model with a fixed seed, or with more samples a forecast, can be compared.")
        if not found.differences:
            return "\n".join(lines)
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in Counter(e.kind for e in found.differences).most_common())
    lines += [f"Batch answers {found.different} of them otherwise: {kinds}. The first differences:"]
    firsts = found.firsts()
    lines += [f"  {each}{f' (and {more:,} more)' if more else ''}" for each, more in firsts[:_FIRST]]
    left = sum(1 + more for _, more in firsts[_FIRST:])
    return "\n".join([*lines, *([f"  … and {left:,} more of other items"] if left else [])])
