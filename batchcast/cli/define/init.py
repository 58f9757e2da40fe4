import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import FOLDER, THERE
from batchcast.cli.terminal import working
from batchcast.session.guarded_read import read_guarded
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.store.objects import write_file

# The families of `batchcast.contracts.families`, by their file, so that --help needs no import.
FAMILY_NAMES = tuple(tomllib.loads(resources.files("batchcast.contracts").joinpath("families.toml").read_text("utf-8")))


@click.command("init")
@click.option("--model", "family", type=click.Choice(FAMILY_NAMES), required=True, help="The kind of container.")
@click.option("--history", type=THERE, required=True, help="Parquet history: a folder or a file.")
@click.option("--item-id", multiple=True, metavar="COLUMN", help="Column that names a series; repeat for more.")
@click.option("--timestamp", metavar="COLUMN", help="Column of the dates; else found.")
@click.option("--target", metavar="COLUMN", help="Column that is forecast; else found.")
@click.option("--known", multiple=True, metavar="COLUMN", help="Column known for the future; repeat for more.")
@click.option("--output", type=FOLDER, default=Path(), show_default=False, help="Where the files go; else this folder.")
@click.option("--force", is_flag=True, help="Write over files that are there.")
def init_command(family: str, history: Path, output: Path, force: bool, **roles: Any) -> None:
    """Write model.toml and deploy.toml for a history and a kind of container, and say what was assumed.

    The columns' roles are read from the Parquet schema and rows; what cannot be told is asked for by an option.
    """
    from batchcast.cli.console import typed_command
    from batchcast.contracts.families import FAMILIES, contract_text, deploy_text
    from batchcast.contracts.proposal import propose
    from batchcast.steps.contract.model_contract import parse_contract

    chosen = FAMILIES[family]
    with working(f"Reading {history}"):
        proposal = read_guarded(propose, history, **roles)
    text = contract_text(proposal, chosen)
    parse_contract(text.encode())
    files = {output / "model.toml": text, output / "deploy.toml": deploy_text()}
    there = [path for path in files if path.exists()]
    if there and not force:
        what = f"{', '.join(map(str, there))} is there already."
        raise ConfigError(Problem("init", what, "--output", "Give --force to write over it, or another --output."))
    output.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        write_file(path, content.encode())
    echo(f"{output / 'model.toml'}: the contract of {chosen.title}. Assumed:")
    for line in [*proposal.assumptions, *chosen.notes]:
        echo(f"  {line}")
    echo("Next, one record before a run:")
    command = f"check-model --history {history} --contract {output / 'model.toml'} --model-command '… {{port}}'"
    echo(f"  {typed_command()} {command}")
