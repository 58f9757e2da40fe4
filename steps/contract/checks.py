"""`[checks]` of `model.toml`: what becomes of suspicious and missing forecasts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from batchcast.steps.contract.toml_table import TomlTable

Severity = Literal["hold", "warn", "off"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the forecasts: what its flag says, and what becomes of it where `[checks]` does not name it."""

    words: str
    severity: Severity


CHECKS: Mapping[str, Check] = {
    "last_run_change": Check("the forecasts differ from the last run's more than runs of this pipeline do", "hold"),
    "last_run_level": Check("the sum of all forecasts is far from the last run's", "hold"),
    "last_run_shape": Check("totals or items rise and fall otherwise than in the last run", "hold"),
    "history_level": Check("the sum of all forecasts is far from the history's level", "hold"),
    "history_shape": Check("the totals do not rise and fall with the season of the history", "hold"),
    "history_noise": Check("the forecasts move as the history does by chance: noise, or the actual values", "hold"),
    "history_items": Check("many items have another item's level, or none", "hold"),
    "stale_answers": Check("the last run's answers are sent again", "hold"),
    "leaked_actuals": Check("the answers are the actual values, which no forecast can be", "hold"),
    "naive_copy": Check("the answers are the last season once more", "warn"),
    "fewer_items": Check("far fewer items than the last published run", "warn"),
    "worse_than_naive": Check("two weeks in a row the seasonal naive would have been better than the model", "warn"),
    "unexpected_output": Check("an output object that belongs to no record of this run", "warn"),
    "item_change": Check("a forecast far from the last run's, by far more than other items' are", "warn"),
    "repeated_answer": Check("the same values as another item whose history differs", "warn"),
    "constant_zero": Check("nothing but zeros for an item that sells almost every day", "warn"),
    "scale": Check("a level far from the item's own history", "warn"),
    "last_run_scale": Check("a level far from the last published run", "warn"),
}
"""Every check by its key in `[checks]`, those of the whole run first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What the publishing step does about suspicious and missing forecasts; `severities` has every check."""

    severities: Mapping[str, Severity] = field(
        default_factory=lambda: {name: check.severity for name, check in CHECKS.items()}
    )
    missing_forecasts: Literal["leave_out", "carry_forward"] = "leave_out"


def read_checks(table: TomlTable) -> Checks:
    return Checks(
        severities={
            name: table.choice(name, ("hold", "warn", "off"), default=check.severity) for name, check in CHECKS.items()
        },
        missing_forecasts=table.choice("missing_forecasts", ("leave_out", "carry_forward"), default="leave_out"),
    )


def flag_words(run_kinds: Iterable[str], items: int) -> str:
    """Flags in a few words: the kinds that are of the whole run, and how many items have one; empty without any."""
    parts = [CHECKS[kind].words for kind in dict.fromkeys(run_kinds)]
    parts += [f"{items:,} item{'s look' if items != 1 else ' looks'} wrong"] if items else []
    return "; ".join(parts)
