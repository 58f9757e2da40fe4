"""Model servers: started, waited for, ended."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest
from recorded_model import RecordedModel, still_running
from scripted_model import Reply
from transform_case import TransformCase

from batchcast.engine.faults import Fault, FaultPlan
from batchcast.engine.server.model_server import ModelCommand, ModelUrl, free_ports, start_model_server
from batchcast.engine.transform.plan import TransformOptions
from batchcast.steps.errors import ConfigError

pytestmark = pytest.mark.timed


def test_e30_nothing_is_sent_before_a_ping_is_answered_200(tmp_path: Path) -> None:
    """E30: documented (developer guide, container contract)."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    asked: list[int] = []

    def third_time(path: str) -> Reply:
        asked.append(len(case.model.calls))
        return Reply(status=200 if len(asked) >= 3 else 503)

    assert case.run(get=third_time, MaxPayloadInMB=6).status == "Completed"
    assert asked == [0, 0, 0]


def test_e30_a_ping_slower_than_2_seconds_does_not_count(tmp_path: Path) -> None:
    """E30: documented; at a hundredth of the time, so 20 ms."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    pings: list[str] = []

    def first_is_slow(path: str) -> Reply:
        pings.append(path)
        return Reply(seconds=0.2 if len(pings) == 1 else 0.0)

    options = TransformOptions(time_scale=0.01)
    assert case.run(get=first_is_slow, options=options, MaxPayloadInMB=6).status == "Completed"
    assert len(pings) >= 2


def test_e31_a_container_that_never_answers_fails_the_job(tmp_path: Path) -> None:
    """E31: seen in amazon-sagemaker-examples issues 815 (30 minutes) and 852 (the wording)."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    began = time.monotonic()
    result = case.run(get=lambda _: Reply(status=503), options=TransformOptions(time_scale=0.0001))
    assert 0.15 < time.monotonic() - began < 5
    assert (result.status, case.outputs(), case.model.calls) == ("Failed", {}, [])
    assert result.failure_reason == (
        "AlgorithmError: Model container failed to respond to ping. Please ensure /ping endpoint is implemented and "
        "responds with an HTTP 200 status code"
    )


def test_e32_a_container_that_exits_at_start_fails_the_job_at_once(tmp_path: Path) -> None:
    """E32: inferred; that its last words are in FailureReason is ours."""
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    result = case.run(RecordedModel(tmp_path, "--exit", "3").source, InstanceCount=2)
    assert (result.status, case.outputs()) == ("Failed", {})
    assert result.failure_reason is not None
    assert result.failure_reason.startswith("AlgorithmError: Model container exited with code 3")
    assert "cannot load the model" in result.failure_reason


def test_a_program_that_does_not_exist_fails_the_job(tmp_path: Path) -> None:
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    result = case.run(ModelCommand(command="no-such-program-here {port}"))
    assert result.status == "Failed"
    assert "no-such-program-here" in str(result.failure_reason)


@pytest.mark.parametrize("command", ["", "  ", "serve 'unclosed"])
def test_a_command_that_is_none_is_refused(tmp_path: Path, command: str) -> None:
    with pytest.raises(ConfigError):
        start_model_server(ModelCommand(command=command), port=1, environment={}, log=tmp_path / "log")


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "https://127.0.0.1", "ftp://a"])
def test_a_url_that_is_none_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError):
        start_model_server(ModelUrl(url=url), port=1, environment={}, log=tmp_path / "log")


def test_what_the_server_prints_is_in_its_log(tmp_path: Path) -> None:
    case = TransformCase(tmp_path)
    case.put(a=b"die\n")
    case.run(RecordedModel(tmp_path).source)
    assert "dying of a record" in case.log(stream="container-log")


def test_no_server_outlives_its_job(tmp_path: Path) -> None:
    case = TransformCase(tmp_path)
    case.put(a=b"1\n", b=b"2\n")
    model = RecordedModel(tmp_path)
    case.run(model.source, InstanceCount=2)
    assert len(model.environments()) == 2
    assert model.living() == []


def test_a_server_that_ignores_the_request_to_end_is_killed_with_its_children(tmp_path: Path) -> None:
    program = tmp_path / "stubborn.py"
    program.write_text(
        "import os, signal, time, pathlib\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "os.fork()\n"
        f"pathlib.Path({str(tmp_path)!r}, f'{{os.getpid()}}.pid').write_text('')\n"
        "time.sleep(600)\n"
    )
    source = ModelCommand(command=f"{sys.executable} {program}")
    server = start_model_server(source, port=1, environment={}, log=tmp_path / "log")
    while len(list(tmp_path.glob("*.pid"))) < 2:
        time.sleep(0.01)
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 2
    assert still_running([int(path.stem) for path in tmp_path.glob("*.pid")]) == []


def test_ports_differ() -> None:
    assert len(set(free_ports(50))) == 50


def test_slow_pings_can_be_planned(tmp_path: Path) -> None:
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    plan = FaultPlan((Fault(effect="slow_ping", attempts=(1, 2)),))
    assert case.run(faults=plan, MaxPayloadInMB=6).status == "Completed"
    assert case.model.gets == ["/ping"] * 3


def test_a_start_is_stopped_within_2_seconds(tmp_path: Path) -> None:
    case = TransformCase(tmp_path)
    case.put(a=b"1\n")
    model = RecordedModel(tmp_path, "--no-ping")
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    began = time.monotonic()
    result = case.run(model.source, stop=stop, options=TransformOptions(time_scale=1.0))
    assert (result.status, result.failure_reason) == ("Stopped", None)
    assert time.monotonic() - began < 2.3
    assert model.living() == []
