"""What the instances and files of one transform job share, and what became of the files."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from batchcast.engine.faults import FaultPlan
from batchcast.engine.server.model_server import ModelSource
from batchcast.engine.transform.plan import TransformOptions, TransformPlan
from batchcast.engine.transform.progress import TransformTally
from batchcast.steps.store.objects import ObjectStore

Blame = Literal["ClientError", "AlgorithmError"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedFile:
    """An object without output, and why; `line` is the 0-based line of the request that failed first."""

    uri: str
    blame: Blame
    reason: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformContext:
    """Fixed for a job but for its two lists: the files that failed and the outputs that are the job's."""

    plan: TransformPlan
    options: TransformOptions
    faults: FaultPlan
    store: ObjectStore
    model: ModelSource
    log_folder: Path
    partial_folder: Path
    tally: TransformTally
    stop: threading.Event
    failed: list[FailedFile] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    @property
    def timeout(self) -> float:
        """Seconds that one attempt may take on this machine's clock."""
        return self.plan.timeout * self.options.time_scale
