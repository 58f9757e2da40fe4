"""An AWS account in this process: moto behind the strict validator, with the resources of a team."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import boto3
import botocore.session
import pytest
from botocore import handlers
from botocore.loaders import Loader
from moto import mock_aws
from strict import Recorder
from team import BUCKET, CONTRACT, DEFAULTS, REGION, ROLE

from batchcast.account.deploy import Package, package
from batchcast.account.deploy_settings import DeploySettings, read_deploy_settings
from batchcast.session.session import AwsSession

# The services' models are read once and not again for every session.
LOADER = Loader()


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Recorder]:
    """An empty account but for the bucket; what the code under test calls in it is recorded and checked."""
    for name in [name for name in os.environ if name.startswith("AWS_") and name != "AWS_CA_BUNDLE"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setattr(botocore.session, "create_loader", lambda _: LOADER)
    recorder = Recorder()
    with mock_aws():
        s3 = boto3.client("s3", region_name=REGION)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        monkeypatch.setattr(handlers, "BUILTIN_HANDLERS", [*handlers.BUILTIN_HANDLERS, *recorder.handlers()])
        yield recorder


@pytest.fixture
def session(account: Recorder) -> AwsSession:
    """The session of the code under test."""
    return AwsSession(REGION)


@pytest.fixture(scope="session")
def settings() -> DeploySettings:
    """The least a team has to say."""
    given = {
        "role": ROLE,
        "bucket": BUCKET,
        "contract": CONTRACT,
        "defaults": [f"{k}={v}" for k, v in DEFAULTS.items()],
    }
    return read_deploy_settings(None, given, region=REGION)


@pytest.fixture(scope="session")
def packed(settings: DeploySettings) -> Package:
    """Compiled once; what is in it depends on nothing but the code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the SDK warns of itself when it is imported
        return package(settings)
