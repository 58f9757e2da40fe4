"""What holds for every test: no AWS account is near, and no instance to ask for one."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_instance_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 looks for credentials on the network where it finds none; tests reach loopback only."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
