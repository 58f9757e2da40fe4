"""The arguments of `build_shards`, as the pipeline's definition passes them."""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from batchcast.steps.arguments import AUTO, Bounds, check_bounds, is_moment, parse_moment, read_flags
from batchcast.steps.errors import Problem

PROCESSES, SPARK = ENGINES = ("processes", "spark")
"""What builds the shards: the processes of one instance, or Spark on several."""
_MEGABYTE = 1_000_000
_BOUNDS: Bounds = {
    "forecast_horizon": (1, None),
    "transform_instance_count": (1, None),
    "max_concurrent_transforms": (1, None),
    "max_payload_in_mb": (1, None),
    "records_per_shard": (0, None),
    "systemic_failure_percent": (0, 100),
    "processes": (1, None),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildArguments:
    """One field a flag. `run_date` is a date or `auto`, `items_uri` a URI or `all`, `resume_from` a run or `none`;
    `records_per_shard` 0 means by rule. `publish_uri` names the prefix to lock, `none` without a network.

    The output depends on none of `publish_uri`, `build_engine` and `processes`. Raises ConfigError with every value
    that is out of its bounds."""

    run_id: str
    run_date: str
    run_label: str
    forecast_horizon: int
    transform_instance_count: int
    max_concurrent_transforms: int
    max_payload_in_mb: int
    records_per_shard: int
    systemic_failure_percent: float
    items_uri: str
    resume_from: str
    runs_uri: str
    publish_uri: str
    build_engine: str = PROCESSES
    processes: int = 1

    def __post_init__(self) -> None:
        others = []
        if self.run_date != AUTO and not is_moment(self.run_date):
            what = f"run_date {self.run_date!r} is not a date or time."
            remedy = "Write it like 2026-11-22, below a day like 2026-11-22T14:00:00, or auto."
            others = [Problem("arguments", what, "build_shards", remedy)]
        if self.build_engine not in ENGINES:
            what = f"there is no build_engine {self.build_engine!r}."
            others.append(Problem("arguments", what, "build_shards", f"Use one of {', '.join(ENGINES)}."))
        check_bounds("build_shards", self, _BOUNDS, *others)

    @property
    def fixed_run_date(self) -> date | None:
        """The run date, or run time below a day; None for `auto`."""
        return None if self.run_date == AUTO else parse_moment(self.run_date)

    @property
    def max_record_bytes(self) -> int:
        """The largest record. The service does not say whether its MB are 10^6 or 2^20 bytes, or what it counts beside
        the record: the smaller, less 5 %, is safe under either reading."""
        return self.max_payload_in_mb * _MEGABYTE * 95 // 100

    def parameters(self) -> dict[str, str | int | float]:
        """What the output depends on, by flag."""
        values = dataclasses.asdict(self)
        for name in ("publish_uri", "build_engine", "processes"):
            del values[name]
        return values


def parse_arguments(argv: Sequence[str]) -> BuildArguments:
    """Raises ConfigError with every argument that is missing, unknown or out of its bounds."""
    return BuildArguments(
        **read_flags("build_shards", BuildArguments, argv, {"build_engine": PROCESSES, "processes": _processors()})
    )


def _processors() -> int:
    # What this process may use; macOS cannot tell that from what there is.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
