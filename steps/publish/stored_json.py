"""The one form of the project's JSON files."""

import json
from collections.abc import Mapping
from typing import Any


def to_json(value: Mapping[str, Any]) -> bytes:
    """The one form of the project's JSON files: sorted keys, so that equal content is equal bytes."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
