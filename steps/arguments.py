"""The arguments of a step: one flag a field of a dataclass, and all that is wrong with them at once."""

import argparse
import dataclasses
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NoReturn, get_type_hints

from batchcast.steps.errors import ConfigError, Problem

AUTO, ALL, NONE = "auto", "all", "none"
"""What stands for "find it", "every one" and "not given": the service takes no empty parameter."""
_MOST_SHOWN = 500
Bounds = Mapping[str, tuple[int, int | None]]
"""Field to its least and its largest value; None: no limit."""


class _Parser(argparse.ArgumentParser):
    """Whose errors are ConfigErrors, as all of a step's are."""

    def error(self, message: str) -> NoReturn:
        what = message if len(message) <= _MOST_SHOWN else f"{message[:_MOST_SHOWN]}…"
        raise ConfigError(Problem("arguments", f"{what}.", self.prog, "Correct the step's arguments."))


def read_flags(step: str, fields: type, argv: Sequence[str], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The value of every field of the dataclass.

    Raises ConfigError for a flag that is missing, unknown or not of its field's type.
    """
    parser, kinds = _Parser(prog=step, allow_abbrev=False), get_type_hints(fields)
    for field in dataclasses.fields(fields):
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=kinds[field.name],  # int, float or str
            required=field.name not in defaults,
            default=defaults.get(field.name),
        )
    if any(re.search("[\0\ud800-\udfff]", word) for word in argv):
        parser.error(f"{argv!r} are not all UTF-8")
    return vars(parser.parse_args(list(argv)))


def check_bounds(step: str, arguments: Any, bounds: Bounds, *others: Problem) -> None:
    """Raises ConfigError with every field that is out of its bounds, and with `others`."""
    values = {name: getattr(arguments, name) for name in bounds}
    problems = []
    for name, (least, most) in bounds.items():
        if not (least <= values[name] <= (values[name] if most is None else most)):
            remedy = f"Use {least} or more." if most is None else f"Use {least} to {most}."
            problems.append(Problem("arguments", f"{name} is {values[name]}.", step, remedy))
    ConfigError.raise_any([*problems, *others])


def value_given(value: str) -> str | None:
    """The value; None for the words that stand for none."""
    return None if value in (AUTO, ALL, NONE) else value


def parse_moment(text: str) -> date:
    """A date as 2026-11-22, or a date-time as 2026-11-22T14:00:00. Raises ValueError for any other text."""
    moment = date.fromisoformat(text) if len(text) == len("2026-11-22") else datetime.fromisoformat(text)
    if moment.isoformat() != text or (isinstance(moment, datetime) and moment.tzinfo is not None):
        raise ValueError(f"{text!r} is neither a date like 2026-11-22 nor a time like 2026-11-22T14:00:00")
    return moment


def is_moment(text: str) -> bool:
    """Whether the text is a date as 2026-11-22 is, or a time as 2026-11-22T14:00:00; ISO 8601 has other ways to write
    them, which would be one moment under two names."""
    try:
        parse_moment(text)
    except ValueError:
        return False
    return True
