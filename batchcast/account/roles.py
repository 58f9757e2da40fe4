"""Whether a role may do something, by its own policies; bucket and key policies of the resource are not seen."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from batchcast.session.session import Session, pages
from batchcast.steps.store.objects import split_uri


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """An IAM action on the ARN of a resource, `aws` for the partition; `prefix` is what a listing asks for."""

    action: str
    resource: str
    prefix: str = ""

    @classmethod
    def list(cls, uri: str) -> Self:
        """List the objects under a prefix."""
        bucket, key = split_uri(uri)
        return cls(action="s3:ListBucket", resource=f"arn:aws:s3:::{bucket}", prefix=key)

    @classmethod
    def read(cls, uri: str) -> Self:
        """Read an object."""
        return cls(action="s3:GetObject", resource=_object(uri))

    @classmethod
    def write(cls, uri: str) -> Self:
        """Write an object."""
        return cls(action="s3:PutObject", resource=_object(uri))

    @classmethod
    def key(cls, arn: str) -> tuple[Self, Self]:
        """Read what a KMS key has encrypted, and encrypt with it."""
        return cls(action="kms:Decrypt", resource=arn), cls(action="kms:GenerateDataKey", resource=arn)


def denied(session: Session, role: str, wanted: Iterable[Access]) -> list[Access]:
    """What of it the role's policies do not allow; one API call each. Raises ConfigError when it may not be asked."""
    return [one for one in wanted if not _is_allowed(session, role, one)]


def _is_allowed(session: Session, role: str, wanted: Access) -> bool:
    context = [{"ContextKeyName": "s3:prefix", "ContextKeyValues": [wanted.prefix], "ContextKeyType": "string"}]
    # The role's own partition: aws-cn in China, aws-us-gov in GovCloud.
    resource = wanted.resource.replace("arn:aws:", f"arn:{role.split(':')[1]}:", 1)
    listing = pages(
        session.client("iam").simulate_principal_policy,
        mark="Marker",
        PolicySourceArn=role,
        ActionNames=[wanted.action],
        ResourceArns=[resource],
        **({"ContextEntries": context} if wanted.prefix else {}),
    )
    return all(one["EvalDecision"] == "allowed" for page in listing for one in page["EvaluationResults"])


def _object(uri: str) -> str:
    bucket, key = split_uri(uri)
    return f"arn:aws:s3:::{bucket}/{key}"
