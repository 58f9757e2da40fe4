"""The command line: one command a module, loaded when it is used so that `--help` answers at once."""

import importlib
import json
import sys
from collections.abc import Mapping
from keyword import iskeyword
from pathlib import Path

import click

from batchcast import __version__
from batchcast.cli.echo import echo
from batchcast.steps.errors import BatchcastError

# Section -> name -> one line for the overview, which a test holds against the command's own help.
SECTIONS: Mapping[str, Mapping[str, str]] = json.loads(
    Path(__file__).with_name("commands.json").read_text(encoding="utf-8")
)


def _module(section: str, name: str) -> str:
    """The command's module, in its section's folder, which has the first word of the title for a name."""
    word = name.replace("-", "_")
    return f"batchcast.cli.{section.split()[0].lower()}.{f'{word}_' if iskeyword(word) else word}"


COMMANDS = {name: _module(title, name) for title, section in SECTIONS.items() for name in section}
"""Name -> the module, in which the function is called `<name>_command`."""


class _LazyGroup(click.Group):
    """A group that imports a command's module only when that command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[name])
        command = getattr(module, f"{name.replace('-', '_')}_command")
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
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([*commands.items()], col_max=17)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
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
        echo(str(error), err=True)
        exit_code = error.exit_code
    except click.ClickException as error:
        error.show()
        exit_code = error.exit_code
    except click.Abort:
        from batchcast.runs.outcome import INTERRUPTED

        echo("Interrupted.", err=True)
        exit_code = INTERRUPTED
    sys.exit(exit_code if isinstance(exit_code, int) else 0)
