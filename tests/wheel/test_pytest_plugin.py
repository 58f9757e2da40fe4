"""The fixture `local_sagemaker` in somebody else's project, with the wheel and nothing else of this checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(600)]

SERVER = """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        area = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["area"]
        self.answer(json.dumps({"price": area * 2}).encode())

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
CONFTEST = """
import sys
import pytest

@pytest.fixture
def sagemaker_models():
    return {"houses": f"{sys.executable} server.py {{port}}"}
"""
TESTS = """
import boto3
import pytest

def test_a_transform_job_answers_every_line(local_sagemaker):
    boto3.client("s3").put_object(Bucket="b", Key="in/a.jsonl", Body=b'{"area": 1}\\n{"area": 2}\\n')
    client = boto3.client("sagemaker")
    client.create_transform_job(
        TransformJobName="j",
        ModelName="houses",
        TransformInput={
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/in/"}},
            "SplitType": "Line",
            "ContentType": "application/json",
        },
        TransformOutput={"S3OutputPath": "s3://b/out", "AssembleWith": "Line"},
        BatchStrategy="SingleRecord",
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    client.get_waiter("transform_job_completed_or_stopped").wait(TransformJobName="j", WaiterConfig={"Delay": 1})
    assert local_sagemaker.store.read("s3://b/out/a.jsonl.out") == b'{"price": 2}\\n{"price": 4}\\n'

def test_a_test_sees_nothing_of_another(local_sagemaker):
    assert boto3.client("sagemaker").list_transform_jobs()["TransformJobSummaries"] == []
    with pytest.raises(boto3.client("s3").exceptions.NoSuchKey):
        boto3.client("s3").get_object(Bucket="b", Key="out/a.jsonl.out")

def test_without_the_fixture_boto3_is_left_alone():
    import botocore.handlers

    modules = [getattr(each[1], "__module__", "") for each in botocore.handlers.BUILTIN_HANDLERS]
    assert not [name for name in modules if name.startswith("batchcast")]
"""


def test_a_project_outside_the_tree_uses_the_fixture(wheel: Path, tmp_path: Path) -> None:
    site, project = tmp_path / "site", tmp_path / "project"
    project.mkdir()
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", site, wheel]
    subprocess.run(list(map(str, install)), check=True, cwd=tmp_path)
    for name, text in {"server.py": SERVER, "conftest.py": CONFTEST, "test_houses.py": TESTS}.items():
        (project / name).write_text(text)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "AWS_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"],
        cwd=project,
        env={**environment, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
