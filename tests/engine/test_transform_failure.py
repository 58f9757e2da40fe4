"""What a failed request, file or container does to the job."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded_model import RecordedModel
from scripted_model import Call, Reply
from transform_case import TransformCase, transform_request

from batchcast.engine.transform.plan import TransformOptions, transform_plan

pytestmark = pytest.mark.timed

ALGORITHM = "AlgorithmError: See job logs for more information"
CLIENT = "ClientError: See job logs for more information"


def failing(body: bytes, reply: Reply, attempts: int = 1000):  # type: ignore[no-untyped-def]
    """Echo, but answer `body` with `reply` the first `attempts` times."""
    return lambda call: reply if call.body == body and call.attempt <= attempts else call.body


def three_files(tmp_path: Path) -> TransformCase:
    case = TransformCase(tmp_path)
    case.put(A=b"1\n2\n3\n4\n", B=b"5\n", C=b"6\n")
    return case


def test_e33_a_bad_record_costs_its_file_and_the_job_not_the_other_files(tmp_path: Path) -> None:
    """E33: documented (developer guide, errors; API reference, TransformOutput); the log seen in issue 1620."""
    case = three_files(tmp_path)
    result = case.run(failing(b"3", Reply(status=400, body=b"bad\nrecord")))
    assert (result.status, result.failure_reason) == ("Failed", CLIENT)
    assert case.outputs() == {"B.out": b"5\n", "C.out": b"6\n"}
    lines = ["ClientError: 400", "", "Message:", "bad", "record"]
    assert case.log()[1:] == [f"b/in/A: {line}" for line in lines]


def test_e33_the_result_knows_which_record_it_was(tmp_path: Path) -> None:
    """The service's log names the file alone; the engine also tells the line (0-based)."""
    case = three_files(tmp_path)
    (failed,) = case.run(failing(b"3", Reply(status=400))).failed_files
    assert (failed.uri, failed.line, failed.blame) == ("s3://b/in/A", 2, "ClientError")


@pytest.mark.parametrize("status", [400, 413, 422, 499])
def test_e34_a_client_error_is_not_retried(tmp_path: Path, status: int) -> None:
    """E34: unknown; our pick."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    case.run(failing(b"1", Reply(status=status)))
    assert case.model.bodies == [b"1"]


def test_e34_client_errors_can_be_retried(tmp_path: Path) -> None:
    """E34: the switch for the other reading."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    options = TransformOptions(time_scale=0.05, retry_client_errors=True)
    assert case.run(failing(b"1", Reply(status=400), attempts=3), options=options).status == "Completed"
    assert case.model.bodies == [b"1"] * 4


@pytest.mark.parametrize(("status", "attempts"), [(429, 4), (400, 1)])
def test_e34_too_many_requests_can_be_retried_alone(tmp_path: Path, status: int, attempts: int) -> None:
    """E34: the switch for a service that takes 429 for a moment's refusal and other 4xx for final."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    options = TransformOptions(time_scale=0.05, retry_too_many_requests=True)
    result = case.run(failing(b"1", Reply(status=status), attempts=3), options=options)
    assert result.status == ("Completed" if status == 429 else "Failed")
    assert case.model.bodies == [b"1"] * attempts


def test_e35_a_server_error_is_retried(tmp_path: Path) -> None:
    """E35: documented (API reference, ModelClientConfig)."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n2\n")
    result = case.run(failing(b"1", Reply(status=500), attempts=2), InvocationsMaxRetries=3)
    assert (result.status, case.model.bodies) == ("Completed", [b"1", b"1", b"1", b"2"])
    assert case.outputs() == {"a.out": b"1\n2\n"}


def test_e36_retries_end_and_the_file_fails(tmp_path: Path) -> None:
    """E36: documented; the log seen in sagemaker-python-sdk issue 1951."""
    case = three_files(tmp_path)
    result = case.run(failing(b"3", Reply(status=500, body=b"trace")), InvocationsMaxRetries=2)
    assert case.model.bodies.count(b"3") == 3
    assert (result.failure_reason, set(case.outputs())) == (ALGORITHM, {"B.out", "C.out"})
    assert case.log().count("b/in/A: Bad HTTP status received from algorithm: 500") == 3
    assert case.log()[-2:] == ["b/in/A: Message:", "b/in/A: trace"]


@pytest.mark.parametrize("status", [301, 503, 599])
def test_e36_every_status_but_2xx_and_4xx_is_the_algorithm_s(tmp_path: Path, status: int) -> None:
    """E36: documented as non-2xx."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    assert case.run(failing(b"1", Reply(status=status))).failure_reason == ALGORITHM
    assert case.model.bodies == [b"1"] * 4


def test_e37_a_late_answer_is_none(tmp_path: Path) -> None:
    """E37: documented; the log was seen. 4 s at a twentieth of the time are 200 ms."""
    case = three_files(tmp_path)
    result = case.run(failing(b"3", Reply(seconds=0.7)), InvocationsTimeoutInSeconds=4, InvocationsMaxRetries=1)
    assert (result.failure_reason, set(case.outputs())) == (ALGORITHM, {"B.out", "C.out"})
    assert case.model.bodies.count(b"3") == 2
    why = ["Unable to get response from algorithm", "", "Message:", "no answer within 0.2 s"]
    assert case.log()[1:] == [f"b/in/A: {line}" for line in why * 2]


def test_e37_a_late_answer_may_be_in_time_at_the_next_attempt(tmp_path: Path) -> None:
    """E37: documented. The late answer to the first attempt is not taken for the second."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n2\n")
    script = failing(b"1", Reply(body=b"late", seconds=0.4), attempts=1)
    assert case.run(script, InvocationsTimeoutInSeconds=4).status == "Completed"
    assert case.outputs() == {"a.out": b"1\n2\n"}


@pytest.mark.parametrize("reply", [Reply(reset=True), Reply(body=b"half of it", cut=5)])
def test_e38_a_broken_answer_is_none(tmp_path: Path, reply: Reply) -> None:
    """E38: seen in sagemaker-python-sdk issue 1882."""
    case = three_files(tmp_path)
    result = case.run(failing(b"3", reply), InvocationsMaxRetries=1)
    assert (result.failure_reason, set(case.outputs())) == (ALGORITHM, {"B.out", "C.out"})
    assert case.model.bodies.count(b"3") == 2
    assert sum("b/in/A: Unable to get response from algorithm" in line for line in case.log()) == 2


def test_e39_no_retries_means_one_attempt(tmp_path: Path) -> None:
    """E39: documented (API reference, ModelClientConfig)."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    case.run(failing(b"1", Reply(status=500)), InvocationsMaxRetries=0)
    assert case.model.bodies == [b"1"]


def test_e40_by_default_there_are_3_retries(tmp_path: Path) -> None:
    """E40: documented (API reference, ModelClientConfig; the CDK documents other values)."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    case.run(failing(b"1", Reply(status=500)))
    assert case.model.bodies == [b"1"] * 4


def test_e40_by_default_an_attempt_may_take_600_seconds() -> None:
    """E40: documented (API reference, ModelClientConfig)."""
    assert transform_plan(transform_request()).timeout == 600


def test_e41_nothing_more_of_a_failed_file_is_sent(tmp_path: Path) -> None:
    """E41: unknown; our pick. What is under way ends."""
    case = TransformCase(tmp_path)
    case.put(a=b"".join(b"%d\n" % number for number in range(100)))

    def third_fails(call: Call) -> Reply:
        # What comes after it is under way while the failure becomes known.
        return Reply(status=400 if call.body == b"3" else 200, seconds=0.5 if int(call.body) > 3 else 0.0)

    case.run(third_fails, MaxConcurrentTransforms=2)
    assert 4 <= len(case.model.calls) <= 5


def test_e42_when_every_file_fails_there_is_no_output(tmp_path: Path) -> None:
    """E42: documented."""
    case = three_files(tmp_path)
    result = case.run(lambda _: Reply(status=400))
    assert (result.status, case.outputs(), len(result.failed_files)) == ("Failed", {}, 3)


def test_e43_no_output_is_partial(tmp_path: Path) -> None:
    """E43: documented (API reference, TransformOutput; developer guide, errors)."""
    case = TransformCase(tmp_path)
    records = [b"%d" % number for number in range(50)]
    case.put(**{f"f{file}": b"\n".join(records) for file in range(6)})
    calls: list[Call] = []

    def seventh_in_a_hundred_fails(call: Call) -> Reply | bytes:
        calls.append(call)
        return Reply(status=400) if len(calls) % 100 == 7 else call.body

    result = case.run(seventh_in_a_hundred_fails, MaxConcurrentTransforms=4, InstanceCount=2)
    assert 0 < len(result.failed_files) < 6
    assert set(case.outputs().values()) == {b"\n".join(records) + b"\n"}
    assert len(case.outputs()) + len(result.failed_files) == 6


def test_e44_a_container_s_own_placeholder_is_an_answer_like_any_other(tmp_path: Path) -> None:
    """E44: documented (developer guide, errors)."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n2\n")
    result = case.run(failing(b"1", Reply(body=b"ERROR")))
    assert (result.status, case.outputs()) == ("Completed", {"a.out": b"ERROR\n2\n"})


def test_p01_a_container_that_exits_during_the_job_fails_what_its_instance_had_left(tmp_path: Path) -> None:
    """Unknown; our pick: other instances go on, the job fails."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n2\n", b=b"3\n", c=b"4\ndie\n", d=b"5\n", e=b"6\n", f=b"7\n")
    model = RecordedModel(tmp_path)
    result = case.run(model.source, InstanceCount=2, InvocationsMaxRetries=1)
    assert result.status == "Failed"
    assert result.failure_reason == "AlgorithmError: Model container exited with code 9 during the job"
    assert set(case.outputs()) == {"a.out", "b.out", "d.out", "f.out"}
    assert [failed.uri for failed in result.failed_files] == ["s3://b/in/c", "s3://b/in/e"]


def test_p02_client_and_algorithm_errors_together_are_the_algorithm_s(tmp_path: Path) -> None:
    """Unknown; our pick."""
    case = three_files(tmp_path)
    result = case.run(lambda call: Reply(status=500 if call.body == b"5" else 400))
    assert result.failure_reason == ALGORITHM
