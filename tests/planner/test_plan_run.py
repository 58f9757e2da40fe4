from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from planning import TODAY
from test_tuning import tuning

from batchcast.pipelines.tuning import read_tuning, write_tuning
from batchcast.planner.arithmetic.scenarios import batch
from batchcast.planner.plan.measured_run import last_good_run, past_plan, run_facts, write_calibration
from batchcast.planner.plan.options import PlanOptions
from batchcast.planner.plan.prepare import plan_inputs
from batchcast.planner.prices.prices import load_prices
from batchcast.steps.errors import ConfigError
from batchcast.steps.shards.manifest import Manifest, Shard, Totals
from batchcast.steps.store.objects import DirectoryStore, ObjectStore
from batchcast.steps.store.s3 import S3Store

CREATED = datetime(2026, 11, 1, 3, 30, tzinfo=UTC)
STARTED = CREATED + timedelta(seconds=200)
SHARDS, RECORDS, SECONDS = 40, 64, 30.0
# Four instances start after 100 s and then need 64 x 30 / 4 s a shard, and 0.3 s around it.
OUTPUT_TIMES = [100.0 + 480.3 * (place // 4 + 1) for place in range(SHARDS)]
PARAMETERS = {
    "RunsUri": "s3://bucket/runs",
    "TransformInstanceType": "ml.m5.4xlarge",
    "TransformInstanceCount": "4",
    "MaxConcurrentTransforms": "4",
    "MaxPayloadInMB": "6",
    "RecordsPerShard": "0",
}
RUN = "abcdefghijkl"
ARN = f"arn:aws:sagemaker:eu-west-1:000000000000:pipeline/batchcast/execution/{RUN}"


@dataclass
class RecordedSageMaker:
    """The answers of a run that ended well, as SageMaker gives them."""

    status: str = "Succeeded"

    def describe_pipeline(self, **_: Any) -> Mapping[str, Any]:
        return {"PipelineArn": ARN.partition("/execution/")[0]}

    def list_pipeline_executions(self, **_: Any) -> Mapping[str, Any]:
        statuses = {"c" * 12: "Executing", "b" * 12: "Failed", RUN: "Succeeded", "a" * 12: "Succeeded"}
        return {
            "PipelineExecutionSummaries": [
                {
                    "PipelineExecutionArn": ARN.replace(RUN, run),
                    "PipelineExecutionStatus": status,
                    "StartTime": CREATED,
                }
                for run, status in statuses.items()
            ]
        }

    def describe_pipeline_execution(self, **_: Any) -> Mapping[str, Any]:
        return {"PipelineExecutionStatus": self.status}

    def describe_pipeline_definition_for_execution(self, **_: Any) -> Mapping[str, Any]:
        parameters = [{"Name": name, "Type": "String", "DefaultValue": value} for name, value in PARAMETERS.items()]
        return {"PipelineDefinition": json.dumps({"Parameters": parameters})}

    def list_pipeline_parameters_for_execution(self, **_: Any) -> Mapping[str, Any]:
        return {"PipelineParameters": []}

    def list_pipeline_execution_steps(self, **_: Any) -> Mapping[str, Any]:
        step = {
            "StepName": "Transform",
            "StepStatus": self.status,
            "StartTime": CREATED,
            "EndTime": CREATED + timedelta(hours=2),
            "Metadata": {"TransformJob": {"Arn": "arn:aws:sagemaker:eu-west-1:000000000000:transform-job/job"}},
        }
        return {"PipelineExecutionSteps": [step]}

    def describe_transform_job(self, **_: Any) -> Mapping[str, Any]:
        ended = STARTED + timedelta(seconds=OUTPUT_TIMES[-1])
        return {"CreationTime": CREATED, "TransformStartTime": STARTED, "TransformEndTime": ended}


class PagedS3:
    """Lists the outputs ten at a time."""

    def list_objects_v2(self, *, Bucket: str, Prefix: str, ContinuationToken: str = "0") -> Mapping[str, Any]:  # noqa: N803
        assert (Bucket, Prefix) == ("bucket", f"runs/{RUN}/output/r0/")
        first = int(ContinuationToken)
        contents = [
            {"Key": f"{Prefix}part-{when:.3f}.out", "Size": 1, "LastModified": STARTED + timedelta(seconds=when)}
            for when in OUTPUT_TIMES[first : first + 10]
        ]
        more = first + 10 < SHARDS
        token = {"NextContinuationToken": str(first + 10)} if more else {}
        return {"Contents": contents, "IsTruncated": more, **token}


class OneObject(S3Store):
    """A store on S3 that lists the outputs and holds the manifest alone."""

    def __init__(self, data: bytes) -> None:
        super().__init__(PagedS3())
        self._data = data

    def read(self, uri: str) -> bytes:
        assert uri.endswith("manifest/manifest.json")
        return self._data


@dataclass
class RecordedSession:
    sagemaker: RecordedSageMaker
    store: Any
    region: str = "eu-west-1"

    def client(self, service: str) -> Any:
        assert service == "sagemaker"
        return self.sagemaker

    def renew(self) -> None:
        """Nothing expires here."""


def manifest() -> bytes:
    shards = tuple(
        Shard(name=f"part-{n:05d}.jsonl", records=RECORDS, bytes=64_000_000, first_item="", last_item="")
        for n in range(SHARDS)
    )
    totals = Totals(
        items=SHARDS * RECORDS,
        records=SHARDS * RECORDS,
        quarantined=0,
        carried=0,
        bytes=SHARDS * 64_000_000,
        rows=0,
        later_items=0,
        requests=SHARDS * RECORDS,
    )
    return Manifest(
        run_id=RUN,
        run_date=date(2026, 10, 31),
        run_label="manual",
        forecast_horizon=31,
        resume_from=None,
        parameters={"items_uri": "all"},
        contract_sha256="",
        code_version="",
        totals=totals,
        quarantined_by_reason={},
        shards=shards,
    ).to_json()


def directory(tmp_path: Path) -> ObjectStore:
    store = DirectoryStore(tmp_path)
    store.write(f"s3://bucket/runs/{RUN}/manifest/manifest.json", manifest())
    for number, when in enumerate(OUTPUT_TIMES):
        uri = f"s3://bucket/runs/{RUN}/output/r0/part-{number:05d}.jsonl.out"
        store.write(uri, b"{}\n")
        os.utime(store.path(uri), (STARTED.timestamp() + when,) * 2)
    return store


def fill(options: PlanOptions) -> Any:
    return plan_inputs(options, load_prices(), TODAY)


def test_a_savings_plan_is_taken_off_the_batch_run_too() -> None:
    full, cheaper = (batch(fill(PlanOptions(items=100, seconds=1.0, batch_discount=off))) for off in (None, 40.0))
    assert full.costs.instances > 0
    assert cheaper.costs.instances == pytest.approx(0.6 * full.costs.instances)
    assert cheaper.costs.processing == pytest.approx(0.6 * full.costs.processing)


@pytest.mark.parametrize("where", ["aws", "workspace"])
def test_a_run_is_held_against_its_plan_and_teaches_the_next(tmp_path: Path, where: str) -> None:
    store = OneObject(manifest()) if where == "aws" else directory(tmp_path)
    facts = run_facts(RecordedSession(RecordedSageMaker(), store), "batchcast", RUN)
    assert facts.transform.provision == 200.0
    assert sorted(facts.transform.outputs) == pytest.approx(OUTPUT_TIMES, abs=1e-3)
    past = past_plan(facts, PlanOptions(seconds=SECONDS, seconds_cv=0.0), fill)
    assert past.calibration.start == pytest.approx(100, abs=1)
    assert past.calibration.seconds == pytest.approx(SECONDS, rel=0.01)
    wall = past.compared[0]
    assert wall.actual == pytest.approx((200 + OUTPUT_TIMES[-1]) / 3600)
    assert wall.within
    assert past.learnt.conditions.provision.median == 200.0
    assert past.learnt.conditions.start.median == pytest.approx(100, abs=1)
    document = past.document()
    assert document["compared"][0]["name"] == "transform wall-clock"
    assert document["calibration"]["provision_seconds"] == 200.0
    assert "30 s a request" in past.describe()


def test_the_next_settings_are_cheaper_in_the_same_time_and_say_what_they_save(tmp_path: Path) -> None:
    facts = run_facts(RecordedSession(RecordedSageMaker(), directory(tmp_path)), "batchcast", RUN)
    fast = past_plan(replace(facts, parameters={**PARAMETERS, "RecordsPerShard": "300"}), PlanOptions(), fill)
    found = fast.document()["proposed"]
    assert found["saved_usd"] == pytest.approx(fast.saved_usd)
    assert fast.proposed.scenario.p95 <= batch(fast.learnt).p95 * 1.0001
    assert found["concurrency"] <= 4
    if fast.saved_usd > 0.005:
        assert f"-p TransformInstanceCount={found['instances']}" in fast.propose()
    # What is given for the next run is planned with: a job of ten times the records on too many instances.
    more = past_plan(facts, PlanOptions(items=20, instances=40, seconds_cv=0.0), fill)
    assert (more.learnt.workload.items, more.learnt.instances) == (20, 40)
    assert more.proposed.instances < 40
    assert f"saves ${more.saved_usd:,.2f} of" in more.propose()


def test_the_last_run_that_ended_well_is_the_one_to_learn_from(tmp_path: Path) -> None:
    session = RecordedSession(RecordedSageMaker(), directory(tmp_path))
    assert last_good_run(session, "batchcast") == RUN


def test_without_seconds_those_of_the_run_itself_are_planned_with(tmp_path: Path) -> None:
    facts = run_facts(RecordedSession(RecordedSageMaker(), directory(tmp_path)), "batchcast", RUN)
    past = past_plan(facts, PlanOptions(seconds_cv=0.0), fill)
    assert past.learnt.workload.seconds == pytest.approx(SECONDS, rel=0.01)
    assert past.compared[1].planned == pytest.approx(past.compared[1].actual, rel=0.05)


def test_a_plan_on_this_machine_has_its_starts_until_one_was_measured(tmp_path: Path) -> None:
    here = PlanOptions(items=100, seconds=1.0, on_this_machine=True)
    assert fill(here).conditions.provision.median == 0.0
    assert fill(here).conditions.start.median < 10 < fill(replace(here, on_this_machine=False)).conditions.start.median
    path = tmp_path / "tuning.json"
    write_tuning(tuning(), path)
    assert fill(replace(here, tuning=path)).conditions.provision.median == 0.0
    calibrated = tuning().cold_start.model_copy(update={"source": f"describe-transform-job of run {RUN}"})
    write_tuning(tuning().model_copy(update={"cold_start": calibrated}), path)
    assert fill(replace(here, tuning=path)).conditions.provision.median == 180.0


def test_a_measured_model_s_records_are_no_larger_than_the_largest_measured(tmp_path: Path) -> None:
    path = tmp_path / "tuning.json"
    write_tuning(tuning(), path)
    given = PlanOptions(items=100, tuning=path)
    assert fill(given).workload.record_mb == tuning().measured.sample.max_record_mb
    assert fill(replace(given, record_mb=0.2)).workload.record_mb == 0.2


def test_a_run_whose_transform_failed_teaches_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no transform that completed"):
        run_facts(RecordedSession(RecordedSageMaker(status="Failed"), directory(tmp_path)), "batchcast", RUN)


def test_what_the_run_measured_goes_into_the_tuning_file(tmp_path: Path) -> None:
    path = tmp_path / "tuning.json"
    write_tuning(tuning(), path)
    facts = run_facts(RecordedSession(RecordedSageMaker(), directory(tmp_path / "s3")), "batchcast", RUN)
    past = past_plan(facts, PlanOptions(seconds=SECONDS, seconds_cv=0.0), fill)
    write_calibration(path, past.calibration, RUN)
    written = read_tuning(path)
    assert written.cold_start.provision_s.median == 200.0
    assert written.cold_start.start_s.median == pytest.approx(100, abs=1)
    assert written.cold_start.source == f"describe-transform-job of run {RUN}"
    assert written.measured.sample.seconds_mean == pytest.approx(SECONDS, rel=0.01)
    assert (written.assignment.rule, written.assignment.busiest_share) == ("round-robin", 1.0)
    assert "even shares" in written.assignment.evidence
    assert written.parameters == tuning().parameters
