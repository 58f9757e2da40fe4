"""Is a container compatible with Batch Transform? Asked of the container itself, over HTTP, with real records.

The contract is that of the developer guide, "Use Your Own Inference Code with Batch Transform" (2023-03); what a job
makes of each answer is what the engine's own transform jobs do.
"""

from __future__ import annotations

from batchcast.container_check.answers import Judge, judge_json
from batchcast.container_check.check import check_container
from batchcast.container_check.container import CheckLimits
from batchcast.container_check.report import CheckFinding, ContainerReport, LoadLevel, RecommendedSettings, Verdict

__all__ = [
    "CheckFinding",
    "CheckLimits",
    "ContainerReport",
    "Judge",
    "LoadLevel",
    "RecommendedSettings",
    "Verdict",
    "check_container",
    "judge_json",
]
