"""`plan --run`: an earlier run against its plan, and what it teaches the next one."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from batchcast.engine.limits import SMALLEST_MB_BYTES
from batchcast.pipelines.tuning import Assignment, ColdStart, read_tuning, write_tuning
from batchcast.planner.arithmetic.actual import (
    Calibration,
    PlanComparison,
    TransformRun,
    calibrate,
    compare_with_plan,
    recalibrated,
    without_overheads,
)
from batchcast.planner.arithmetic.estimate import drain_of
from batchcast.planner.arithmetic.inputs import PlanInputs
from batchcast.planner.arithmetic.scenarios import batch, transform_estimate
from batchcast.planner.arithmetic.search import Candidate, cheapest_within_deadline
from batchcast.planner.plan.options import PlanOptions
from batchcast.runs.follow import view
from batchcast.runs.run_record import find_run
from batchcast.runs.start import list_runs
from batchcast.session.service_errors import error_code
from batchcast.session.session import Session
from batchcast.steps.errors import ConfigError, Problem
from batchcast.steps.store.objects import join_uri

_LOOKED_AT_RUNS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What a run was asked to do, how its transform went, and the seconds of its steps."""

    run_id: str
    parameters: Mapping[str, str]
    items: int
    record_mb: float
    transform: TransformRun
    step_seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastPlan:
    """A run beside its plan, what it says, and the inputs of the next plan."""

    facts: RunFacts
    compared: Sequence[PlanComparison]
    calibration: Calibration
    learnt: PlanInputs
    proposed: Candidate

    @property
    def saved_usd(self) -> float:
        """What the proposed settings cost less a run than those of the next plan."""
        return batch(self.learnt).cost_usd - self.proposed.scenario.cost_usd

    def propose(self) -> str:
        best, saved = self.proposed, self.saved_usd
        if round(saved, 2) <= 0:
            return "No other number of instances or requests that a run has shown is cheaper in the same time."
        return (
            f"Next run: {best.paste()} ends within {best.scenario.p95:.2f} h with 95 % and saves ${saved:,.2f} of "
            f"${batch(self.learnt).cost_usd:,.2f} a run."
        )

    def describe(self) -> str:
        found = self.calibration
        start = "" if found.start is None else f", start {found.start:.3g} s"
        seconds = "" if found.seconds is None else f", {found.seconds:.3g} s a request"
        return f"Measured: provisioning {found.provision:.3g} s{start}{seconds} ({found.evidence}){_assignment(found)}."

    def document(self) -> dict[str, Any]:
        """As `plan --run … --json` prints it under `run`."""
        found = self.calibration
        return {
            "run_id": self.facts.run_id,
            "steps_seconds": dict(self.facts.step_seconds),
            "compared": [
                {**asdict(one), "error_percent": one.error_percent, "within": one.within} for one in self.compared
            ],
            "calibration": {
                "provision_seconds": found.provision,
                "start_seconds": found.start,
                "seconds_a_record": found.seconds,
                "evidence": found.evidence,
                "busiest_share": found.busiest_share,
            },
            "proposed": self.proposed.document() | {"saved_usd": self.saved_usd},
        }


def _assignment(found: Calibration) -> str:
    if found.busiest_share is None:
        return ""
    if found.busiest_share == 1:
        return "; the instances had even shares of them"
    return f"; the busiest instance had {found.busiest_share:.2g} times an even share of them"


def run_facts(session: Session, pipeline_name: str, run_id: str) -> RunFacts:
    """Ask the pipeline and the store. Raises ConfigError for a run without a completed transform."""
    run = find_run(session, pipeline_name, run_id)
    execution = view(session.client("sagemaker"), run.arn)
    manifest, step = run.manifest(), execution.step("Transform")
    if manifest is None or step is None or step.job is None or step.status != "Succeeded":
        what = f"run {run_id} has no transform that completed; a part of one says nothing about the whole."
        raise ConfigError(Problem("run", what, "--run", "Name a run that ended well."))
    outputs = join_uri(run.parameters["RunsUri"], run.run_id, "output", "r0") + "/"
    job = session.client("sagemaker").describe_transform_job(TransformJobName=step.job.rsplit("/", 1)[-1])
    began, started, ended = (job[key] for key in ("CreationTime", "TransformStartTime", "TransformEndTime"))
    return RunFacts(
        run_id=run.run_id,
        parameters=run.parameters,
        items=manifest.totals.records,
        record_mb=manifest.totals.bytes / max(1, manifest.totals.records) / SMALLEST_MB_BYTES,
        transform=TransformRun(
            requests=manifest.totals.requests,
            instances=int(run.parameters["TransformInstanceCount"]),
            shards=len(manifest.shards),
            provision=(started - began).total_seconds(),
            billed=(ended - started).total_seconds(),
            # Of the first round; both stores know when an object was written.
            outputs=[
                (each.modified - started).total_seconds() for each in session.store.list(outputs) if each.modified
            ],
        ),
        step_seconds={each.name: each.seconds for each in execution.steps if each.seconds is not None},
    )


def past_plan(facts: RunFacts, options: PlanOptions, fill: Callable[[PlanOptions], PlanInputs]) -> PastPlan:
    """The run beside the plan of its parameters; `fill` turns options into inputs.

    Without --seconds and --tuning the seconds a request are those the run itself shows, so that only the rest of the
    plan is tested.
    """
    known = options.seconds is not None or options.tuning is not None
    inputs = fill(_options_of(facts, options, seconds=options.seconds if known else 1.0))
    m = inputs.concurrency
    calibration = calibrate(
        facts.transform,
        capacity=inputs.speed(m),
        drain=drain_of(inputs.capacity.table(m), m, inputs.workload.seconds_cv),
        conditions=inputs.conditions,
    )
    if not known and calibration.seconds is None:
        raise ConfigError(Problem("plan", f"{calibration.evidence}.", "--seconds", "Give the seconds a request takes."))
    measured = replace(inputs.workload, seconds=calibration.seconds or inputs.workload.seconds)
    conditions = without_overheads(inputs.conditions, calibration)
    planned = inputs if known else replace(inputs, workload=measured, conditions=conditions)
    learnt = replace(
        inputs,
        workload=replace(measured, items=options.items or measured.items),
        instances=options.instances or inputs.instances,
        conditions=recalibrated(inputs.conditions, calibration),
    )
    return PastPlan(
        facts=facts,
        calibration=calibration,
        compared=compare_with_plan(
            transform_estimate(planned), inputs.instances * inputs.rate.of("Tsform") / 3600, facts.transform
        ),
        learnt=learnt,
        proposed=_cheapest(learnt),
    )


def _cheapest(learnt: PlanInputs) -> Candidate:
    """The cheapest settings of this type that end as soon, with no more requests in flight than were measured."""
    capacity, m = learnt.capacity, learnt.concurrency
    known = replace(learnt, capacity=replace(capacity, max_tested=capacity.max_tested or m))
    scenario = batch(known)
    own = Candidate(instance_type=known.instance_type, instances=known.instances, concurrency=m, scenario=scenario)
    found = cheapest_within_deadline([known], scenario.p95)
    return found if found and found.scenario.cost_usd < scenario.cost_usd else own


def last_good_run(session: Session, pipeline_name: str) -> str | None:
    """The newest run that ended well; None where there is none, or no such pipeline."""
    try:
        listed = list(list_runs(session.client("sagemaker"), pipeline_name, _LOOKED_AT_RUNS))
    except ConfigError as error:
        if error_code(error) != "ResourceNotFound":
            raise
        return None
    return next((run.run_id for run in listed if run.status == "Succeeded"), None)


def _options_of(facts: RunFacts, options: PlanOptions, seconds: float | None) -> PlanOptions:
    """What the run's parameters say; what was given on the command line comes first."""
    parameters = facts.parameters
    return replace(
        options,
        items=facts.items,
        items_per_request=math.ceil(facts.items / max(1, facts.transform.requests)),
        seconds=seconds,
        record_mb=options.record_mb or max(facts.record_mb, 1e-6),
        instance_type=options.instance_type or parameters["TransformInstanceType"],
        instances=facts.transform.instances,
        concurrency=int(parameters["MaxConcurrentTransforms"]),
        max_payload=int(parameters["MaxPayloadInMB"]),
        records_per_shard=int(parameters["RecordsPerShard"]),
    )


def write_calibration(tuning_file: Path, calibration: Calibration, run_id: str) -> None:
    """Put what the run measured into tuning.json: starts, seconds of the sample's mean record, assignment."""
    tuning = read_tuning(tuning_file)
    cold, sample, assignment = tuning.cold_start, tuning.measured.sample, tuning.assignment
    if (share := calibration.busiest_share) is not None:
        evidence = f"run {run_id}, {calibration.evidence}{_assignment(calibration)}"
        assignment = Assignment(rule="round-robin" if share == 1 else "unknown", evidence=evidence, busiest_share=share)
    cold = ColdStart(
        provision_s=replace(cold.provision_s, median=calibration.provision),
        start_s=replace(cold.start_s, median=calibration.start or cold.start_s.median),
        source=f"describe-transform-job of run {run_id}",
    )
    sample = sample.model_copy(update={"seconds_mean": calibration.seconds or sample.seconds_mean})
    measured = tuning.measured.model_copy(update={"sample": sample})
    learnt = {"cold_start": cold, "measured": measured, "assignment": assignment}
    write_tuning(tuning.model_copy(update=learnt), tuning_file)
