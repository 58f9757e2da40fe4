"""Retry policies of a step: which exceptions are tried again, how often and after how long.

Source: SageMaker developer guide, "Retry Policy for Pipeline Steps", read 2023-03.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

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

# The exception type of a Create call's error by its code, and of a failed job by how its FailureReason begins; no
# policy can name any other.
BY_ERROR_CODE = {
    "ThrottlingException": THROTTLING,
    "ResourceLimitExceeded": RESOURCE_LIMIT,
    "InternalFailure": SERVICE_FAULT,
    "ServiceUnavailable": SERVICE_FAULT,
}
BY_FAILURE_REASON = {"InternalServerError": JOB_INTERNAL_ERROR, "CapacityError": CAPACITY_ERROR}


# Both are retried for every step, whether or not it has policies (same page).
_ALWAYS = {"ExceptionType": [SERVICE_FAULT, THROTTLING]}


class RetryCount:
    """Counts the retries of one step's run, policy by policy, each as a definition writes it."""

    def __init__(self, policies: Sequence[Mapping[str, Any]]) -> None:
        self._policies = [{**_DEFAULTS, **policy} for policy in (*policies, _ALWAYS)]
        self._used: Counter[int] = Counter()

    def next_wait(self, exception_type: str | None, elapsed_seconds: float) -> float | None:
        """Seconds to wait before the next attempt, or None when the step has to fail.

        The first policy that names the exception decides. `elapsed_seconds` is the time since the first attempt.
        """
        for index, policy in enumerate(self._policies):
            if exception_type in policy["ExceptionType"]:
                used, minutes = self._used[index], policy.get("ExpireAfterMin")
                spent = used >= policy["MaxAttempts"] if minutes is None else elapsed_seconds >= minutes * 60
                if spent:
                    return None
                self._used[index] += 1
                return float(policy["IntervalSeconds"] * policy["BackoffRate"] ** used)
        return None


def retry_policy_problems(value: Any, where: str) -> Iterator[Problem]:
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
