"""What a service or the way to it refused, as one of batchcast's errors with a remedy.

boto3's exceptions and those of the local engine have the same shape, so one translation serves both.
"""

import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from batchcast.steps.errors import BatchcastError, ConfigError, Problem, ServiceError

_NO_SETTINGS = ("NoCredentialsError", "NoRegionError", "ProfileNotFound", "PartialCredentialsError")
_NO_TOKEN = ("TokenRetrievalError", "SSOTokenLoadError", "UnauthorizedSSOTokenError", "CredentialRetrievalError")


class TranslatingClient:
    """A client whose methods raise batchcast's errors."""

    def __init__(self, client: Any, service: str) -> None:
        self._client = client
        self._service = service

    def __getattr__(self, method: str) -> Any:
        if method.startswith("_"):
            raise AttributeError(method)
        call = getattr(self._client, method)

        def translated(*args: Any, **request: Any) -> Any:
            try:
                return call(*args, **request)
            except Exception as error:
                known = _translate(error, self._service, method, request)
                if known is None:
                    raise
                raise known from error

        return translated


def error_code(error: BaseException | None) -> str:
    """The service's code of an error, or of what an error of batchcast was raised from; empty for any other."""
    for one in (error, getattr(error, "__cause__", None)):
        if code := _response(one).get("Error", {}).get("Code"):
            return str(code)
    return ""


def answer_or_none(call: Callable[..., Any], *absent: str, **request: Any) -> dict[str, Any] | None:
    """What a client's method answers; None where the service's code is one of `absent`."""
    try:
        return dict(call(**request))
    except ConfigError as error:
        if error_code(error) not in absent:
            raise
        return None


def operation_name(method: str) -> str:
    """`get_schedule` -> `GetSchedule`."""
    return "".join(word.capitalize() for word in method.split("_"))


def action(service: str, method: str) -> str:
    """The IAM action of a client's method: `("scheduler", "get_schedule")` -> `scheduler:GetSchedule`."""
    operation = operation_name(method)
    return _ACTIONS.get((service, operation), f"{_PREFIXES.get(service, service)}:{operation}")


# Service Authorization Reference, read 2026-11: where action and operation have different names.
_ACTIONS = {
    ("s3", "HeadBucket"): "s3:ListBucket",
    ("s3", "HeadObject"): "s3:GetObject",
    ("s3", "ListObjectsV2"): "s3:ListBucket",
}
_PREFIXES = {"sagemaker-runtime": "sagemaker", "service-quotas": "servicequotas"}


def _translate(error: Exception, service: str, method: str, request: Mapping[str, Any]) -> BatchcastError | None:
    kind = None if isinstance(error, BatchcastError) else _kind(error)
    if kind is None:
        return None
    errors, row = {"ConfigError": ConfigError, "ServiceError": ServiceError}, _kinds()[kind]
    message = str(_response(error).get("Error", {}).get("Message", "")) or str(error)
    code = error_code(error)
    what = f"{action(service, method)} said {code}: {message}" if code else f"{action(service, method)}: {message}"
    remedy = row["remedy"].format(action=action(service, method))
    endings = ("Name", "Arn", "Bucket", "logGroupName", "Id")
    subjects = (str(value) for key, value in request.items() if key.endswith(endings) and isinstance(value, str))
    return errors[row["error"]](Problem(kind, what.rstrip(".") + ".", next(subjects, ""), remedy))


@cache
def _kinds() -> Mapping[str, Any]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def _kind(error: Exception) -> str | None:
    name = type(error).__name__
    if code := error_code(error):
        status = _response(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
        found = (kind for kind, row in _kinds().items() if code in row.get("codes", ()))
        return next(found, "service_fault" if status >= 500 else "refused")
    if name in _NO_SETTINGS:
        return "aws_settings"
    if name in _NO_TOKEN:
        return "credentials"
    if name == "ParamValidationError":
        return "refused"
    if any(base.__module__.startswith("botocore.") for base in type(error).__mro__):
        return "network"
    return None


def _response(error: BaseException | None) -> Mapping[str, Any]:
    """The service's answer as botocore keeps it in the exception; errors of the network have none."""
    response = getattr(error, "response", None)
    return response if isinstance(response, Mapping) else {}
