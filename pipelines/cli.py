"""The command line: one command a module, loaded when it is used so that `--help` answers at once."""

from __future__ import annotations

import importlib
import sys

import click

from pipelines import __version__
from pipelines.outcome import INTERRUPTED
from steps.errors import BatchcastError

__all__ = ["main", "root"]

# name -> (module:attribute, one line for the overview); a test holds each line against the command's own help.
COMMANDS = {
    "local": ("pipelines.local_run:local", "Run the whole pipeline on this machine."),
    "deploy": ("pipelines.deploy_command:deploy", "Create the pipeline, or update what has changed."),
    "preflight": ("pipelines.preflight_command:preflight", "Look for what would stop a run, and change nothing."),
    "start": ("pipelines.executions_commands:start", "Start a run and print its id."),
    "status": (
        "pipelines.executions_commands:status",
        "Show how a run stands: steps, shards done, when it ends, why it failed.",
    ),
    "wait": ("pipelines.executions_commands:wait", "Follow a run to its end; its exit code is the run's."),
    "logs": ("pipelines.executions_commands:logs", "Print the logs of a run's jobs, step by step."),
    "stop": ("pipelines.executions_commands:stop", "Stop a run; nothing of it is published."),
    "list": ("pipelines.executions_commands:list_", "List the runs, the newest first."),
    "schedule": ("pipelines.schedule_command:schedule", "Let the pipeline start by itself."),
    "check-container": (
        "pipelines.check_container:check_container",
        "Check whether a model container is fit for Batch Transform.",
    ),
    "rerun": ("pipelines.rerun_command:rerun", "Run what is left of an earlier run, and publish all of it."),
    "backfill": ("pipelines.backfill_command:backfill", "Forecast past dates, one run a date, in order."),
    "published": ("pipelines.published_commands:published", "List the published runs."),
    "rollback": ("pipelines.published_commands:rollback", "Let readers see an earlier published run again."),
    "prune": ("pipelines.published_commands:prune", "Remove old published runs, never the one readers see."),
    "diff": ("pipelines.diff_command:diff", "Compare two runs: parameters, inputs, counts, forecasts."),
    "plan": ("pipelines.plan_command:plan", "What the run costs and when it ends, beside the ways around it."),
    "simulate": ("pipelines.simulate_command:simulate", "Play the transform job through, record by record."),
    "tune": ("pipelines.tune_command:tune", "Measure the model's concurrency and write tuning.json."),
    "prices": ("pipelines.prices_command:prices", "The price table: show it, or bring it up to date."),
    "forecast": ("pipelines.forecast_command:forecast", "Forecast some items now."),
    "parity": (
        "pipelines.parity_command:parity",
        "Compare the answers of an endpoint with those of batch, record by record.",
    ),
    "choose": (
        "pipelines.choose_command:choose",
        "Choose between batch, an asynchronous endpoint, both, and real time.",
    ),
    "async": (
        "pipelines.async_commands:async_",
        "Ad-hoc and bulk forecasts on an asynchronous endpoint that sleeps at zero instances.",
    ),
    "lint": ("pipelines.lint_command:lint", "Check a pipeline definition without running it."),
    "show": ("pipelines.show:show", "Print the pipeline definition, or the job requests it resolves to."),
    "parameters": ("pipelines.show:parameters", "Print the table of pipeline parameters."),
}


class _LazyGroup(click.Group):
    """A group that imports a command's module only when that command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from difflib import get_close_matches

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else " `--help` lists the commands."
            ctx.fail(f"there is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
def root() -> None:
    """A team's weekly forecast run as a SageMaker Pipeline.

    Results go to stdout, progress to stderr. Exit codes: 0 done, 1 a bug, 2 configuration, 3 data, 4 model,
    5 held (nothing was published), 75 service (try again), 130 interrupted.
    """


def main() -> None:
    """Run the command line; errors of batchcast end with their exit code and a message, not a traceback."""
    try:
        exit_code = root(standalone_mode=False)
    except BatchcastError as error:
        click.echo(str(error), err=True)
        exit_code = error.exit_code
    except click.ClickException as error:
        error.show()
        exit_code = error.exit_code
    except click.Abort:
        click.echo("Interrupted.", err=True)
        exit_code = INTERRUPTED
    sys.exit(exit_code if isinstance(exit_code, int) else 0)
