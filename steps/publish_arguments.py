"""The arguments of `validate_and_publish`, as the pipeline's definition passes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from steps.build_arguments import NONE, StepParser
from steps.errors import ConfigError, Problem

__all__ = ["PublishArguments", "parse_publish_arguments"]

_BOUNDS = {
    "round": (0, 1),
    "max_failed_records": (0, None),
    "max_failed_percent": (0, 100),
    "systemic_failure_percent": (0, 100),
    "max_retry_records": (0, None),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishArguments:
    """One field a flag. `round` is 0, or 1 after the retry round; percentages are of all items, 0 to 100."""

    run_id: str
    run_label: str
    round: int
    runs_uri: str
    publish_uri: str
    max_failed_records: int
    max_failed_percent: float
    systemic_failure_percent: float
    max_retry_records: int
    resume_from: str

    @property
    def fixed_resume_from(self) -> str | None:
        """The run to resume, None for `none`."""
        return None if self.resume_from == NONE else self.resume_from


def parse_publish_arguments(argv: Sequence[str]) -> PublishArguments:
    """Raises ConfigError with every argument that is missing, unknown or out of its bounds."""
    parser = StepParser(prog="validate_and_publish", allow_abbrev=False)
    kinds = {"int": int, "float": float, "str": str}
    for field in dataclasses.fields(PublishArguments):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kinds[str(field.type)], required=True)
    values = vars(parser.parse_args(list(argv)))
    problems = [
        Problem("arguments", f"{name} is {values[name]}.", parser.prog, _remedy(least, most))
        for name, (least, most) in _BOUNDS.items()
        if not (least <= values[name] <= (values[name] if most is None else most))
    ]
    if problems:
        raise ConfigError(*problems)
    return PublishArguments(**values)


def _remedy(least: int, most: int | None) -> str:
    return f"Use {least} or more." if most is None else f"Use {least} to {most}."
