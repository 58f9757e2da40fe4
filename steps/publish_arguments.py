"""The arguments of `validate_and_publish`, as the pipeline's definition passes them."""

from collections.abc import Sequence
from dataclasses import dataclass

from batchcast.steps.arguments import Bounds, check_bounds, read_flags
from batchcast.steps.outcome.decision import Tolerance

_BOUNDS: Bounds = {
    "round": (0, 1),
    "max_failed_records": (0, None),
    "max_failed_percent": (0, 100),
    "systemic_failure_percent": (0, 100),
    "max_retry_records": (0, None),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishArguments(Tolerance):
    """One field a flag. `round` is 0, or 1 after the retry round. The model's name is for the report alone.

    Raises ConfigError with every value that is out of its bounds."""

    run_id: str
    run_label: str
    round: int
    runs_uri: str
    publish_uri: str
    model_name: str
    resume_from: str

    def __post_init__(self) -> None:
        check_bounds("validate_and_publish", self, _BOUNDS)


def parse_publish_arguments(argv: Sequence[str]) -> PublishArguments:
    """Raises ConfigError with every argument that is missing, unknown or out of its bounds."""
    return read_flags("validate_and_publish", PublishArguments, argv)
