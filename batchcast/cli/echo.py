"""The one way from a command to the terminal; a linter's rule keeps `click.echo` to this module."""

from typing import Any

import click

from batchcast.steps.plain_text import plain_text


def echo(text: str, *, err: bool = False, nl: bool = True, **style: Any) -> None:
    """A line on stdout, or stderr, in which nothing of the text acts on the terminal."""
    click.secho(plain_text(text), err=err, nl=nl, **style)  # noqa: TID251
