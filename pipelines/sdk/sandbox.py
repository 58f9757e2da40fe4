"""Run the SageMaker SDK as a mere compiler: no account, no network, and nothing left behind."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

_LENT = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
_TAKEN = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "SAGEMAKER_ADMIN_CONFIG_OVERRIDE",
    "SAGEMAKER_USER_CONFIG_OVERRIDE",
)


@contextmanager
def offline_sdk() -> Iterator[None]:
    """Lend the SDK what it insists on, and undo what it does at import.

    It needs a region and looks for credentials (on EC2 over the network) although nothing is called, and it gives
    the root logger a handler and a level.
    """
    import boto3

    root, disabled = logging.getLogger(), logging.root.manager.disable
    level, handlers = root.level, root.handlers[:]
    environment = {name: value for name, value in os.environ.items() if name not in _TAKEN} | _LENT
    logging.disable(logging.WARNING)
    try:
        with (
            patch.dict(os.environ, environment, clear=True),
            patch.object(boto3, "DEFAULT_SESSION", boto3.DEFAULT_SESSION),
            warnings.catch_warnings(),
        ):
            warnings.filterwarnings("ignore", message="Running within a PipelineSession", category=UserWarning)
            # Modules of the SDK warn of each other when they are imported.
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logging.disable(disabled)
        root.setLevel(level)
        root.handlers[:] = handlers
