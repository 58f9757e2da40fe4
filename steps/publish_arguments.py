"""The arguments of `validate_and_publish`, as the pipeline's definition passes them."""

from collections.abc import Sequence
from dataclasses import dataclass

from batchcast.steps.arguments import Bounds, check_bounds, read_flags

_BOUNDS: Bounds = {
    "round": (0, 1),
    "max_failed_records": (0, None),
    "max_failed_percent": (0, 100),
    "systemic_failure_percent": (0, 100),
    "max_retry_records": (0, None),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishArguments:
    """One field a flag. `round` is 0, or 1 after the retry round; percentages are of all items, 0 to 100. The model's
    name is for the report alone.

    Raises ConfigError with every value that is out of its bounds."""

    run_id: str
    run_label: str
    round: int
    runs_uri: str
    publish_uri: str
    model_name: str
    max_failed_records: int
    max_failed_percent: float
    systemic_failure_percent: float
    max_retry_records: int
    resume_from: str

    def __post_init__(self) -> None:
        check_bounds("validate_and_publish", self, _BOUNDS)


def parse_publish_arguments(argv: Sequence[str]) -> PublishArguments:
    """Raises ConfigError with every argument that is missing, unknown or out of its bounds."""
    return PublishArguments(**read_flags("validate_and_publish", PublishArguments, argv, {}))
