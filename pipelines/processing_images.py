"""The scikit-learn processing image of each region, which has the pandas and pyarrow that the steps need."""

from __future__ import annotations

import json
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from batchcast.steps.errors import ConfigError, Problem


def image_of(region: str) -> str:
    """The image's URI. Raises ConfigError for a region the table does not have."""
    table = _table()
    registry = table["registries"].get(region)
    if registry is None:
        near = get_close_matches(region, regions(), n=1)
        hint = f"Did you mean {near[0]}? Else give" if near else "Give"
        what = f"no processing image is known for {region!r}."
        raise ConfigError(Problem("image", what, "--image-uri", f"{hint} --image-uri."))
    domain = next((name for prefix, name in table["domains"].items() if region.startswith(prefix)), "amazonaws.com")
    return f"{registry}.dkr.ecr.{region}.{domain}/{table['repository']}:{table['tag']}"


def regions() -> list[str]:
    """Every region of the table."""
    return list(_table()["registries"])


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    return table
