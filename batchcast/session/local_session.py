"""boto3 on this machine: a session whose clients are botocore's own, answered by the local engine and not by AWS.

A client is botocore's in everything but the last step: it validates parameters, fills in tokens, paginates, waits and
raises `client.exceptions`; then the engine, or the workspace's objects and logs, answer in place of the network.
What they do not have is refused as NotEmulatedError, whichever method of whichever client it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from batchcast.engine.errors import ServiceException, not_emulated
from batchcast.engine.resource_name import REGION
from batchcast.session.workspace_services import identity_answers, log_answers, object_answers

if TYPE_CHECKING:
    import boto3

    from batchcast.engine import LocalSageMaker

_Answers = Callable[[str, Mapping[str, Any]], Any]
# What the parameters are handed on by, from the event that has them to the one that is answered.
_PARAMETERS = "batchcast_parameters"


def local_session(engine: LocalSageMaker) -> boto3.Session:
    """A boto3 session for whatever takes one: `sagemaker.Session(boto_session=…)`, awswrangler, a script of your own.

    Its clients of `sagemaker`, `s3`, `logs` and `sts` are answered by `engine`. It needs no credentials and reads no
    AWS configuration; nothing leaves the machine. Any call of another service raises NotEmulatedError.
    """
    import boto3
    import botocore.session
    from botocore.config import Config

    nowhere = dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
    session = botocore.session.Session(session_vars={"profile": (None, None, None, None), **nowhere})
    session.set_credentials("local", "local")
    session.set_default_client_config(Config(retries={"total_max_attempts": 1}, ignore_configured_endpoint_urls=True))
    answers: Mapping[str, _Answers] = {
        "sagemaker": engine.call,
        "s3": object_answers(engine.store),
        "logs": log_answers(engine.workspace / "logs"),
        "sts": identity_answers(),
    }
    events = session.get_component("event_emitter")
    events.register_first("before-parameter-build", _keep_parameters)
    events.register_first("before-call", _answering(answers))
    return boto3.Session(botocore_session=session, region_name=REGION)


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
