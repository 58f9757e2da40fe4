"""One thing that was looked at before work begins: of an account, or of this machine."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]
Line = tuple[Level, str, str]
"""How it stands, what was found, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found; `remedy` is empty where there is nothing to do."""

    check: str
    level: Level
    what: str
    remedy: str = ""
