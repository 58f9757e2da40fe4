"""`check-container`: what it refuses, what it prints and how it exits."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Formatter
from threading import Thread
from typing import Any

import pytest

from batchcast.cli.model.check_container import container_document, print_container_report
from batchcast.container_check.report import CheckFinding, ContainerReport, LoadLevel, RecommendedSettings
from batchcast.local.sample import read_sample_file, records_and_contract
from batchcast.pipelines.parameters import parse_overrides
from batchcast.steps.errors import ConfigError

pytestmark = pytest.mark.usefixtures("started_warm")

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = str(ROOT / "examples" / "bakery" / "model.toml")

WORKS = CheckFinding(check="multi_record", verdict="works", what="3 records in one request: a line each.")
RISK = CheckFinding(check="keep_alive", verdict="risk", what="Answers come 40 ms late.", remedy="Set TCP_NODELAY.")
BREAKS = CheckFinding(check="single_record", verdict="breaks", what="8 of 8 records fail.", remedy="See the log.")
SETTINGS = RecommendedSettings(max_concurrent_transforms=4, max_payload_in_mb=6, invocations_timeout_in_seconds=60)
LEVEL = LoadLevel(in_flight=1, requests=10, seconds=2.0, slowest_seconds=0.3, failed=2)


class NotLoaded(BaseHTTPRequestHandler):
    """A container that answers everything with 200 and an error."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/ping" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"error": "the model is not loaded"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


def test_records_of_a_contract_that_sends_tables_are_refused(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_text('{"a": 1}\n')
    body = 'content_type = "text/csv"\nmode = "object"\nbody = "[$target_time_series]"\n'
    series = '[series]\nitem_id = ["item"]\ntimestamp = "date"\ntargets = ["sales"]\n'
    (tmp_path / "model.toml").write_text(f'{series}[request]\n{body}[outputs]\nsales = "@"\n')
    with pytest.raises(ConfigError, match="its requests are text/csv"):
        records_and_contract(tmp_path / "records.jsonl", tmp_path / "model.toml")


@pytest.fixture
def unfit_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), NotLoaded)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def check_container(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "run_pipeline.py"), "check-container", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing says which model to ask"),
        (
            ["--model-url", "http://127.0.0.1:1", "--model-command", "serve {port}"],
            "both --model-command and --model-url",
        ),
        (["--model-command", "serve.py 8080"], "has no {port}"),
        (["--model-command", "serve.py '{port}"], "No closing quotation"),
        (["--model-url", "http://127.0.0.1:1", "--contract", CONTRACT], "--contract is given without --sample"),
        (["--model-url", "http://127.0.0.1:1", "--sample", "no-such-file.jsonl"], "no-such-file.jsonl: cannot be read"),
        (["--model-url", "127.0.0.1:8080"], "is not an http:// URL"),
        (["--model-url", "http://127.0.0.1:1", "--start-timeout", "0"], "0"),
    ],
)
def test_what_cannot_be_checked_is_refused_with_exit_code_2(arguments: list[str], said: str) -> None:
    ended = check_container(*arguments)
    assert ended.returncode == 2, ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_an_unfit_container_ends_with_exit_code_4_and_says_why(unfit_url: str) -> None:
    ended = check_container("--model-url", unfit_url)
    assert ended.returncode == 4, ended.stderr
    assert "8 records of the bakery sample" in ended.stdout
    assert "the model is not loaded" in " ".join(ended.stdout.split())
    assert "Not compatible with Batch Transform: single record." in ended.stdout


def test_the_report_as_json_is_one_document_and_nothing_else(unfit_url: str, tmp_path: Path) -> None:
    sample = tmp_path / "sample.jsonl"
    sample.write_text('{"item_id": "a"}\n')
    ended = check_container("--model-url", unfit_url, "--sample", str(sample), "--contract", CONTRACT, "--json")
    assert ended.returncode == 4
    document = json.loads(ended.stdout)
    assert document["container"] == unfit_url
    assert document["fit"] is False
    assert document["parameters"] == {}
    assert "error_answer: the model is not loaded" in document["findings"][-1]["what"]


def test_a_container_that_does_not_answer_in_time_is_unfit() -> None:
    command = f"{sys.executable} -c 'import time; time.sleep(60)' {{port}}"
    ended = check_container("--model-command", command, "--start-timeout", "0.5")
    assert ended.returncode == 4
    assert "/ping did not answer 200 within 0.5 s" in " ".join(ended.stdout.split())


def test_a_fit_report_ends_with_settings_that_a_run_takes_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    report = ContainerReport(findings=(WORKS, RISK), levels=(LEVEL,), settings=SETTINGS)
    print_container_report(report, "serve.py {port}", "2 records.")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "serve.py {port}"
    given = [line.removeprefix("  -p ") for line in lines if line.startswith("  -p ")]
    assert parse_overrides(given) == {
        "MaxConcurrentTransforms": "4",
        "MaxPayloadInMB": "6",
        "InvocationsTimeoutInSeconds": "60",
    }
    assert any("Set TCP_NODELAY." in line for line in lines)


def test_an_unfit_report_names_each_reason_once_and_gives_no_settings(capsys: pytest.CaptureFixture[str]) -> None:
    print_container_report(ContainerReport(findings=(BREAKS, RISK, BREAKS), settings=SETTINGS), "url", "2 records.")
    printed = capsys.readouterr().out
    assert printed.rstrip().endswith("Not compatible with Batch Transform: single record.")
    assert "-p " not in printed


def test_the_document_has_the_throughput_of_the_answered_requests() -> None:
    document = container_document(ContainerReport(findings=(WORKS,), levels=(LEVEL,), settings=SETTINGS), "url")
    assert document["fit"] is True
    assert document["levels"][0]["per_second"] == 4.0
    assert document["findings"][0]["check"] == "multi_record"


def test_records_are_read_a_line_each_without_blank_lines_and_carriage_returns(tmp_path: Path) -> None:
    path = tmp_path / "sample.jsonl"
    path.write_bytes(b'{"a": 1}\r\n\n{"a": 2}')
    assert read_sample_file(path) == [b'{"a": 1}', b'{"a": 2}']


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\n\n", "holds no record"), (b'{"a": 1}\n{"b":\n', "record 2 is not JSON"), (b"\xff\n", "record 1 is not JSON")],
)
def test_a_sample_that_holds_no_records_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "sample.jsonl"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        read_sample_file(path)


def test_every_finding_that_is_declared_is_made_somewhere_with_all_that_its_words_name() -> None:
    folder = ROOT / "batchcast" / "container_check"
    declared = tomllib.loads((folder / "findings.toml").read_text())
    made = set()
    for function in (node for path in folder.glob("*.py") for node in ast.walk(ast.parse(path.read_text()))):
        for call in ast.walk(function) if isinstance(function, ast.FunctionDef) else ():
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "found"):
                continue
            check, given = ast.literal_eval(call.args[0]), {each.arg for each in call.keywords}
            named = ast.unparse(call.args[1])
            said = [each for each in ast.walk(function) if isinstance(each, ast.Assign)]
            texts = [call.args[1], *(each.value for each in said if ast.unparse(each.targets[0]) == named)]
            kinds = {each.value for text in texts for each in ast.walk(text) if isinstance(each, ast.Constant)}
            for kind in kinds & set(declared[check]):
                words = " ".join(str(text) for text in declared[check][kind].values())
                names = {re.split(r"[.\[]", name)[0] for _, name, _, _ in Formatter().parse(words) if name}
                assert names <= given, f"{check}.{kind}"
                made.add((check, kind))
    assert made == {(check, kind) for check, kinds in declared.items() for kind in kinds}
