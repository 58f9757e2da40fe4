"""botocore's own clients, answered by the local engine and not by AWS.

A client is botocore's in everything but the last step: it validates parameters, fills in tokens, paginates, waits and
raises `client.exceptions`; then the engine, or the workspace's objects and logs, answer in place of the network.
What they do not have is refused as NotEmulatedError, whichever method of the client it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from batchcast.engine.errors import ServiceException, not_emulated
from batchcast.engine.resource_name import REGION
from batchcast.session.workspace_services import log_answers, object_answers

if TYPE_CHECKING:
    from batchcast.engine import LocalSageMaker

_Answers = Callable[[str, Mapping[str, Any]], Any]
# What the parameters are handed on by, from the event that has them to the one that is answered.
_PARAMETERS = "batchcast_parameters"


def local_client(engine: LocalSageMaker, service: str = "sagemaker") -> Any:
    """A botocore client of `sagemaker`, `s3` or `logs`. Raises NotEmulatedError for any other service.

    It needs no credentials and reads no AWS configuration; nothing leaves the machine.
    """
    answers: Mapping[str, _Answers] = {
        "sagemaker": engine.call,
        "s3": object_answers(engine.store),
        "logs": log_answers(engine.workspace / "logs"),
    }
    if service not in answers:
        what = f"a workspace has no {service}; it has {', '.join(answers)}."
        raise not_emulated(what, where=service, remedy="Leave --workspace out to work on AWS.")
    client = _botocore_client(service)
    events = client.meta.events
    events.register_first(f"before-parameter-build.{service}", _keep_parameters)
    events.register_first(f"before-call.{service}", _answering(answers[service]))
    return client


def _botocore_client(service: str) -> Any:
    """One that looks at no file and no variable of the AWS configuration."""
    import botocore.session
    from botocore.config import Config

    nowhere = dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
    session = botocore.session.Session(session_vars={"profile": (None, None, None, None), **nowhere})
    return session.create_client(
        service,
        region_name=REGION,
        endpoint_url=f"https://{service}.{REGION}.invalid",
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - no secret: nothing is signed
        config=Config(retries={"total_max_attempts": 1}, ignore_configured_endpoint_urls=True),
    )


class _Received(NamedTuple):
    """What botocore looks at of an HTTP response that was never sent."""

    status_code: int
    headers: Mapping[str, str] = {}
    content: bytes = b""


def _keep_parameters(params: Any, context: dict[str, Any], **_: Any) -> None:
    context[_PARAMETERS] = params


def _answering(answers: _Answers) -> Callable[..., tuple[_Received, dict[str, Any]]]:
    def answer(model: Any, context: dict[str, Any], **_: Any) -> tuple[_Received, dict[str, Any]]:
        try:
            found, status = dict(answers(model.name, context[_PARAMETERS]) or {}), 200
        except ServiceException as error:
            found, status = {"Error": error.response["Error"]}, int(error.code) if error.code.isdigit() else 400
        metadata = {"RequestId": "local", "HTTPStatusCode": status, "HTTPHeaders": {}, "RetryAttempts": 0}
        return _Received(status), {**found, "ResponseMetadata": metadata}

    return answer
