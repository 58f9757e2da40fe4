"""The arguments of the steps as the pipeline's definition passes them: one flag a field of a dataclass, and all that is
wrong with them at once."""

import argparse
import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NoReturn, TypeVar, get_type_hints

from batchcast.steps.errors import ConfigError, Problem

AUTO, ALL, NONE = "auto", "all", "none"
"""What stands for "find it", "every one" and "not given": the service takes no empty parameter."""
_MOST_SHOWN = 500
_T = TypeVar("_T")
Bounds = Mapping[str, tuple[int, int | None]]
"""Field to its least and its largest value; None: no limit."""


class _Parser(argparse.ArgumentParser):
    """Whose errors are ConfigErrors, as all of a step's are."""

    def error(self, message: str) -> NoReturn:
        what = message if len(message) <= _MOST_SHOWN else f"{message[:_MOST_SHOWN]}…"
        raise ConfigError(Problem("arguments", f"{what}.", self.prog, "Correct the step's arguments."))


def read_flags(step: str, fields: type[_T], argv: Sequence[str], defaults: Mapping[str, Any] | None = None) -> _T:
    """The dataclass with the value of every flag.

    Raises ConfigError for a flag that is missing, unknown or not of its field's type.
    """
    parser, defaults = _Parser(prog=step, allow_abbrev=False), defaults or {}
    for name, kind in get_type_hints(fields).items():  # int, float or str
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=kind, required=name not in defaults, default=defaults.get(name))
    if any(re.search("[\0\ud800-\udfff]", word) for word in argv):
        parser.error(f"{argv!r} are not all UTF-8")
    return fields(**vars(parser.parse_args(list(argv))))


def check_bounds(step: str, arguments: Any, bounds: Bounds, *others: Problem) -> None:
    """Raises ConfigError with every field that is out of its bounds, and with `others`."""
    problems = []
    for name, (least, most) in bounds.items():
        value = getattr(arguments, name)
        if not (least <= value <= (value if most is None else most)):
            remedy = f"Use {least} or more." if most is None else f"Use {least} to {most}."
            problems.append(Problem("arguments", f"{name} is {value}.", step, remedy))
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


PROCESSES, SPARK = ENGINES = ("processes", "spark")
"""What builds the shards: the processes of one instance, or Spark on several."""
_MEGABYTE = 1_000_000
_BOUNDS: Bounds = {
    "forecast_horizon": (1, None),
    "transform_instance_count": (1, None),
    "max_concurrent_transforms": (1, None),
    "max_payload_in_mb": (1, None),
    "records_per_shard": (0, None),
    "systemic_failure_percent": (0, 100),
    "processes": (1, None),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildArguments:
    """One field a flag. `run_date` is a date or `auto`, `items_uri` a URI or `all`, `resume_from` a run or `none`;
    `records_per_shard` 0 means by rule. `publish_uri` names the prefix to lock, `none` without a network.

    The output depends on none of `publish_uri`, `build_engine` and `processes`. Raises ConfigError with every value
    that is out of its bounds."""

    run_id: str
    run_date: str
    run_label: str
    forecast_horizon: int
    transform_instance_count: int
    max_concurrent_transforms: int
    max_payload_in_mb: int
    records_per_shard: int
    systemic_failure_percent: float
    items_uri: str
    resume_from: str
    runs_uri: str
    publish_uri: str
    build_engine: str = PROCESSES
    processes: int = 1

    def __post_init__(self) -> None:
        others = []
        if self.run_date != AUTO and not is_moment(self.run_date):
            what = f"run_date {self.run_date!r} is not a date or time."
            remedy = "Write it like 2026-11-22, below a day like 2026-11-22T14:00:00, or auto."
            others = [Problem("arguments", what, "build_shards", remedy)]
        if self.build_engine not in ENGINES:
            what = f"there is no build_engine {self.build_engine!r}."
            others.append(Problem("arguments", what, "build_shards", f"Use one of {', '.join(ENGINES)}."))
        check_bounds("build_shards", self, _BOUNDS, *others)

    @property
    def fixed_run_date(self) -> date | None:
        """The run date, or run time below a day; None for `auto`."""
        return None if self.run_date == AUTO else parse_moment(self.run_date)

    @property
    def max_record_bytes(self) -> int:
        """The largest record. The service does not say whether its MB are 10^6 or 2^20 bytes, or what it counts beside
        the record: the smaller, less 5 %, is safe under either reading."""
        return self.max_payload_in_mb * _MEGABYTE * 95 // 100

    def parameters(self) -> dict[str, str | int | float]:
        """What the output depends on, by flag."""
        values = dataclasses.asdict(self)
        for name in ("publish_uri", "build_engine", "processes"):
            del values[name]
        return values


def parse_arguments(argv: Sequence[str]) -> BuildArguments:
    """Raises ConfigError with every argument that is missing, unknown or out of its bounds."""
    defaults = {"build_engine": PROCESSES, "processes": _processors()}
    return read_flags("build_shards", BuildArguments, argv, defaults)


def _processors() -> int:
    # What this process may use; macOS cannot tell that from what there is.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
