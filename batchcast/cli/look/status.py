import json
import sys
from datetime import UTC, datetime
from typing import Any

import click

from batchcast.cli.echo import echo
from batchcast.cli.options import JSON_OPTION, RUN_OPTIONS, open_run


@click.command()
@RUN_OPTIONS
@JSON_OPTION
def status_command(run_id: str | None, name: str, as_json: bool, **where: Any) -> None:
    """Show how a run stands: steps, shards done, when it ends, why it failed.

    Without RUN_ID the run that was started last. Ends with the exit code of the run once that has ended.
    """
    from batchcast.cli.console import print_next
    from batchcast.runs.progress import run_status, status_lines

    session, run = open_run(name, run_id, where)
    document, exit_code = run_status(session, run, datetime.now(UTC))
    echo(json.dumps(document, indent=1) if as_json else "\n".join(status_lines(document)))
    if document["next"] and not as_json:
        print_next(document, where["workspace"])
    sys.exit(exit_code)
