"""The one way from a command to the terminal; a linter's rule keeps `click.echo` to this module."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NoReturn

import click

from batchcast.session.finding import Finding
from batchcast.steps.errors import ConfigError
from batchcast.steps.plain_text import plain_text


def echo(text: str, *, err: bool = False, nl: bool = True, **style: Any) -> None:
    """A line on stdout, or stderr, in which nothing of the text acts on the terminal."""
    click.secho(plain_text(text), err=err, nl=nl, **style)  # noqa: TID251


def echo_json(document: Any) -> None:
    """A document on stdout as JSON; dates and paths as text."""
    echo(json.dumps(document, indent=1, default=str))


def end_with_findings(findings: Sequence[Finding], *, as_json: bool) -> NoReturn:
    """Print what was looked at, in lines or as JSON, and end with 2 where something would stop a run.

    Without rich, whose absence may be what was found.
    """
    if as_json:
        echo_json([asdict(one) for one in findings])
    else:
        for one in findings:
            echo(f"{one.level:8}", fg={"ok": "green", "warning": "yellow", "error": "red"}[one.level], nl=False)
            echo(f"{one.check:16} {one.what}")
            if one.remedy:
                echo(f"{'':25}{one.remedy}")
    sys.exit(ConfigError.exit_code if any(one.level == "error" for one in findings) else 0)
