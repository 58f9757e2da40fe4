"""`[checks]` of `model.toml`: what becomes of suspicious and missing forecasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from batchcast.steps.contract.toml_table import TomlTable

__all__ = ["Checks", "read_checks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What the publishing step does about suspicious and missing forecasts."""

    hold_on_flags: bool = False
    missing_forecasts: Literal["leave_out", "carry_forward"] = "leave_out"


def read_checks(table: TomlTable) -> Checks:
    return Checks(
        hold_on_flags=table.flag("hold_on_flags", default=False),
        missing_forecasts=table.choice("missing_forecasts", ("leave_out", "carry_forward"), default="leave_out"),
    )
