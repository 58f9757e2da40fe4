"""Requests that were reviewed once and are compared ever after.

`BATCHCAST_WRITE_GOLDEN=1 pytest tests/aws` writes them anew; the diff is the review.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

__all__ = ["matches_golden"]

_MASKS = (
    (r'"PipelineDefinition": ".*"', '"PipelineDefinition": "<definition>"'),
    (r"[\d,]+ bytes, SHA-256 [0-9a-f]{64}", "<body>"),
    (r"[0-9a-f]{64}", "<sha256>"),
    (r"\b(stack-[A-Za-z]+)-[A-Za-z0-9]+", r"\1-<id>"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>"),
    (r"\b(Code|contract) [0-9a-f]{12}\b", r"\1 <digest>"),
)
FOLDER = Path(__file__).parent / "golden"


def matches_golden(name: str, value: Any) -> bool:
    """Whether `value` is what `golden/<name>.json` says; what depends on the code's bytes is masked in it."""
    text = json.dumps(value, indent=1, default=lambda _: "<body>") + "\n"
    for pattern, mask in _MASKS:
        text = re.sub(pattern, mask, text)
    path = FOLDER / f"{name}.json"
    if os.environ.get("BATCHCAST_WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return path.read_text() == text
