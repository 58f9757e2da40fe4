"""Batch, asynchronous, hybrid or real-time: which way of getting the forecasts fits, with the numbers and the rule.

The cheapest way that meets everything asked for is chosen; of those that cost about the same, the one that
leaves the least to run and to watch. Costs and hours are the planner's scenarios, of one week.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from batchcast.planner.arithmetic import async_queue, formula, scenarios
from batchcast.planner.arithmetic.inputs import PlanInputs
from batchcast.steps.errors import ConfigError, Problem

# A job runs by itself, a submission only as long as somebody lets it, an endpoint that is always on wants watching:
# of ways that cost about the same the first is chosen.
WAYS = {
    "batch": "Batch Transform alone",
    "hybrid": "Batch Transform, ad-hoc requests to an asynchronous endpoint that scales to zero",
    "async": "an asynchronous endpoint for both, from zero and paced",
    "hybrid-real-time": "Batch Transform, ad-hoc requests to one real-time instance that is always on",
    "real-time": "a real-time endpoint for both, always on",
}
_ABOUT_THE_SAME, _ONE_CENT = 0.05, 0.01
# API reference, ModelClientConfig and InvokeEndpointAsync, and developer guide, InvokeEndpoint: seconds for one answer.
_MOST_SECONDS = {"batch": 3600.0, "async": 3600.0, "real-time": 60.0}
# AWS's hosting FAQ, read 2026-11; larger records than the planner takes fit none of the others.
_REAL_TIME_MB = 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What is asked for: the weekly run within hours, an ad-hoc answer within minutes; None: no matter."""

    deadline_hours: float | None = None
    answer_minutes: float | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """One way: hours of the weekly run at the 95th percentile, minutes of an ad-hoc request (None: it has none), US
    dollars a week, and why it is out (empty: it is not)."""

    name: str
    weekly_hours: float
    ad_hoc_minutes: float | None
    usd_a_week: float
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    name: str
    rule: str
    ways: Sequence[Way]


def choose_way(inputs: PlanInputs, needs: Needs) -> Choice:
    """Raises ConfigError when no way meets all asked for, with what is in the way of each."""
    ways = [replace(way, reasons=tuple(_reasons(way, inputs, needs))) for way in _ways(inputs)]
    possible = [way for way in ways if not way.reasons]
    if not possible:
        problems = [Problem("no_way", f"{'; '.join(way.reasons)}.", way.name) for way in ways]
        raise ConfigError(*problems, Problem("no_way", "no way meets all asked for.", remedy=_remedy(needs)))
    cheapest = min(possible, key=lambda way: way.usd_a_week)
    limit = cheapest.usd_a_week * (1 + _ABOUT_THE_SAME)
    chosen = next(way for way in possible if way.usd_a_week <= limit)
    return Choice(name=chosen.name, rule=_rule(chosen, cheapest, possible), ways=ways)


def _remedy(needs: Needs) -> str:
    """What of the asked-for could be given up, or done about it."""
    more = []
    if needs.deadline_hours is not None:
        more.append(f"more instances (`plan --deadline {needs.deadline_hours:g}` finds how many) or a later --deadline")
    if needs.answer_minutes is not None:
        more.append("a longer --answer-within")
    return f"Try {', or '.join([*more, 'a model that takes fewer seconds a record'])}."


def _ways(inputs: PlanInputs) -> Iterator[Way]:
    batch, hybrid = scenarios.batch(inputs), scenarios.hybrid(inputs)
    asynchronous, always_on = scenarios.asynchronous(inputs), scenarios.endpoint_concurrent(inputs)
    alone = inputs.workload.seconds / 60
    woken = async_queue.AD_HOC_WAIT_MINUTES + alone
    building, _ = scenarios.processing_hours(inputs)
    # The planner's scenario is the endpoint alone; records are built and answers checked here as well.
    steps = batch.costs.processing
    extra = hybrid.cost_usd - batch.cost_usd
    instance = formula.HOURS_PER_WEEK * inputs.endpoint_usd_per_hour
    yield Way("batch", batch.p95, None, batch.cost_usd)
    yield Way("hybrid", batch.p95, woken, hybrid.cost_usd)
    yield Way("async", asynchronous.p95 + building, woken, asynchronous.cost_usd + steps + extra)
    yield Way("hybrid-real-time", batch.p95, alone, batch.cost_usd + instance)
    yield Way("real-time", always_on.p95 + building, alone, always_on.cost_usd + steps)


def _reasons(way: Way, inputs: PlanInputs, needs: Needs) -> Iterator[str]:
    workload = inputs.workload
    if needs.deadline_hours is not None and way.weekly_hours > needs.deadline_hours:
        yield f"the weekly run takes {way.weekly_hours:.1f} h (P95), {needs.deadline_hours:g} h are allowed"
    if inputs.ad_hoc_requests and way.ad_hoc_minutes is None:
        yield f"it answers none of {inputs.ad_hoc_requests} ad-hoc requests a week"
    minutes = way.ad_hoc_minutes or 0.0
    if inputs.ad_hoc_requests and needs.answer_minutes is not None and minutes > needs.answer_minutes:
        yield f"an ad-hoc answer takes {minutes:.1f} min, {needs.answer_minutes:g} min are allowed"
    for part in _parts(way.name):
        if workload.seconds > _MOST_SECONDS[part]:
            yield f"a record takes {workload.seconds:g} s, {part} allows {_MOST_SECONDS[part]:g} s"
    if "real-time" in _parts(way.name) and workload.record_mb > _REAL_TIME_MB:
        yield f"a record has {workload.record_mb:g} MB, real-time allows {_REAL_TIME_MB:g} MB"


def _parts(name: str) -> tuple[str, ...]:
    return {"hybrid": ("batch", "async"), "hybrid-real-time": ("batch", "real-time")}.get(name, (name,))


def _rule(chosen: Way, cheapest: Way, possible: Sequence[Way]) -> str:
    if len(possible) == 1:
        return "It is the only way that meets all asked for."
    if chosen is not cheapest:
        less = chosen.usd_a_week - cheapest.usd_a_week
        return (
            f"{cheapest.name} costs ${less:,.2f} a week less, which is about the same (within {_ABOUT_THE_SAME:.0%}), "
            f"and leaves more to run and to watch."
        )
    second = min((way for way in possible if way is not chosen), key=lambda way: way.usd_a_week)
    costlier = second.usd_a_week - chosen.usd_a_week
    if costlier < _ONE_CENT:
        return f"{second.name} costs the same, and leaves more to run and to watch."
    return (
        f"It is the cheapest of {len(possible)} ways that meet all asked for; {second.name} costs "
        f"${costlier:,.2f} a week more."
    )
