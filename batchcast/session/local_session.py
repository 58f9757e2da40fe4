"""boto3 on this machine: clients that are botocore's own, answered by the local engine and not by AWS.

A client is botocore's in everything but the last step: it validates parameters, fills in tokens, paginates, waits and
raises `client.exceptions`; then the engine, or the workspace's objects and logs, answer in place of the network.
What they do not have is refused as NotEmulatedError, whichever method of whichever client it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

from batchcast.engine.errors import ServiceException, not_emulated
from batchcast.session.workspace_services import CallerIdentity, WorkspaceLogs, WorkspaceObjects, service_answers

if TYPE_CHECKING:
    import boto3

    from batchcast.engine.client import LocalSageMaker

_Answers = Callable[[str, Mapping[str, Any]], Any]
# What the parameters are handed on by, from the event that has them to the one that is answered.
_PARAMETERS = "batchcast_parameters"
# Known to every SDK.
_REGION = "us-east-1"


def local_session(engine: LocalSageMaker, region: str = _REGION) -> boto3.Session:
    """A boto3 session for whatever takes one: `sagemaker.Session(boto_session=…)`, awswrangler, a script of your own.

    Its clients of `sagemaker`, `s3`, `logs` and `sts` are answered by `engine`. It needs no credentials and reads no
    AWS configuration; nothing leaves the machine. Any call of another service raises NotEmulatedError. `region` is what
    its clients take for theirs: an SDK looks up hosts and images by it, the engine's own resources have none.
    """
    import boto3
    import botocore.session
    from botocore.config import Config

    nowhere = dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
    session = botocore.session.Session(session_vars={"profile": (None, None, None, None), **nowhere})
    session.set_credentials("local", "local")
    session.set_default_client_config(Config(retries={"total_max_attempts": 1}, ignore_configured_endpoint_urls=True))
    events = session.get_component("event_emitter")
    for event, handler in _handlers(engine):
        events.register_first(event, handler)
    return boto3.Session(botocore_session=session, region_name=region)


@contextmanager
def local_aws(engine: LocalSageMaker, region: str = _REGION) -> Iterator[None]:
    """Every boto3 session that is made inside is answered as `local_session` is, whoever makes it.

        with local_aws(LocalSageMaker(Path("workspace"), models={"my-model": "python serve.py --port {port}"})):
            boto3.client("sagemaker").create_transform_job(...)

    For libraries that make sessions of their own: the SageMaker SDK's logs, Airflow's operators. Credentials and region
    stand in the environment as long as it lasts; profiles and configured endpoints are not seen. One at a time.
    """
    from botocore import handlers

    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    settings = {
        **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "local"),
        **dict.fromkeys(("AWS_DEFAULT_REGION", "AWS_REGION"), region),
        **dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull),
    }
    ours = [(*handler, handlers.REGISTER_FIRST) for handler in _handlers(engine)]
    with (
        patch.dict(os.environ, {**kept, **settings}, clear=True),
        patch.object(handlers, "BUILTIN_HANDLERS", [*handlers.BUILTIN_HANDLERS, *ours]),
        patch("boto3.DEFAULT_SESSION", None),
    ):
        yield


def _handlers(engine: LocalSageMaker) -> list[tuple[str, Callable[..., Any]]]:
    services = {
        "sagemaker": engine.call,
        "s3": service_answers("s3", WorkspaceObjects(engine.store)),
        "logs": service_answers("logs", WorkspaceLogs(engine.workspace / "logs")),
        "sts": service_answers("sts", CallerIdentity()),
        "iam": _denied,
    }
    return [("before-parameter-build", _keep_parameters), ("before-call", _answering(services))]


def _denied(operation: str, _: Mapping[str, Any]) -> None:
    """What a caller without rights in IAM is told: an SDK that checks roles then goes on without."""
    raise ServiceException("AccessDenied", f"The local engine has no IAM that could answer {operation}; any role does.")


class _Received(NamedTuple):
    """What botocore looks at of an HTTP response that was never sent."""

    status_code: int
    headers: Mapping[str, str] = {}
    content: bytes = b""


def _keep_parameters(params: Any, context: dict[str, Any], **_: Any) -> None:
    context[_PARAMETERS] = params


def _answering(services: Mapping[str, _Answers]) -> Callable[..., tuple[_Received, dict[str, Any]]]:
    def answer(model: Any, context: dict[str, Any], **_: Any) -> tuple[_Received, dict[str, Any]]:
        service = model.service_model.service_name
        if service not in services:
            what = f"a workspace has no {service}; it has {', '.join(services)}."
            raise not_emulated(what, where=f"{service}:{model.name}", remedy="Call it on AWS.")
        try:
            found, status = dict(services[service](model.name, context[_PARAMETERS]) or {}), 200
        except ServiceException as error:
            found, status = {"Error": error.response["Error"]}, int(error.code) if error.code.isdigit() else 400
        metadata = {"RequestId": "local", "HTTPStatusCode": status, "HTTPHeaders": {}, "RetryAttempts": 0}
        return _Received(status), {**found, "ResponseMetadata": metadata}

    return answer
