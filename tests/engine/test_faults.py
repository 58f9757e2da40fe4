"""Planned faults: how a plan is written, whom each fault strikes, and what a job makes of it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from recorded_model import RecordedModel
from transform_case import TransformCase

from batchcast.engine.faults import Fault, FaultPlan, parse_fault_plan
from batchcast.steps.errors import ConfigError

PLAN = """
[[fault]]
effect = "status"
status = 503
containing = "store-7"
attempts = [1, 2]

[[fault]]
effect = "latency"
seconds = 2
file = "part-3"
line = 17
instance = 1
"""


def run(tmp_path: Path, *faults: Fault, **changes: object) -> tuple[TransformCase, str, set[str]]:
    """Two files of two records under the faults: the case, the job's status and the outputs there are."""
    case = TransformCase(tmp_path)
    case.put(a=b"a1\na2\n", b=b"b1\nb2\n")
    result = case.run(faults=FaultPlan(faults), **changes)
    return case, result.status, set(case.outputs())


def test_a_plan_is_read_from_toml() -> None:
    assert parse_fault_plan(PLAN).faults == (
        Fault(effect="status", status=503, containing="store-7", attempts=(1, 2)),
        Fault(effect="latency", seconds=2, file="part-3", line=17, instance=1),
    )
    assert parse_fault_plan("") == FaultPlan()


def test_everything_wrong_in_a_plan_is_told_at_once() -> None:
    first = '[[fault]]\neffect = "explode"\nattempts = [2, 1]\n'
    second = '[[fault]]\neffect = "reset"\nlines = 3\nline = "3"\nseconds = 1\n'
    text = f"{first}{second}[other]\n"
    with pytest.raises(ConfigError) as caught:
        parse_fault_plan(text)
    told = str(caught.value)
    assert all(word in told for word in ("explode", "[2, 1]", "'lines'", "line = '3'", "'seconds'", "'other'"))
    assert len(caught.value.problems) == 6


@pytest.mark.parametrize("text", ["[[fault]", '[fault]\neffect = "reset"', "[[fault]]\n", "fault = 3", "fault = [3]"])
def test_a_text_that_is_no_plan(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_fault_plan(text)


@pytest.mark.parametrize(
    ("fault", "struck"),
    [
        (Fault(effect="reset"), True),
        (Fault(effect="reset", containing="bread"), True),
        (Fault(effect="reset", containing="milk"), False),
        (Fault(effect="reset", file="part-1", line=4), True),
        (Fault(effect="reset", file="part-2"), False),
        (Fault(effect="reset", line=5), False),
        (Fault(effect="reset", instance=2), True),
        (Fault(effect="reset", instance=0), False),
        (Fault(effect="reset", attempts=(2, 3)), True),
        (Fault(effect="reset", attempts=(1, 1)), False),
    ],
)
def test_every_condition_of_a_fault_must_hold(fault: Fault, struck: bool) -> None:
    plan = FaultPlan((fault,))
    found = plan.of_request(file="s3://b/in/part-1", line=4, body=b"a bread b", instance=2, attempt=2)
    assert found == ((fault,) if struck else ())


def test_a_status_is_made_up_and_sends_nothing(tmp_path: Path) -> None:
    case, status, outputs = run(tmp_path, Fault(effect="status", status=422, containing="a2"))
    assert (status, outputs, b"a2" in case.model.bodies) == ("Failed", {"b.out"}, False)
    assert "b/in/a: ClientError: 422" in case.log()


@pytest.mark.parametrize("effect", ["status", "reset", "truncated"])
def test_a_fault_of_the_first_attempts_is_outlived(tmp_path: Path, effect: str) -> None:
    fault = Fault(effect=effect, attempts=(1, 3), containing="a1")  # type: ignore[arg-type]
    _, status, outputs = run(tmp_path, fault, InvocationsMaxRetries=3)
    assert (status, outputs) == ("Completed", {"a.out", "b.out"})


@pytest.mark.parametrize("effect", ["reset", "truncated"])
def test_an_answer_that_never_comes_whole_fails_the_file(tmp_path: Path, effect: str) -> None:
    case, status, outputs = run(tmp_path, Fault(effect=effect, file="a", line=0))  # type: ignore[arg-type]
    assert (status, outputs) == ("Failed", {"b.out"})
    assert any("Unable to get response from algorithm" in line for line in case.log())


def test_garbage_reaches_the_output_unless_someone_reads_it(tmp_path: Path) -> None:
    case, status, outputs = run(tmp_path, Fault(effect="garbage", containing="a1"))
    assert (status, outputs) == ("Completed", {"a.out", "b.out"})
    assert b"garbage" in case.outputs()["a.out"]
    _, status, outputs = run(tmp_path / "joined", Fault(effect="garbage", containing="1"), OutputFilter="$[0]")
    assert (status, outputs) == ("Failed", set())


def test_latency_is_waited_and_counts_against_the_time_limit(tmp_path: Path) -> None:
    began = time.monotonic()
    _, status, _ = run(tmp_path, Fault(effect="latency", seconds=4.0, containing="a1"))
    assert (status, time.monotonic() - began >= 0.2) == ("Completed", True)
    late = Fault(effect="latency", seconds=9.0, containing="a1")
    case, status, outputs = run(tmp_path / "late", late, InvocationsTimeoutInSeconds=8, InvocationsMaxRetries=0)
    assert (status, outputs, b"a1" in case.model.bodies) == ("Failed", {"b.out"}, False)


def test_a_crash_kills_the_real_server(tmp_path: Path) -> None:
    case = TransformCase(tmp_path)
    case.put(a=b"a1\n", b=b"b1\n", c=b"c1\n")
    model = RecordedModel(tmp_path)
    result = case.run(model.source, faults=FaultPlan((Fault(effect="crash", containing="b1"),)))
    assert (result.status, set(case.outputs())) == ("Failed", {"a.out"})
    assert str(result.failure_reason).startswith("AlgorithmError: Model container exited")
    assert model.living() == []


def test_a_stop_in_the_middle(tmp_path: Path) -> None:
    case, status, outputs = run(tmp_path, Fault(effect="stop", file="b", line=1))
    assert (status, outputs) == ("Stopped", set())
    assert case.model.bodies[:3] == [b"a1", b"a2", b"b1"]
