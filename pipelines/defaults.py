"""The default values in a definition: what a run gets for a parameter that its start does not name."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

_TYPES: Mapping[str, type] = {"Integer": int, "Float": float}


def defaults_of(definition: Mapping[str, Any]) -> dict[str, str]:
    """Name to default as text, as StartPipelineExecution would take it; parameters without one are left out."""
    return {one["Name"]: str(one["DefaultValue"]) for one in definition["Parameters"] if "DefaultValue" in one}


def with_defaults(definition: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """A copy of the definition with these values as defaults. They have been checked by `parse_overrides`."""
    changed: dict[str, Any] = copy.deepcopy(dict(definition))
    for parameter in changed["Parameters"]:
        if parameter["Name"] in values:
            parameter["DefaultValue"] = _TYPES.get(parameter["Type"], str)(values[parameter["Name"]])
    return changed
