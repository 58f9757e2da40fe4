"""What AWS refuses becomes an error that says who must act and what to do."""

from __future__ import annotations

from typing import Any

import botocore.exceptions as botocore_errors
import pytest
from botocore.exceptions import ClientError

from batchcast.engine.errors import ServiceException
from batchcast.session.service_errors import TranslatingClient, action, error_code
from batchcast.steps.errors import BatchcastError, ConfigError, ServiceError


class Refusing:
    """A client whose every call fails in one way."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def describe_pipeline(self, **_: Any) -> None:
        raise self._error


def client_error(code: str, message: str = "no", status: int = 400) -> ClientError:
    """As botocore raises it."""
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "DescribePipeline",
    )


def told(error: Exception) -> BatchcastError:
    """The error a command sees."""
    with pytest.raises(BatchcastError) as raised:
        TranslatingClient(Refusing(error), "sagemaker").describe_pipeline(PipelineName="weekly")
    return raised.value


@pytest.mark.parametrize(
    ("error", "kind", "code", "remedy"),
    [
        (client_error("ThrottlingException"), ServiceError, "throttled", "Wait a minute"),
        (client_error("ExpiredTokenException"), ServiceError, "credentials", "Renew the credentials"),
        (client_error("InvalidClientTokenId"), ServiceError, "credentials", "Renew the credentials"),
        (client_error("AccessDeniedException"), ConfigError, "access_denied", "Allow sagemaker:DescribePipeline"),
        (client_error("ResourceNotFound"), ConfigError, "not_found", "Check the name, the account and the region"),
        (client_error("ValidationException"), ConfigError, "refused", "Fix what the message names"),
        (client_error("ConflictException"), ServiceError, "conflict", "look at it"),
        (client_error("ResourceLimitExceeded"), ServiceError, "limit", "Service Quotas"),
        (client_error("Whatever", status=503), ServiceError, "service_fault", "Run the command again"),
        (client_error("NeverHeardOf"), ConfigError, "refused", "Fix what the message names"),
        (botocore_errors.EndpointConnectionError(endpoint_url="https://x"), ServiceError, "network", "proxy"),
        (botocore_errors.ReadTimeoutError(endpoint_url="https://x"), ServiceError, "network", "proxy"),
        (botocore_errors.NoCredentialsError(), ConfigError, "aws_settings", "AWS_PROFILE"),
        (botocore_errors.SSOTokenLoadError(error_msg="gone"), ServiceError, "credentials", "Renew"),
        (botocore_errors.ParamValidationError(report="PipelineName"), ConfigError, "refused", "Fix"),
        (ServiceException("ResourceNotFound", "none"), ConfigError, "not_found", "Check the name"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value)[:20],
)
def test_each_refusal_says_who_must_act(error: Exception, kind: type[BatchcastError], code: str, remedy: str) -> None:
    found = told(error)
    assert type(found) is kind
    (problem,) = found.problems
    assert (problem.code, problem.where) == (code, "weekly")
    assert problem.what.startswith("sagemaker:DescribePipeline")
    assert remedy in problem.remedy


def test_the_services_own_code_and_words_are_kept() -> None:
    error = told(client_error("ValidationException", "1 validation error detected"))
    assert "said ValidationException: 1 validation error detected." in str(error)
    assert error_code(error) == "ValidationException"


def test_a_bug_is_not_taken_for_a_refusal() -> None:
    with pytest.raises(KeyError):
        TranslatingClient(Refusing(KeyError("x")), "sagemaker").describe_pipeline()


@pytest.mark.parametrize(
    ("service", "method", "name"),
    [
        ("sagemaker", "list_pipeline_execution_steps", "sagemaker:ListPipelineExecutionSteps"),
        ("s3", "list_objects_v2", "s3:ListBucket"),
        ("s3", "head_object", "s3:GetObject"),
        ("s3", "put_object", "s3:PutObject"),
        ("service-quotas", "list_service_quotas", "servicequotas:ListServiceQuotas"),
        ("logs", "filter_log_events", "logs:FilterLogEvents"),
    ],
)
def test_the_action_is_what_a_policy_calls_it(service: str, method: str, name: str) -> None:
    assert action(service, method) == name
