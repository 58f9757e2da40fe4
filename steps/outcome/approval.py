"""The release of a held run by a person: who, when and why."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """`at` is UTC in ISO 8601. With `as_reference` later runs are compared with this one, as after a new model; without
    it they are compared with the run before, and a second run of the same kind is held again."""

    by: str
    at: str
    reason: str
    as_reference: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As manifest and report have it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Approval:
        """The approval that `as_dict` wrote."""
        return cls(by=found["by"], at=found["at"], reason=found["reason"], as_reference=found["as_reference"])
