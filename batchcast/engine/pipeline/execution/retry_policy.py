"""Retry policies of a step: which exceptions are tried again, how often and after how long.

Source: SageMaker developer guide, "Retry Policy for Pipeline Steps", read 2023-03.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchcast.engine.errors import ServiceException
from batchcast.steps.errors import Problem

SERVICE_FAULT = "Step.SERVICE_FAULT"
THROTTLING = "Step.THROTTLING"
JOB_INTERNAL_ERROR = "SageMaker.JOB_INTERNAL_ERROR"
CAPACITY_ERROR = "SageMaker.CAPACITY_ERROR"
RESOURCE_LIMIT = "SageMaker.RESOURCE_LIMIT"
EXCEPTION_TYPES = (SERVICE_FAULT, THROTTLING, JOB_INTERNAL_ERROR, CAPACITY_ERROR, RESOURCE_LIMIT)

_LIMITS = {"IntervalSeconds": 43_200, "MaxAttempts": 20, "ExpireAfterMin": 14_400}
_DEFAULTS: Mapping[str, Any] = {"IntervalSeconds": 1, "BackoffRate": 2.0, "MaxAttempts": 5}
_MEMBERS = ("ExceptionType", "IntervalSeconds", "BackoffRate", "MaxAttempts", "ExpireAfterMin")

_BY_ERROR_CODE = {
    "ThrottlingException": THROTTLING,
    "ResourceLimitExceeded": RESOURCE_LIMIT,
    "InternalFailure": SERVICE_FAULT,
    "ServiceUnavailable": SERVICE_FAULT,
}
_BY_FAILURE_REASON = {"InternalServerError": JOB_INTERNAL_ERROR, "CapacityError": CAPACITY_ERROR}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Times as the definition has them; at most one of `max_attempts` and `expire_after_minutes` is set."""

    exception_types: tuple[str, ...]
    interval_seconds: float = _DEFAULTS["IntervalSeconds"]
    backoff_rate: float = _DEFAULTS["BackoffRate"]
    max_attempts: int | None = _DEFAULTS["MaxAttempts"]
    expire_after_minutes: int | None = None


# Both are retried for every step, whether or not it has policies (same page).
_ALWAYS = RetryPolicy(exception_types=(SERVICE_FAULT, THROTTLING))


class RetryCount:
    """Counts the retries of one step's run, policy by policy."""

    def __init__(self, policies: Sequence[RetryPolicy]) -> None:
        self._policies = (*policies, _ALWAYS)
        self._used: Counter[int] = Counter()

    def next_wait(self, exception_type: str | None, elapsed_seconds: float) -> float | None:
        """Seconds to wait before the next attempt, or None when the step has to fail.

        The first policy that names the exception decides. `elapsed_seconds` is the time since the first attempt.
        """
        for index, policy in enumerate(self._policies):
            if exception_type in policy.exception_types:
                if policy.expire_after_minutes is not None and elapsed_seconds >= policy.expire_after_minutes * 60:
                    return None
                if policy.max_attempts is not None and self._used[index] >= policy.max_attempts:
                    return None
                wait = policy.interval_seconds * policy.backoff_rate ** self._used[index]
                self._used[index] += 1
                return wait
        return None


def creation_exception(error: Exception) -> str | None:
    """The exception type of a Create call's error, None for one that no policy can name."""
    return _BY_ERROR_CODE.get(error.code) if isinstance(error, ServiceException) else None


def failure_exception(failure_reason: str) -> str | None:
    """The exception type of a failed job, told by how its FailureReason begins; None for an AlgorithmError."""
    return _BY_FAILURE_REASON.get(failure_reason.partition(":")[0])


def parse_retry_policy(value: Any, where: str) -> tuple[RetryPolicy | None, list[Problem]]:
    """The policy, or None and everything that is wrong with it."""
    problems = list(_problems(value, where))
    if problems:
        return None, problems
    given = {**_DEFAULTS, **value}
    policy = RetryPolicy(
        exception_types=tuple(given["ExceptionType"]),
        interval_seconds=given["IntervalSeconds"],
        backoff_rate=given["BackoffRate"],
        max_attempts=None if "ExpireAfterMin" in value else given["MaxAttempts"],
        expire_after_minutes=value.get("ExpireAfterMin"),
    )
    return policy, []


def _problems(value: Any, where: str) -> Iterator[Problem]:
    if not isinstance(value, Mapping):
        yield Problem("retry_policy", f"{value!r} is not an object.", where=where)
        return
    for name in value:
        if name not in _MEMBERS:
            yield Problem("retry_policy", f"unknown member {name!r}.", where, f"Use {', '.join(_MEMBERS)}.")
    types = value.get("ExceptionType")
    unknown = [each for each in types if each not in EXCEPTION_TYPES] if isinstance(types, list) else [types]
    if unknown or not types:
        remedy = f"Use {', '.join(EXCEPTION_TYPES)}."
        yield Problem("retry_policy", f"ExceptionType names {unknown or 'nothing'}.", where=where, remedy=remedy)
    if "MaxAttempts" in value and "ExpireAfterMin" in value:
        yield Problem("retry_policy", "MaxAttempts and ExpireAfterMin exclude each other.", where=where)
    for name, limit in _LIMITS.items():
        number = value.get(name, 0)
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= limit:
            yield Problem("retry_policy", f"{name} is {number!r}; it is a whole number from 0 to {limit}.", where=where)
    rate = value.get("BackoffRate", 1.0)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or rate < 0:
        yield Problem("retry_policy", f"BackoffRate is {rate!r}; it is a number of at least 0.", where=where)
