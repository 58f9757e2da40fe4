"""For pytest: a SageMaker on this machine for every test that asks for `local_sagemaker`.

Installed with the package; nothing is imported before a test asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from batchcast.engine.client import LocalSageMaker


@pytest.fixture
def sagemaker_models() -> Mapping[str, str]:
    """No model. A project overrides it: each model's name, or its container image, with the command that serves it or
    the URL where it is served, e.g. `{"my-model": "python serve.py --port {port}"}`."""
    return {}


@pytest.fixture
def local_sagemaker(tmp_path: Path, sagemaker_models: Mapping[str, str]) -> Iterator[LocalSageMaker]:
    """An engine with a workspace of its own, which answers every boto3 session that the test makes.

    `local_sagemaker.store` has its objects, as `boto3.client("s3")` has them.
    """
    from batchcast.engine.client import LocalSageMaker
    from batchcast.session.local_session import local_aws

    engine = LocalSageMaker(tmp_path / "sagemaker", sagemaker_models)
    with local_aws(engine):
        yield engine
