"""The release of a held run by a person: who, when and why."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """`at` is UTC in ISO 8601. With `as_reference` later runs are compared with this one, as after a new model; without
    it they are compared with the run before, and a second run of the same kind is held again."""

    by: str
    at: str
    reason: str
    as_reference: bool = False
