from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from virtual_server import VirtualServer

from batchcast.pipelines.tuning import (
    Measured,
    Model,
    Sample,
    Served,
    Tuning,
    check_tuning_fits,
    image_identity,
    read_tuning,
    write_tuning,
)
from batchcast.planner.arithmetic.conditions import conditions_of
from batchcast.planner.tune.measure import payload_limit_mb, sample_digest, stratified
from batchcast.planner.tune.recommend import payload_cap, recommend, recommend_execution_parameters
from batchcast.planner.tune.search import Limits, measure
from batchcast.steps.errors import ConfigError


def tuning(**server: Any) -> Tuning:
    double = VirtualServer(**{"work": lambda m: min(m, 4), "memory_each": 2.0, **server})
    results = measure(double, 48, Limits(levels=(1, 2, 4, 8, 16), cap=50, timeout=600.0))
    sample = Sample(
        n=48,
        how="stratified by payload bytes",
        sha256="0" * 64,
        seconds_mean=results.seconds_mean,
        seconds_cv=results.seconds_cv,
        max_record_mb=1.31,
    )
    return recommend(
        results,
        model=Model(name="demand-model", image_digest="sha256:aa"),
        measured=Measured(
            where="transform-canary",
            instance_type="ml.m5.4xlarge",
            vcpu=16,
            mem_gib=64.0,
            at="2026-11-23T21:30:00Z",
            sample=sample,
        ),
        max_payload_mb=2,
        served=Served(source="absent"),
    )


def test_the_document_survives_a_round_trip_and_says_what_to_set(tmp_path: Path) -> None:
    path = tmp_path / "tuning.json"
    made = tuning()
    write_tuning(made, path)
    assert read_tuning(path) == made
    document = json.loads(path.read_text())
    assert document["schema"] == 1
    assert document["parameters"]["MaxConcurrentTransforms"] == 4
    assert document["parameters"]["MaxPayloadInMB"] == 2
    assert document["caps"]["payload"] == 50
    assert {level["m"] for level in document["levels"]} >= {1, 2, 4, 8, 16}
    assert document["capacity"]["kind"] == "knee"


def test_the_pipeline_gets_its_own_parameters_only() -> None:
    parameters = tuning().pipeline_parameters()
    assert parameters.keys() == {
        "MaxConcurrentTransforms",
        "MaxPayloadInMB",
        "InvocationsTimeoutInSeconds",
        "InvocationsMaxRetries",
    }
    assert parameters["MaxConcurrentTransforms"] == "4"


def test_the_timeout_is_three_times_the_99_percent_latency_within_the_service_s_bounds() -> None:
    def timeout(seconds: float) -> int:
        return tuning(seconds=seconds).parameters.invocations_timeout_in_seconds

    at_knee = next(level for level in tuning(seconds=30.0).levels if level.m == 4)
    assert timeout(30.0) == pytest.approx(3 * at_knee.p99_s, abs=1)
    assert timeout(0.001) == 30
    assert tuning(seconds=1000.0).parameters.invocations_timeout_in_seconds == 3600


def test_the_memory_cap_is_where_the_line_through_the_levels_meets_85_percent() -> None:
    assert tuning(work=lambda m: m, memory_base=5.0, memory_each=4.0).caps.memory == 20
    assert tuning(memory_each=0.0).caps.memory is None


def test_the_container_s_own_answer_is_spelled_as_containers_do() -> None:
    assert recommend_execution_parameters(tuning()) == {
        "MaxConcurrentTransforms": 4,
        "BatchStrategy": "SINGLE_RECORD",
        "MaxPayloadInMB": 2,
    }


def test_it_is_refused_for_another_type_or_image() -> None:
    made = tuning()
    check_tuning_fits(made, instance_type="ml.m5.4xlarge", image_digest="sha256:aa")
    check_tuning_fits(made, instance_type="ml.m5.4xlarge")
    with pytest.raises(ConfigError) as caught:
        check_tuning_fits(made, instance_type="ml.c5.xlarge", image_digest="sha256:bb")
    assert [problem.code for problem in caught.value.problems] == ["tuning_type", "tuning_image"]


def test_what_was_measured_of_another_local_model_is_refused() -> None:
    made = tuning()
    here = made.model_copy(update={"measured": made.measured.model_copy(update={"where": "local"})})
    given = {"instance_type": "ml.m5.4xlarge", "on_this_machine": True}
    check_tuning_fits(here, **given, local_model="demand-model")
    with pytest.raises(ConfigError, match=r"tuning_model.*'demand-model', the run has 'serve.py \{port\}'"):
        check_tuning_fits(here, **given, local_model="serve.py {port}")
    # What SageMaker measured is known by its image, not by a command.
    check_tuning_fits(made, **given, local_model="serve.py {port}")


def test_a_digest_and_a_tag_cannot_be_compared() -> None:
    check_tuning_fits(tuning(), instance_type="ml.m5.4xlarge", image_digest="demand:7")


def test_an_image_is_known_by_its_digest_where_the_reference_has_one() -> None:
    assert image_identity("000000000000.dkr.ecr.eu-west-1.amazonaws.com/demand@sha256:ab") == "sha256:ab"
    assert image_identity("demand:7") == "demand:7"


@pytest.mark.parametrize("text", ["", "{}", '{"schema": 2}', "[1]"])
def test_a_file_that_is_none_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"mine\.json"):
        read_tuning(path)


def test_an_unknown_field_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tuning.json"
    write_tuning(tuning(), path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "extra": 1}))
    with pytest.raises(ConfigError, match="extra"):
        read_tuning(path)


def test_the_plan_takes_timeout_and_start_from_it() -> None:
    conditions = conditions_of(tuning())
    assert conditions.timeout == tuning().parameters.invocations_timeout_in_seconds
    assert conditions.max_retries == 3


def test_a_sample_spreads_over_the_sizes_and_so_does_every_beginning_of_it() -> None:
    records = [b"x" * size for size in range(1, 1001)]
    sample = stratified(records, 64)
    assert len(sample) == 64
    assert {len(sample[0]), max(map(len, sample))} == {1, 1000}
    for count in (16, 32, 64):
        mean = sum(map(len, sample[:count])) / count
        assert mean == pytest.approx(500, rel=0.08)


def test_fewer_records_than_asked_for_are_all_taken() -> None:
    assert sorted(stratified([b"b", b"a"], 10)) == [b"a", b"b"]
    assert stratified([], 10) == []


def test_the_digest_tells_samples_apart() -> None:
    assert sample_digest([b"ab", b"c"]) != sample_digest([b"a", b"bc"])
    assert sample_digest([b"ab", b"c"]) == sample_digest([b"ab", b"c"])


@pytest.mark.parametrize(("size", "megabytes"), [(10, 1), (950_000, 1), (960_000, 2), (1_310_000, 2), (6_000_000, 7)])
def test_the_payload_limit_leaves_five_percent(size: int, megabytes: int) -> None:
    assert payload_limit_mb(size) == megabytes
    assert payload_cap(megabytes) * megabytes <= 100
