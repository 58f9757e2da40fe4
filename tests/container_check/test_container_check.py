"""The check names what is wrong with a container: one deliberately faulty server a defect, over real HTTP."""

from __future__ import annotations

import itertools
import json
import shlex
import socket
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from faulty_container import DEFECTS, serving

from batchcast.container_check.check import check_container
from batchcast.container_check.container import CheckLimits
from batchcast.container_check.report import CheckFinding, ContainerReport, RecommendedSettings
from batchcast.engine.server.model_server import ModelCommand, ModelUrl
from batchcast.steps.errors import ConfigError

pytestmark = pytest.mark.timed

LIMITS = CheckLimits(start=5.0, answer=2.0, recovery=0.4, stop=0.5, level=0.05, ping_interval=0.02)
RECORDS = [json.dumps({"item_id": f"item-{n}", "number": n * 10}).encode() for n in range(1, 5)]


def judge(record: bytes, answer: bytes) -> str | None:
    """Good answers are of the record's own item and hold a forecast."""
    try:
        asked, answered = json.loads(record), json.loads(answer)
    except ValueError:
        asked, answered = {}, json.loads(answer) if answer.startswith(b"{") else {"error": "no JSON"}
    if "error" in answered or "forecast" not in answered:
        return f"the answer is an error: {answered.get('error')}"
    same = asked.get("item_id", answered["item_id"]) == answered["item_id"]
    return None if same else "the answer is of another item"


@cache
def check(defect: str) -> ContainerReport:
    return check_with(defect, RECORDS)


def check_with(defect: str, records: list[bytes]) -> ContainerReport:
    with serving(defect) as url:
        return check_container(ModelUrl(url=url), records, judge=judge, limits=LIMITS)


def check_program(defect: str, limits: CheckLimits = LIMITS) -> ContainerReport:
    program = Path(__file__).with_name("faulty_container.py")
    command = shlex.join([sys.executable, str(program), "{port}", defect])
    return check_container(ModelCommand(command=command), RECORDS, judge=judge, limits=limits)


def findings(report: ContainerReport, check: str) -> list[CheckFinding]:
    return [finding for finding in report.findings if finding.check == check]


def test_a_sound_container_is_fit_and_every_check_says_so() -> None:
    report = check("SaysEverythingWell")
    assert report.compatible
    assert {finding.verdict for finding in report.findings} <= {"works", "note"}
    assert [finding.check for finding in report.findings] == [
        "start",
        "ping",
        "execution_parameters",
        "single_record",
        "trailing_newline",
        "multi_record",
        "content_types",
        "determinism",
        "keep_alive",
        "concurrency",
        "payload_limit",
        "oversized_body",
        "empty_body",
        "bad_record",
        "bad_record",
        "recovery",
    ]
    assert [level.in_flight for level in report.levels] == [1, 2, 4, 8]
    assert all(level.requests >= level.in_flight and not level.failed for level in report.levels)


def test_the_settings_are_those_that_were_measured() -> None:
    report = check("Sound")
    # On a busy machine eight at once are told apart from four no more.
    assert report.settings in [
        RecommendedSettings(max_concurrent_transforms=level, max_payload_in_mb=6, invocations_timeout_in_seconds=60)
        for level in (4, 8)
    ]


@pytest.mark.parametrize(
    ("defect", "name", "verdict", "said"),
    [
        ("PingStops", "ping", "risk", "5 of 5 pings after the start were not answered with 200: 503"),
        ("Sound", "execution_parameters", "note", "not offered"),
        ("SaysEverythingWell", "execution_parameters", "works", "MaxConcurrentTransforms=4, MaxPayloadInMB=2"),
        ("SaysNoJson", "execution_parameters", "risk", "did not answer JSON"),
        ("CutsItsAnswers", "single_record", "breaks", "4 of 4 records sent alone were not answered"),
        ("CutsItsAnswers", "single_record", "breaks", "bytes before its end"),
        ("AnswersErrorsWith200", "single_record", "breaks", "the model is not loaded"),
        ("LoadsItsModelAtTheFirstRequest", "single_record", "note", "The very first answer takes 1."),
        ("MindsTheNewline", "trailing_newline", "risk", "newline at its end is answered differently: 400"),
        ("TakesOneRecordOnly", "multi_record", "note", "MultiRecord does not work: 3 records in one request give 400"),
        ("AsksForMultiRecordItCannotTake", "multi_record", "risk", "MultiRecord does not work"),
        ("AnswersTheFirstRecordOnly", "multi_record", "note", "loses records: 3 in one request were answered with 1"),
        ("RefusesJsonLines", "content_types", "works", "Not with application/jsonlines, no Content-Type."),
        ("AnswersAtRandom", "determinism", "risk", "3 of 3 repeats of one record had another answer"),
        ("LastDigitsDiffer", "determinism", "works", "but for the last digits"),
        ("WritesHeadAndBodyApart", "keep_alive", "risk", "ms late on a connection that is used again"),
        ("OneWorker", "concurrency", "note", "It answers one request at a time"),
        ("OneWorkerClaimsEight", "concurrency", "risk", "Yet it says MaxConcurrentTransforms 8"),
        ("RefusesMoreThanTwoAtOnce", "concurrency", "risk", "with 4 in flight: 503 queue is full"),
        ("ClaimsEightAndRefusesMoreThanTwo", "concurrency", "breaks", "with 4 in flight: 503 queue is full"),
        ("SharesOneRecordBetweenThreads", "concurrency", "breaks", "the answer of another record"),
        ("TakesTwoMegabytes", "payload_limit", "risk", "A record of 3 MB gets 413 too large; the most it takes is 2"),
        ("TakesTwoMegabytes", "oversized_body", "works", "gets 413"),
        ("Sound", "empty_body", "works", "An empty body gets 400."),
        ("AnswersBadRecordsWith500", "empty_body", "note", "gets 500: a job tries it 4 times"),
        ("ResetsOnBadRecords", "empty_body", "risk", "no answer"),
        ("Sound", "bad_record", "works", "Half a record gets 400: its file fails"),
        ("TellsBadRecordsApartWith200", "bad_record", "works", "it alone fails, its file goes on"),
        ("AnswersTextWith200ToBadRecords", "bad_record", "risk", "200 ERROR, which is not JSON"),
        ("AnswersAnything", "bad_record", "risk", "as if it were a good one"),
        ("AnswersBadRecordsWith500", "bad_record", "note", "An empty JSON object gets 500: a job tries it 4 times"),
        ("ResetsOnBadRecords", "bad_record", "risk", "Half a record gets no answer"),
        ("Sound", "recovery", "works", "after every bad one"),
        ("RestartsItsWorkerAfterBadRecords", "recovery", "risk", "After half a record good records fail for 0."),
        ("BadRecordsFailTheirNeighbours", "recovery", "risk", "takes 3 of 3 good ones in flight with it"),
        ("HangsAfterBadRecords", "recovery", "breaks", "a good record gets 503 worker is gone"),
    ],
)
def test_a_defect_is_named(defect: str, name: str, verdict: str, said: str) -> None:
    # What is told by time a busy machine may hide: it is looked for three times.
    reports = itertools.chain([check(defect)], (check_with(defect, RECORDS) for _ in range(2)))
    seen: list[CheckFinding] = []
    for report in reports:
        seen = findings(report, name)
        found = [finding for finding in seen if said in finding.what]
        if found:
            break
    assert found, seen
    assert found[0].verdict == verdict
    assert report.compatible == all(finding.verdict != "breaks" for finding in report.findings)


def test_each_value_of_the_execution_parameters_that_is_not_usable_is_named() -> None:
    found = findings(check("SaysTooMuch"), "execution_parameters")
    assert [finding.verdict for finding in found] == ["risk", "risk"]
    assert "BatchStrategy 'SingleRecord' is not usable" in found[0].what
    assert "120 MB in flight" in found[1].what


def test_an_answer_on_several_lines_is_a_note_because_joined_output_is_written_anew() -> None:
    found = findings(check("AnswersOnSeveralLines"), "single_record")
    assert [finding.verdict for finding in found] == ["works", "note"]


def test_fewer_requests_in_flight_are_advised_where_more_fail() -> None:
    report = check("RefusesMoreThanTwoAtOnce")
    assert report.settings and report.settings.max_concurrent_transforms == 2
    assert report.compatible


def test_the_payload_that_was_taken_is_advised() -> None:
    report = check("TakesTwoMegabytes")
    assert report.settings and report.settings.max_payload_in_mb == 2


def test_what_can_not_be_answered_alone_is_not_tried_at_once() -> None:
    report = check("AnswersErrorsWith200")
    assert not report.compatible
    assert report.settings is None
    assert [finding.check for finding in report.findings][-1] == "single_record"


def test_a_sample_with_one_bad_record_is_checked_with_the_others() -> None:
    report = check_with("Sound", [*RECORDS, b'{"item_id": "bad"}'])
    assert not report.compatible
    assert "1 of 5 records sent alone" in findings(report, "single_record")[0].what
    assert findings(report, "concurrency")[0].verdict == "works"


def test_a_container_without_a_ping_is_unfit_and_gets_nothing_else() -> None:
    report = check_program("PingIsMissing", CheckLimits(start=0.8, ping_interval=0.05))
    assert not report.compatible
    assert [finding.check for finding in report.findings] == ["start"]
    assert "/ping did not answer 200 within 0.8 s; the last was 404 no such page" in report.findings[0].what


def test_a_container_that_exits_is_unfit_by_its_exit_code_and_last_words() -> None:
    report = check_program("ExitsAtOnce")
    assert not report.compatible
    assert "exited with code 1 before /ping answered: the model file is missing" in report.findings[0].what


def test_a_program_that_does_not_exist_is_told_as_one_that_exits() -> None:
    report = check_container(ModelCommand(command="/nowhere/serve {port}"), RECORDS, limits=LIMITS)
    assert "exited with code 127" in report.findings[0].what


def test_a_container_that_dies_of_bad_records_is_started_again_and_named_for_each() -> None:
    report = check_program("DiesOfBadRecords")
    assert not report.compatible
    died = [finding.what for finding in findings(report, "recovery") if finding.verdict == "breaks"]
    assert died == [
        "After an empty body the server has exited with code 9.",
        "After half a record the server has exited with code 9.",
        "After an empty JSON object the server has exited with code 9.",
    ]
    assert findings(report, "stop")[0].verdict == "works"


def test_a_container_that_ends_on_sigterm_is_told_so() -> None:
    report = check_program("Sound")
    assert report.compatible
    assert findings(report, "stop")[0].verdict == "works"


def test_a_container_that_ignores_sigterm_is_killed_and_told_so() -> None:
    report = check_program("IgnoresSigterm")
    assert report.compatible
    assert findings(report, "stop")[0].verdict == "risk"
    assert "goes on for 0.5 s after SIGTERM" in findings(report, "stop")[0].what


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="not an http:// URL"):
        check_container(ModelUrl(url="localhost:8080"), RECORDS)


def test_every_faulty_container_is_used() -> None:
    text = Path(__file__).read_text()
    assert [name for name in DEFECTS if f'"{name}"' not in text] == []


@pytest.mark.parametrize("earlier", range(6))
def test_connections_that_lie_badly_are_met_by_one_of_several_sets(earlier: int) -> None:
    """However many connections came before, and so however the next ones lie on the two workers."""
    with serving("ConnectionsStickToAWorker") as url:
        port = int(url.rpartition(":")[2])
        for _ in range(earlier):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(b"GET /ping HTTP/1.1\r\nConnection: close\r\n\r\n")
                while connection.recv(4096):
                    pass
        limits = replace(LIMITS, level=0.3)
        report = check_container(ModelUrl(url=url), RECORDS, judge=judge, limits=limits)
    assert report.settings is not None
    assert report.settings.max_concurrent_transforms <= 2
    failing = [level.in_flight for level in report.levels if level.failed]
    assert failing == [4, 8]
    (finding,) = [each for each in findings(report, "concurrency") if "429" in each.what]
    assert finding.remedy == f"Set MaxConcurrentTransforms to {report.settings.max_concurrent_transforms} at most."
