"""What is to be forecast: how many records, in which requests, how long each of these takes the model, how large."""

from __future__ import annotations

import math
from dataclasses import dataclass

from batchcast.steps.errors import ConfigError, Problem

# Forecast models spend more on long histories than on short ones; half the mean is a usual spread.
ASSUMED_SECONDS_CV = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """`seconds` is the mean time of one request with no other in flight, `seconds_cv` its coefficient of variation.

    A request holds `items_per_request` records. `record_mb` and `answer_mb` are mean sizes in MB (10**6 bytes) of one
    record and its answer. Raises ConfigError for what cannot be.
    """

    items: int
    seconds: float
    seconds_cv: float
    record_mb: float
    answer_mb: float
    items_per_request: int = 1

    def __post_init__(self) -> None:
        wrong = [
            Problem("workload", f"{value:g} is not possible; it must be {bound}.", where=name)
            for name, value, bound, fits in (
                ("items", self.items, "at least 1", self.items >= 1),
                ("seconds", self.seconds, "above 0", 0 < self.seconds < math.inf),
                ("seconds-cv", self.seconds_cv, "0 to 10", 0 <= self.seconds_cv <= 10),
                ("record-mb", self.record_mb, "above 0, at most 100", 0 < self.record_mb <= 100),
                ("answer-mb", self.answer_mb, "0 or more", 0 <= self.answer_mb < math.inf),
            )
            if not fits
        ]
        if wrong:
            raise ConfigError(*wrong)

    @property
    def requests(self) -> int:
        """How many requests the records are sent in."""
        return math.ceil(self.items / self.items_per_request)

    @property
    def request_hours(self) -> float:
        """The whole work, one request after the other."""
        return self.requests * self.seconds / 3600

    @property
    def gb_in(self) -> float:
        """Of all records."""
        return self.items * self.record_mb / 1000

    @property
    def gb_out(self) -> float:
        """Of all answers."""
        return self.items * self.answer_mb / 1000


def share_slower_than(limit: float, mean: float, cv: float) -> float:
    """The share of requests, lognormal around `mean`, that take longer than `limit` seconds."""
    if cv == 0:
        return float(mean > limit)
    sigma = math.sqrt(math.log1p(cv * cv))
    z = (math.log(limit / mean) + sigma * sigma / 2) / sigma
    return 0.5 * math.erfc(z / math.sqrt(2))
