"""What to know before believing a scenario's numbers: limits that will be hit, assumptions that nobody checked."""

import math
from collections.abc import Iterator

from batchcast.engine.limits import MAX_INSTANCE_COUNT, MAX_PAYLOAD_IN_MB
from batchcast.pipelines.settings import BuildSettings
from batchcast.planner.arithmetic import async_queue, formula
from batchcast.planner.arithmetic.formula import Scenario
from batchcast.planner.arithmetic.inputs import PlanInputs, share_slower_than
from batchcast.planner.arithmetic.scenarios import PROCESSING_MB_A_SECOND
from batchcast.steps.history.disk_space import SPILL_SHARE

# Below this share of what perfect scaling would give, more requests in flight are mostly waiting.
_SATURATED = 0.8
_REAL_TIME_SECONDS = 60
# Of BuildShards: GB of a volume unless deployed otherwise and at most, hosts at most, the size of a history in Parquet
# by that of its records, and the CPU on Spark by that without (docs/adr/0018).
_VOLUME_GB = BuildSettings.model_fields["volume_size_in_gb"].default
_MOST_GB, _MOST_HOSTS = 16_384, 100
_PARQUET_SHARE, _SPARK_CPU = 1 / 7, 2.3


def warnings_of(scenario: Scenario, inputs: PlanInputs) -> list[str]:
    sources = {
        "endpoint_sequential": (_real_time_limit,),
        "endpoint_concurrent": (_real_time_limit, _client_concurrency),
        "endpoint_ephemeral": (_real_time_limit, concurrency_warnings),
        "batch": (quota_warnings, _payload, file_warnings, concurrency_warnings, _timeout, _build),
        "async": (_queue, concurrency_warnings),
        "hybrid": (quota_warnings, _payload, file_warnings, concurrency_warnings, _timeout, _build, _ad_hoc),
    }
    return [*_of_the_result(scenario, inputs), *(text for source in sources[scenario.name] for text in source(inputs))]


def _of_the_result(scenario: Scenario, inputs: PlanInputs) -> Iterator[str]:
    hours, always_on = scenario.wall_hours, scenario.name in ("endpoint_sequential", "endpoint_concurrent")
    if always_on and hours > formula.HOURS_PER_WEEK:
        yield f"takes {hours:,.0f} h ({hours / 24:.1f} days): a week has 168."
    if scenario.name in ("batch", "hybrid") and inputs.shards == 1 and inputs.instances > 1:
        yield f"one instance works for {hours:,.0f} h, all are paid: the run costs ${scenario.cost_usd:,.0f}."


def _real_time_limit(inputs: PlanInputs) -> Iterator[str]:
    workload = inputs.workload
    share = share_slower_than(_REAL_TIME_SECONDS, workload.seconds, workload.seconds_cv)
    if share * workload.requests >= 1:
        yield (
            f"about {share * workload.requests:,.0f} requests take longer than the {_REAL_TIME_SECONDS} s in which a "
            "real-time endpoint must answer."
        )


def _client_concurrency(inputs: PlanInputs) -> Iterator[str]:
    each = inputs.endpoint_requests / inputs.endpoint_instances
    if each > inputs.concurrency:
        yield (
            f"{inputs.endpoint_requests} requests on {inputs.endpoint_instances} instances are {each:.2f} an instance; "
            f"the transform job has {inputs.concurrency}. Compare at equal concurrency."
        )
    yield from _untested(each, inputs)


def concurrency_warnings(inputs: PlanInputs) -> Iterator[str]:
    """What is not known of so many requests in flight, or not gained by them."""
    yield from _untested(inputs.concurrency, inputs)
    speed = inputs.speed(inputs.concurrency)
    if speed < _SATURATED * inputs.concurrency:
        yield (
            f"saturated: {inputs.concurrency} requests in flight do the work of {speed:.1f}; each takes "
            f"{inputs.concurrency / speed:.1f} times as long as alone."
        )


def _untested(concurrency: float, inputs: PlanInputs) -> Iterator[str]:
    tested = inputs.capacity.max_tested
    if tested is None and concurrency > 1:
        yield f"{concurrency:.3g} requests in flight were never measured with this model: `tune` measures what they do."
    elif tested is not None and concurrency > tested:
        yield f"{concurrency:.3g} requests in flight were not measured; the plan has the speed at {tested}, the most."


def quota_warnings(inputs: PlanInputs) -> Iterator[str]:
    """Whether the account has so many instances, and a transform job takes them."""
    name = f"{inputs.instance_type} for transform job usage"
    if inputs.quota is None:
        yield f"{inputs.instances} instances are needed; the quota '{name}' was not asked for (new accounts: 0 to 8)."
    elif inputs.quota < inputs.instances:
        yield f"{inputs.instances} instances are needed, the quota '{name}' is {inputs.quota}."
    if inputs.instances > MAX_INSTANCE_COUNT:
        yield f"{inputs.instances} instances; a transform job takes at most {MAX_INSTANCE_COUNT}."


def _payload(inputs: PlanInputs) -> Iterator[str]:
    product = inputs.concurrency * inputs.max_payload_mb
    if product > MAX_PAYLOAD_IN_MB:
        yield (
            f"{inputs.concurrency} requests x {inputs.max_payload_mb} MB = {product} MB in flight; SageMaker refuses "
            f"more than {MAX_PAYLOAD_IN_MB} MB. Use at most {MAX_PAYLOAD_IN_MB // inputs.max_payload_mb} requests or "
            f"{MAX_PAYLOAD_IN_MB // inputs.concurrency} MB."
        )
    if inputs.workload.record_mb * 1.05 > inputs.max_payload_mb:
        yield (
            f"a mean record of {inputs.workload.record_mb:g} MB leaves less than 5 % below MaxPayloadInMB = "
            f"{inputs.max_payload_mb}: the larger ones are refused."
        )


def file_warnings(inputs: PlanInputs) -> Iterator[str]:
    """How the input files go round the instances."""
    shards, instances, busiest = inputs.shards, inputs.instances, inputs.conditions.busiest_share
    if busiest > 1:
        yield (
            f"uneven: the busiest instance of an earlier run had {busiest:.2g} times an even share of the files, and "
            "the plan counts with it."
        )
    if shards == 1 and instances > 1:
        yield f"one file: SageMaker does not split it over instances. One works, {instances - 1} idle and are paid."
    elif shards < instances:
        yield f"{shards} files on {instances} instances: {instances - shards} idle and are paid."
    elif shards % instances:
        most = math.ceil(shards / instances)
        even = shards / instances
        yield (
            f"{shards} files on {instances} instances: some get {most}, the mean is {even:.1f}; the job takes "
            f"{100 * (most / even - 1):.0f} % longer than with a multiple of {instances}."
        )


def _timeout(inputs: PlanInputs) -> Iterator[str]:
    limit = inputs.conditions.timeout
    if inputs.hanging_requests >= 1:
        yield (
            f"about {inputs.hanging_requests:,.0f} requests take longer than the timeout of {limit:g} s: each holds "
            f"its slot for {limit * (inputs.conditions.max_retries + 1):,.0f} s and then fails its whole file. The "
            "hours and dollars hold these and a retry round for what was lost."
        )


def _build(inputs: PlanInputs) -> Iterator[str]:
    """Each host has the whole history, and its share of the records and of the rows in buckets."""

    def disk_gb(hosts: int) -> float:
        return inputs.workload.gb_in * (_PARQUET_SHARE + (1 + SPILL_SHARE) / hosts)

    def way(option: str, hosts: int, cpu: float) -> str:
        work = cpu * 1000 * inputs.workload.gb_in / PROCESSING_MB_A_SECOND / hosts
        hours = (inputs.conditions.start.median + work) / 3600
        return f"{option} ({hours:.2g} h, ${hosts * hours * inputs.processing_rate.of('Processing'):,.2f})"

    needed = disk_gb(1)
    if needed <= _VOLUME_GB:
        return
    larger = math.ceil(needed)
    ways = [way(f"--volume-size-in-gb {larger}", 1, 1.0)] if larger <= _MOST_GB else []
    if hosts := next((hosts for hosts in range(2, _MOST_HOSTS + 1) if disk_gb(hosts) <= _VOLUME_GB), None):
        ways.append(way(f"--build-engine spark --build-instance-count {hosts}", hosts, _SPARK_CPU))
    remedy = f"Deploy with {' or '.join(ways)}." if ways else "Shorten it with max_history in model.toml."
    yield f"BuildShards takes about {needed:,.0f} GB of disk, and a volume has {_VOLUME_GB}. {remedy}"


def _queue(inputs: PlanInputs) -> Iterator[str]:
    workload, speed = inputs.workload, inputs.speed(inputs.concurrency)
    expired = async_queue.expired_requests(workload.requests, workload.seconds, inputs.instances * speed)
    if expired:
        enough = async_queue.instances_to_finish(workload.requests, workload.seconds, speed)
        yield (
            f"6-hour queue: submitted at once, {expired:,} of {workload.requests:,} requests "
            f"({100 * expired / workload.requests:.0f} %) expire unanswered. The row holds for a submitter that waits; "
            f"otherwise {enough} instances are needed."
        )


def _ad_hoc(inputs: PlanInputs) -> Iterator[str]:
    wait = async_queue.AD_HOC_WAIT_MINUTES + inputs.workload.seconds / 60
    each = (async_queue.AD_HOC_BILLED_MINUTES + inputs.workload.seconds / 60) / 60 * inputs.rate.of("AsyncInf")
    yield f"an ad-hoc request to the endpoint at zero instances takes about {wait:.1f} minutes and costs ${each:.2f}."
