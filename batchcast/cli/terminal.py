"""Consoles and tables, in which nothing of data or of a model acts on the terminal."""

import sys
from collections.abc import Collection, Iterator

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.table import Column, Table

from batchcast.steps.plain_text import plain_text

_FILE_WIDTH = 120


class _PlainConsole(Console):
    """A console on which only its own codes act, and none of what is printed."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=plain_text(segment.text))


def stdout_console() -> Console:
    """Where results go: as wide as the terminal, and 120 characters in a file or a pipe."""
    width = None if sys.stdout.isatty() else _FILE_WIDTH
    return _PlainConsole(file=sys.stdout, width=width, highlight=False)


def stderr_console() -> Console:
    """Where progress goes."""
    return _PlainConsole(stderr=True)


def cell(text: str) -> str:
    """Text of data or of a model as rich may print it: no markup is read in it, and its escapes are measured."""
    return escape(plain_text(text))


def plain_table(*heads: str, numbers: Collection[int] = (), whole: Collection[int] = ()) -> Table:
    """A table without lines. By their places: columns of `numbers` end at the right, `whole` ones are never wrapped."""
    columns = [
        Column(head, justify="right" if place in numbers else "left", no_wrap=place in whole)
        for place, head in enumerate(heads)
    ]
    return Table(*columns, box=None, pad_edge=False)
