"""The command line: one command a module, loaded when it is used so that `--help` answers at once."""

from __future__ import annotations

import importlib
import sys

import click

from batchcast import __version__
from batchcast.steps.errors import BatchcastError
from batchcast.steps.plain_text import plain_text

__all__ = ["main", "root"]

# name -> (module:attribute, one line for the overview); a test holds each line against the command's own help.
COMMANDS = {
    "local": ("batchcast.cli.run.local:local_command", "Run the whole pipeline on this machine."),
    "deploy": ("batchcast.cli.account.deploy:deploy", "Create the pipeline, or update what has changed."),
    "doctor": (
        "batchcast.cli.look.doctor:doctor",
        "Look for what of this machine would stop a run, with the remedy.",
    ),
    "preflight": ("batchcast.cli.account.preflight:preflight", "Look for what would stop a run, and change nothing."),
    "start": ("batchcast.cli.run.executions:start", "Start a run and print its id."),
    "status": (
        "batchcast.cli.run.executions:status",
        "Show how a run stands: steps, shards done, when it ends, why it failed.",
    ),
    "wait": ("batchcast.cli.run.executions:wait", "Follow a run to its end; its exit code is the run's."),
    "logs": ("batchcast.cli.run.executions:logs", "Print the logs of a run's jobs, step by step."),
    "stop": ("batchcast.cli.run.executions:stop", "Stop a run; nothing of it is published."),
    "list": ("batchcast.cli.run.executions:list_", "List the runs, the newest first."),
    "schedule": ("batchcast.cli.account.schedule:schedule", "Let the pipeline start by itself."),
    "check-container": (
        "batchcast.cli.model.check_container:check_container",
        "Check whether a model container is compatible with Batch Transform.",
    ),
    "rerun": ("batchcast.cli.run.rerun:rerun", "Run what is left of an earlier run, and publish all of it."),
    "backfill": ("batchcast.cli.run.backfill:backfill", "Forecast past dates, one run a date, in order."),
    "approve": (
        "batchcast.cli.publish.approve:approve",
        "Publish a run that is held for how its forecasts look.",
    ),
    "reject": (
        "batchcast.cli.publish.approve:reject",
        "Close a run that is held for how its forecasts look: nobody can approve it any more.",
    ),
    "published": ("batchcast.cli.publish.published:published", "List the published runs."),
    "rollback": ("batchcast.cli.publish.published:rollback", "Let readers see an earlier published run again."),
    "prune": ("batchcast.cli.publish.published:prune", "Remove old published runs, never the one readers see."),
    "diff": ("batchcast.cli.look.diff:diff", "Compare two runs: parameters, inputs, counts, forecasts."),
    "plan": ("batchcast.cli.plan.plan:plan", "What the run costs and when it ends, beside the ways around it."),
    "simulate": ("batchcast.cli.plan.simulate:simulate", "Play the transform job through, record by record."),
    "tune": ("batchcast.cli.plan.tune:tune", "Measure the model's concurrency and write tuning.json."),
    "prices": ("batchcast.cli.plan.prices:prices", "The price table: show it, or bring it up to date."),
    "forecast": ("batchcast.cli.model.forecast:forecast", "Forecast some items now."),
    "parity": (
        "batchcast.cli.model.parity:parity",
        "Compare the answers of an endpoint with those of batch, record by record.",
    ),
    "choose": (
        "batchcast.cli.plan.choose:choose",
        "Choose between batch, an asynchronous endpoint, both, and real time.",
    ),
    "async": (
        "batchcast.cli.model.async_endpoint:async_",
        "Ad-hoc and bulk forecasts on an asynchronous endpoint that sleeps at zero instances.",
    ),
    "lint": ("batchcast.cli.define.lint:lint", "Check a pipeline definition without running it."),
    "show": ("batchcast.cli.define.show:show", "Print the pipeline definition, or the job requests it resolves to."),
    "parameters": ("batchcast.cli.define.show:parameters", "Print the table of pipeline parameters."),
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

    Results go to stdout, progress to stderr. Exit codes: 0 done
    (a published run that readers do not see is named, with the way out), 1 a bug, 2 configuration, 3 data, 4 model,
    5 held (nothing was published), 75 service (try again), 130 interrupted.
    """


def main() -> None:
    """Run the command line; errors of batchcast end with their exit code and a message, not a traceback."""
    try:
        exit_code = root(standalone_mode=False)
    except BatchcastError as error:
        click.echo(plain_text(str(error)), err=True)
        exit_code = error.exit_code
    except click.ClickException as error:
        error.show()
        exit_code = error.exit_code
    except click.Abort:
        from batchcast.runs.outcome import INTERRUPTED

        click.echo("Interrupted.", err=True)
        exit_code = INTERRUPTED
    sys.exit(exit_code if isinstance(exit_code, int) else 0)
