"""Consoles and tables, in which nothing of data or of a model acts on the terminal."""

import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.table import Column, Table

from batchcast.steps.plain_text import plain_text

_FILE_WIDTH = 120
# Where nothing can be drawn in place: a line so often, of what goes on.
PLAIN_EVERY_SECONDS = 5.0
_SILENT_SECONDS = 2.0


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


@contextmanager
def working(what: str | Callable[[], str], total: int = 0) -> Iterator[Callable[[], None]]:
    """Say on stderr that this goes on, once it has for two seconds: in place on a terminal, else a line now and then.

    What is given is called for each of `total` parts that is done; how many a second and the time left are said then.
    Where what goes on changes, `what` says it when asked.
    """
    began, done, ended = time.monotonic(), 0, threading.Event()

    def words() -> str:
        seconds, doing = time.monotonic() - began, what if isinstance(what, str) else what()
        if not (total and done):
            return f"{doing}: {seconds:.0f} s"
        left = (total - done) * seconds / done
        return f"{doing}: {done:,} of {total:,}, {done / seconds:.3g} a second, {left:.0f} s left"

    def speak() -> None:
        console, pause = stderr_console(), _SILENT_SECONDS
        if console.is_terminal and not console.is_dumb_terminal:
            if not ended.wait(pause):
                with console.status(escape(words())) as status:
                    while not ended.wait(0.25):
                        status.update(escape(words()))
            return
        while not ended.wait(pause):
            console.print(words(), highlight=False, markup=False, soft_wrap=True)
            pause = PLAIN_EVERY_SECONDS

    def count() -> None:
        nonlocal done
        done += 1

    speaker = threading.Thread(target=speak, name="progress", daemon=True)
    speaker.start()
    try:
        yield count
    finally:
        ended.set()
        speaker.join()


def cell(text: str) -> str:
    """Text of data or of a model as rich may print it: no markup is read in it, and its escapes are measured."""
    return escape(plain_text(text))


def plain_table(
    *heads: str, rows: Iterable[Sequence[str]] = (), numbers: Collection[int] = (), whole: Collection[int] = ()
) -> Table:
    """A table without lines. By their places: columns of `numbers` end at the right, `whole` ones are never wrapped."""
    columns = [
        Column(head, justify="right" if place in numbers else "left", no_wrap=place in whole)
        for place, head in enumerate(heads)
    ]
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    return table
