from dataclasses import asdict

import click

from batchcast.cli.echo import echo_json
from batchcast.cli.terminal import plain_table, stdout_console
from batchcast.pipelines.parameters import declared_parameters


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The table as JSON.")
def parameters_command(as_json: bool) -> None:
    """Print the table of pipeline parameters."""
    declared = declared_parameters()
    if as_json:
        echo_json([asdict(one) for one in declared])
        return
    table = plain_table("Parameter", "Type", "Default", "Bounds", "Meaning", whole=[0, 2])
    for one in declared:
        default = "required" if one.default is None else f"{one.default:g}" if one.type == "Float" else str(one.default)
        bounds = "" if one.minimum is None else f"{one.minimum:,.0f} to {one.maximum:,.0f} {one.unit}"
        table.add_row(one.name, one.type, default, bounds, one.help)
    stdout_console().print(table)
