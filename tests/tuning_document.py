"""A `tuning.json` of a model whose slowest requests take a minute with four at once."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["write_tuning_document"]


def write_tuning_document(
    path: Path, *, instance_type: str = "ml.m5.4xlarge", image: str | None = None, where: str = "transform-canary"
) -> Path:
    """Write it; the path again. `image` is the identity of the image it was measured with."""
    p99_s = {1: 41.0, 4: 62.5, 8: 130.0}
    levels = [
        {"m": m, "items_per_s": 0.03 * m, "relse": 0.02, "p50_s": 30.0, "p99_s": slow, "n": 64, "errors": 0}
        for m, slow in p99_s.items()
    ]
    document = {
        "schema": 1,
        "model": {"name": "demand-model", "image_digest": image},
        "measured": {
            "where": where,
            "instance_type": instance_type,
            "vcpu": 16,
            "mem_gib": 64.0,
            "at": "2026-11-23T21:30:00Z",
            "sample": {"n": 64, "how": "s", "sha256": "0", "seconds_mean": 30, "seconds_cv": 0.5, "max_record_mb": 1.3},
        },
        "execution_parameters": {"source": "absent"},
        "levels": levels,
        "capacity": {"kind": "knee", "theta": [4.0, 0.0], "rmse_pct": 1.8, "max_tested": 8},
        "stop_reason": "all levels",
        "caps": {"payload": 50, "memory": None, "workers": None},
        "parameters": {
            "MaxConcurrentTransforms": 5,
            "MaxPayloadInMB": 7,
            "BatchStrategy": "SingleRecord",
            "InvocationsTimeoutInSeconds": 188,
            "InvocationsMaxRetries": 2,
        },
        "cold_start": {
            "provision_s": {"median": 180, "sigma": 0.35},
            "start_s": {"median": 150, "sigma": 0.3},
            "source": "prior",
        },
        "assignment": {"rule": "unknown", "evidence": ""},
    }
    path.write_text(json.dumps(document))
    return path
