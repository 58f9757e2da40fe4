"""Whether a role may do something: the questions that IAM is asked."""

from __future__ import annotations

from typing import Any

import pytest

from batchcast.account.roles import Access, denied


class Iam:
    """Allows everything, and keeps what it was asked about."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def simulate_principal_policy(self, **request: Any) -> dict[str, Any]:
        self.asked += request["ResourceArns"]
        return {"EvaluationResults": [{"EvalDecision": "allowed"}]}


class Account:
    """A session with nothing but IAM."""

    def __init__(self) -> None:
        self.iam = Iam()

    def client(self, service: str) -> Iam:
        assert service == "iam"
        return self.iam


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_resources_are_of_the_partition_of_the_role(partition: str) -> None:
    account: Any = Account()
    role = f"arn:{partition}:iam::123456789012:role/forecasts"
    wanted = [Access.on("s3:ListBucket", "s3://bucket/runs/"), Access.on("s3:PutObject", "s3://bucket/runs/x")]
    assert denied(account, role, wanted) == []
    assert account.iam.asked == [f"arn:{partition}:s3:::bucket", f"arn:{partition}:s3:::bucket/runs/x"]
