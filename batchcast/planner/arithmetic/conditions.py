"""What surrounds the records of a transform job: starting, transferring, failing, and how sure all that is.

The numbers are priors until a run has been measured; `arithmetic.actual` replaces them by what happened.
"""

from dataclasses import dataclass, replace

from batchcast.engine.limits import DEFAULT_INVOCATION_TIMEOUT_SECONDS
from batchcast.pipelines.parameters import Parameters
from batchcast.pipelines.tuning import LogNormal, Tuning


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """`provision` passes before TransformStartTime and is not billed; every instance then has its own `start`.

    `request_overhead` and `shard_overhead` are seconds; `timeout` bounds an attempt, which is tried again up to
    `max_retries` times. `speed_sigma` says how sure the seconds a record are,
    `instance_sigma` how much instances of one type differ. `busiest_share` is what the busiest instance gets of a
    transform job, in even shares: 1.0 where objects are dealt in turn. The retry round takes up to `retry_records`.
    """

    provision: LogNormal
    start: LogNormal
    request_overhead: float
    shard_overhead: float
    max_retries: int
    timeout: float
    speed_sigma: float
    instance_sigma: float
    busiest_share: float
    source: str
    retry_records: int


# Starts: 3 to 5 minutes reported for small images, 8 for a big one, one of 23; together a median of 5.5 minutes and a
# 95 % point of about 9. Overheads: an exchange on loopback costs 2 ms, opening and storing a shard 0.3 s (its bytes
# stream along).
PRIOR = Conditions(
    provision=LogNormal(median=180.0, sigma=0.35),
    start=LogNormal(median=150.0, sigma=0.30),
    request_overhead=0.002,
    shard_overhead=0.3,
    max_retries=3,
    timeout=float(DEFAULT_INVOCATION_TIMEOUT_SECONDS),
    speed_sigma=0.03,
    instance_sigma=0.01,
    busiest_share=1.0,
    source="prior",
    retry_records=Parameters.model_fields["max_retry_records"].default,
)


def on_this_machine(conditions: Conditions) -> Conditions:
    """The conditions in a workspace of the local engine: nothing is provisioned, and a server starts in a second."""
    nothing, start = LogNormal(median=0.0, sigma=0.0), LogNormal(median=1.0, sigma=0.5)
    return replace(conditions, provision=nothing, start=start, source="prior of this machine")


def conditions_of(tuning: Tuning) -> Conditions:
    """The prior with what was measured in its place."""
    start = tuning.cold_start
    return replace(
        PRIOR,
        provision=start.provision_s,
        start=start.start_s,
        max_retries=tuning.parameters.invocations_max_retries,
        timeout=float(tuning.parameters.invocations_timeout_in_seconds),
        busiest_share=tuning.assignment.busiest_share,
        source=start.source,
    )
