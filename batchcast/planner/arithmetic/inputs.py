"""Everything a plan is computed from: what is to be forecast in which requests, by what, at which price."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from batchcast.planner.arithmetic.capacity import Capacity
from batchcast.planner.arithmetic.conditions import Conditions
from batchcast.planner.arithmetic.simulate import Job
from batchcast.planner.prices.prices import Fees, Rate
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.shards.plan import plan_shards, shard_sizes

# The usual endpoint that a weekly batch is compared with: three instances for availability, a client of 20 threads.
ENDPOINT_INSTANCES = 3
ENDPOINT_REQUESTS = 20
AD_HOC_REQUESTS = 10
# Inputs that `PlanInputs.document` has by their own names.
_SHOWN = (
    *("region", "instance_type", "instances", "concurrency", "max_payload_mb", "processing_type"),
    *("endpoint_instances", "endpoint_requests", "endpoint_discount_percent", "ad_hoc_requests", "quota"),
)
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
        ConfigError.raise_any(wrong)

    @property
    def requests(self) -> int:
        return math.ceil(self.items / self.items_per_request)

    @property
    def request_hours(self) -> float:
        """The whole work, one request after the other."""
        return self.requests * self.seconds / 3600

    @property
    def gb_in(self) -> float:
        return self.items * self.record_mb / 1000

    @property
    def gb_out(self) -> float:
        return self.items * self.answer_mb / 1000


def share_slower_than(limit: float, mean: float, cv: float) -> float:
    """The share of requests, lognormal around `mean`, that take longer than `limit` seconds."""
    if cv == 0:
        return float(mean > limit)
    sigma = math.sqrt(math.log1p(cv * cv))
    z = (math.log(limit / mean) + sigma * sigma / 2) / sigma
    return 0.5 * math.erfc(z / math.sqrt(2))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanInputs:
    """`instances`, `concurrency` (an instance) and `max_payload_mb` are the transform job's.

    `files` is the number of input files where they exist already; None lets the shard rule decide. `rows` are the rows
    of each record where the history was read: the seconds are then taken to grow with them.
    `endpoint_instances` are always on, with `endpoint_requests` in flight in all; `endpoint_discount_percent` is what a
    Savings Plan takes off them. `ad_hoc_requests` a week come beside the weekly run. `quota` is the account's limit for
    this type in transform jobs, None where it was not asked for.
    """

    workload: Workload
    region: str
    instance_type: str
    instances: int
    concurrency: int
    max_payload_mb: int
    rate: Rate
    processing_type: str
    processing_rate: Rate
    fees: Fees
    capacity: Capacity
    conditions: Conditions
    endpoint_instances: int = ENDPOINT_INSTANCES
    endpoint_requests: int = ENDPOINT_REQUESTS
    endpoint_discount_percent: float = 0.0
    ad_hoc_requests: int = AD_HOC_REQUESTS
    quota: int | None = None
    records_per_shard: int = 0
    rows: npt.NDArray[np.int64] | None = None
    files: int | None = None

    @property
    def shard_sizes(self) -> npt.NDArray[np.int64]:
        """Requests of each input object of the transform job."""
        requests = self.workload.requests
        if self.files is not None:
            return requests // self.files + (np.arange(self.files) < requests % self.files)
        return shard_sizes(
            requests,
            instances=self.instances,
            concurrency=self.concurrency,
            records_per_shard=-(-self.records_per_shard // self.workload.items_per_request),
        )

    @property
    def shard_seconds(self) -> list[npt.NDArray[np.float64]]:
        """The expected seconds of every request, shard by shard, in the order in which they are sent."""
        together = self.workload.items_per_request
        if self.rows is None or self.files is not None:
            seconds = np.full(self.workload.requests, self.workload.seconds)
            return np.split(seconds, np.cumsum(self.shard_sizes)[:-1])
        seconds = self.workload.seconds / together * self.rows / self.rows.mean()
        plan = plan_shards(
            self.rows,
            instances=self.instances,
            concurrency=self.concurrency,
            records_per_shard=self.records_per_shard,
            items_per_request=together,
        )
        shards = np.split(seconds[plan.order], plan.starts[1:-1])
        return [np.add.reduceat(shard, np.arange(0, len(shard), together)) for shard in shards]

    @property
    def shards(self) -> int:
        """Input objects of the transform job."""
        return len(self.shard_sizes)

    @property
    def job(self) -> Job:
        return Job(
            shards=self.shard_seconds,
            seconds_cv=self.workload.seconds_cv,
            instances=self.instances,
            concurrency=self.concurrency,
            capacity=self.capacity.table(2 * self.concurrency),
        )

    @property
    def hanging_requests(self) -> float:
        """How many requests are expected to take longer than the timeout."""
        workload, slower = self.workload, self.concurrency / self.speed(self.concurrency)
        share = share_slower_than(self.conditions.timeout, workload.seconds * slower, workload.seconds_cv)
        return share * workload.requests

    @property
    def endpoint_usd_per_hour(self) -> float:
        """One instance of the always-on endpoint, discount taken off."""
        return self.rate.of("Host") * (1 - self.endpoint_discount_percent / 100)

    def speed(self, concurrency: float) -> float:
        """Requests' worth of work an instance does at once; the largest measured level stands for all above it."""
        tested = self.capacity.max_tested
        return self.capacity.at(concurrency if tested is None else min(concurrency, tested))

    def document(self) -> dict[str, Any]:
        rate = self.rate
        return {
            **asdict(self.workload),
            "requests": self.workload.requests,
            **{name: getattr(self, name) for name in _SHOWN},
            "shards": self.shards,
            "usd_per_hour": rate.usd,
            "price": {"as_of": rate.as_of.isoformat(), "source": rate.source, "confidence": rate.confidence},
            "processing_usd_per_hour": self.processing_rate.of("Processing"),
            "capacity": self.capacity.kind,
            "max_tested_concurrency": self.capacity.max_tested,
            "conditions": self.conditions.source,
        }
