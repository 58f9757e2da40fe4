"""What a service or the way to it refused, as one of batchcast's errors with a remedy.

boto3's exceptions and those of the local engine have the same shape, so one translation serves both.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from batchcast.steps.errors import BatchcastError, ConfigError, Problem, ServiceError


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a family of error codes is told; `{action}` is the IAM action of the call."""

    error: type[BatchcastError]
    code: str
    remedy: str


_THROTTLED = _Kind(ServiceError, "throttled", "Wait a minute and run the command again; it does nothing twice.")
_CREDENTIALS = _Kind(
    ServiceError, "credentials", "Renew the credentials and run the command again: a run goes on meanwhile."
)
_DENIED = _Kind(ConfigError, "access_denied", "Allow {action} to this identity; infra/batchcast.yaml has the policies.")
_ABSENT = _Kind(ConfigError, "not_found", "Check the name, the account and the region.")
_REFUSED = _Kind(ConfigError, "refused", "Fix what the message names.")
_CONFLICT = _Kind(ServiceError, "conflict", "Something else is at work on it: look at it, then run the command again.")
_LIMIT = _Kind(ServiceError, "limit", "Free some of it, or ask for a higher quota in Service Quotas.")
_FAULT = _Kind(ServiceError, "service_fault", "Run the command again; it does nothing twice.")
_NETWORK = _Kind(ServiceError, "network", "Check the network, a proxy or VPC endpoint, and run the command again.")
_UNSET = _Kind(ConfigError, "aws_settings", "Set AWS_PROFILE or AWS_REGION, or give --profile and --region.")

# Codes of botocore's service models (1.44.8) and of the S3 and STS error lists in their API references.
_CODES: tuple[tuple[_Kind, str], ...] = (
    (_THROTTLED, "Throttling ThrottlingException ThrottledException TooManyRequestsException SlowDown"),
    (_THROTTLED, "RequestLimitExceeded ProvisionedThroughputExceededException"),
    (_CREDENTIALS, "ExpiredToken ExpiredTokenException RequestExpired InvalidToken AuthFailure"),
    (_CREDENTIALS, "InvalidClientTokenId UnrecognizedClientException InvalidAccessKeyId SignatureDoesNotMatch"),
    (_DENIED, "AccessDenied AccessDeniedException UnauthorizedOperation AuthorizationError 403"),
    (_ABSENT, "ResourceNotFound ResourceNotFoundException NotFoundException NoSuchResourceException"),
    (_ABSENT, "NoSuchBucket NoSuchKey NoSuchEntity 404"),
    (_REFUSED, "ValidationException ValidationError InvalidParameterException InvalidInput ParamValidationError"),
    (_CONFLICT, "ConflictException ResourceInUse PreconditionFailed 412"),
    (_LIMIT, "ResourceLimitExceeded ServiceQuotaExceededException LimitExceededException"),
    (_FAULT, "InternalFailure InternalServerException InternalError ServiceUnavailable 500 503"),
)
_KINDS: Mapping[str, _Kind] = {code: kind for kind, codes in _CODES for code in codes.split()}
_NO_SETTINGS = ("NoCredentialsError", "NoRegionError", "ProfileNotFound", "PartialCredentialsError")
_NO_TOKEN = ("TokenRetrievalError", "SSOTokenLoadError", "UnauthorizedSSOTokenError", "CredentialRetrievalError")


class TranslatingClient:
    """A client whose methods raise batchcast's errors.

    A method that the client lacks is one that the local engine does not have: ConfigError says so.
    """

    def __init__(self, client: Any, service: str) -> None:
        self._client = client
        self._service = service

    def __getattr__(self, method: str) -> Any:
        if method.startswith("_"):
            raise AttributeError(method)
        call = getattr(self._client, method, None)
        if call is None:
            what = f"the local engine has no {action(self._service, method)}."
            raise ConfigError(Problem("not_local", what, "--workspace", "Leave --workspace out to work on AWS."))

        def translated(*args: Any, **request: Any) -> Any:
            try:
                return call(*args, **request)
            except Exception as error:
                told = _told(error, self._service, method, request)
                if told is None:
                    raise
                raise told from error

        return translated


def error_code(error: BaseException | None) -> str:
    """The service's code of an error, or of what an error of batchcast was raised from; empty for any other."""
    for one in (error, getattr(error, "__cause__", None)):
        if code := _response(one).get("Error", {}).get("Code"):
            return str(code)
    return ""


def answer_or_none(call: Callable[..., Any], *absent: str, **request: Any) -> Any:
    """What a client's method answers; None where the service's code is one of `absent`."""
    try:
        return call(**request)
    except ConfigError as error:
        if error_code(error) not in absent:
            raise
        return None


def action(service: str, method: str) -> str:
    """The IAM action of a client's method: `("scheduler", "get_schedule")` -> `scheduler:GetSchedule`."""
    operation = "".join(word.capitalize() for word in method.split("_"))
    return _ACTIONS.get((service, operation), f"{_PREFIXES.get(service, service)}:{operation}")


# Service Authorization Reference, read 2026-11: where action and operation have different names.
_ACTIONS = {
    ("s3", "HeadBucket"): "s3:ListBucket",
    ("s3", "HeadObject"): "s3:GetObject",
    ("s3", "ListObjectsV2"): "s3:ListBucket",
}
_PREFIXES = {"sagemaker-runtime": "sagemaker", "service-quotas": "servicequotas"}


def _told(error: Exception, service: str, method: str, request: Mapping[str, Any]) -> BatchcastError | None:
    name = type(error).__name__
    if isinstance(error, BatchcastError):
        return None
    kind = _kind(error, name)
    if kind is None:
        return None
    message = str(_response(error).get("Error", {}).get("Message", "")) or str(error)
    code = error_code(error)
    what = f"{action(service, method)} said {code}: {message}" if code else f"{action(service, method)}: {message}"
    remedy = kind.remedy.format(action=action(service, method))
    return kind.error(Problem(kind.code, what.rstrip(".") + ".", _subject(request), remedy))


def _kind(error: Exception, name: str) -> _Kind | None:
    if code := error_code(error):
        status = _response(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
        return _KINDS.get(code) or (_FAULT if status >= 500 else _REFUSED)
    if name in _NO_SETTINGS:
        return _UNSET
    if name in _NO_TOKEN:
        return _CREDENTIALS
    if name == "ParamValidationError":
        return _REFUSED
    if any(base.__module__.startswith("botocore.") for base in type(error).__mro__):
        return _NETWORK
    return None


def _response(error: BaseException | None) -> Mapping[str, Any]:
    """The service's answer as botocore keeps it in the exception; errors of the network have none."""
    response = getattr(error, "response", None)
    return response if isinstance(response, Mapping) else {}


def _subject(request: Mapping[str, Any]) -> str:
    """What the call was about: the first member that names something."""
    endings = ("Name", "Arn", "Bucket", "logGroupName", "Id")
    named = (str(value) for key, value in request.items() if key.endswith(endings) and isinstance(value, str))
    return next(named, "")
