"""A real S3 server on this machine: SeaweedFS in a process of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Seaweed", "running_seaweed"]

_START_SECONDS = 60.0
_ACCESS, _SECRET = "batchcast-test", "batchcast-test-secret"


@dataclass(frozen=True, slots=True)
class Seaweed:
    """Where the server answers; `client` may go through another address, such as a proxy that breaks things."""

    endpoint: str

    def client(self, endpoint: str | None = None, **config: Any) -> Any:
        """A boto3 S3 client for it."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=endpoint or self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=_ACCESS,
            aws_secret_access_key=_SECRET,
            config=Config(s3={"addressing_style": "path"}, **config),
        )

    @property
    def environ(self) -> dict[str, str]:
        """What a process needs in its environment for boto3 to come here."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": _ACCESS,
            "AWS_SECRET_ACCESS_KEY": _SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }


@contextmanager
def running_seaweed(directory: Path, *buckets: str) -> Iterator[Seaweed]:
    """Start the server on free ports of 127.0.0.1 with these buckets; stop it by its process at the end."""
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "s3.json"
    identity = {"name": "test", "credentials": [{"accessKey": _ACCESS, "secretKey": _SECRET}], "actions": ["Admin"]}
    config.write_text(json.dumps({"identities": [identity]}))
    names = [f"{part}.port{kind}" for part in ("s3", "master", "volume", "filer") for kind in ("", ".grpc")]
    ports = dict(zip(names, _free_ports(len(names)), strict=True))
    command = [
        # beside the interpreter, whether or not its environment is activated
        str(Path(sys.executable).with_name("weed")),
        f"-logdir={directory}",
        "mini",
        f"-dir={directory / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        *(f"-{name}={port}" for name, port in ports.items()),
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-webdav=false",
        "-admin.ui=false",
        "-master.telemetry=false",
        f"-s3.config={config}",
    ]
    (directory / "data").mkdir(exist_ok=True)
    with (directory / "weed.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=directory)
    try:
        seaweed = Seaweed(f"http://127.0.0.1:{ports['s3.port']}")
        client = _wait(seaweed, process, directory / "weed.log")
        for bucket in buckets:
            client.create_bucket(Bucket=bucket)
        yield seaweed
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(seaweed: Seaweed, process: subprocess.Popen[bytes], log: Path) -> Any:
    """A client once the server lists buckets."""
    from botocore.exceptions import BotoCoreError, ClientError

    client = seaweed.client(retries={"max_attempts": 1}, connect_timeout=1, read_timeout=2)
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            client.list_buckets()
            return seaweed.client()
        except (BotoCoreError, ClientError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"SeaweedFS did not start: {error}\n{log.read_text()[-2000:]}") from error
        time.sleep(0.05)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
