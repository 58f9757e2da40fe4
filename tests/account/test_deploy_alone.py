"""`deploy` as a process of its own where the SageMaker SDK is not installed: it works, and in little time."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from team import BUCKET, CONTRACT, DEFAULTS, REGION, ROLE

ROOT = Path(__file__).resolve().parents[2]
CPU_SECONDS = 3.0


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """An account at the end of a socket, with a pipeline to update; `import sagemaker` fails."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['sagemaker'] = None\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        place = {"endpoint_url": endpoint, "region_name": REGION}
        boto3.client("s3", **place).create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        boto3.client("sagemaker", **place).create_pipeline(
            PipelineName="batchcast", PipelineDefinition="{}", RoleArn=ROLE, ClientRequestToken="t" * 32
        )
        yield {
            **os.environ,
            "PYTHONPATH": str(tmp_path),
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    finally:
        server.stop()


def test_deploy_needs_no_sdk_and_little_time(environment: dict[str, str]) -> None:
    options = ["--pipeline-role", ROLE, "--processing-role", ROLE, "--bucket", BUCKET, "--contract", str(CONTRACT)]
    defaults = [word for name, value in DEFAULTS.items() for word in ("-p", f"{name}={value}")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, str(ROOT / "run_pipeline.py"), "deploy", *options, *defaults]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Pipeline batchcast in {REGION}: updated")
    place = {"endpoint_url": environment["AWS_ENDPOINT_URL"], "region_name": REGION}
    sent = boto3.client("sagemaker", **place).describe_pipeline(PipelineName="batchcast")["PipelineDefinition"]
    assert json.loads(sent)["Steps"][0]["Name"] == "BuildShards"
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < CPU_SECONDS
