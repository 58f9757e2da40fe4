"""`[checks]` of `model.toml`: what becomes of suspicious and missing forecasts."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Literal, get_args

from batchcast.steps.contract.toml_table import TomlTable

Severity = Literal["hold", "warn", "off"]
Missing = Literal["leave_out", "carry_forward"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the forecasts: what its flag says, and what becomes of it where `[checks]` does not name it."""

    words: str
    severity: Severity


_CHECKS_FILE = resources.files("batchcast.steps.contract").joinpath("checks.toml")
CHECKS = {name: Check(**row) for name, row in tomllib.loads(_CHECKS_FILE.read_text("utf-8")).items()}
"""Every check by its key in `[checks]`, those of the whole run first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What the publishing step does about suspicious and missing forecasts; `severities` has every check."""

    severities: Mapping[str, Severity] = field(
        default_factory=lambda: {name: check.severity for name, check in CHECKS.items()}
    )
    missing_forecasts: Missing = "leave_out"


def read_checks(table: TomlTable) -> Checks:
    return Checks(
        severities={key: table.choice(key, get_args(Severity), default=one.severity) for key, one in CHECKS.items()},
        missing_forecasts=table.choice("missing_forecasts", get_args(Missing), default="leave_out"),
    )


def flag_words(run_kinds: Iterable[str], items: int) -> str:
    """Flags in a few words: the kinds that are of the whole run, and how many items have one; empty without any."""
    parts = [CHECKS[kind].words for kind in dict.fromkeys(run_kinds)]
    parts += [f"{items:,} item{'s look' if items != 1 else ' looks'} wrong"] if items else []
    return "; ".join(parts)
