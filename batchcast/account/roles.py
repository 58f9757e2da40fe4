"""Whether a role may do something, by its own policies; bucket and key policies of the resource are not seen."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from batchcast.session.session import Session, pages
from batchcast.steps.store.objects import split_uri


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """An IAM action on a resource, by its ARN or what follows the partition in it; a listing asks for `prefix`."""

    action: str
    resource: str
    prefix: str = ""

    @classmethod
    def list(cls, uri: str) -> Self:
        """List the objects under a prefix."""
        bucket, key = split_uri(uri)
        return cls(action="s3:ListBucket", resource=f"s3:::{bucket}", prefix=key)

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
    # The role's own partition: aws-cn in China, aws-us-gov in GovCloud.
    partition = role.split(":")[1]
    here = (
        one if one.resource.startswith("arn:") else replace(one, resource=f"arn:{partition}:{one.resource}")
        for one in wanted
    )
    return [one for one in here if not _is_allowed(session, role, one)]


def _is_allowed(session: Session, role: str, wanted: Access) -> bool:
    context = [{"ContextKeyName": "s3:prefix", "ContextKeyValues": [wanted.prefix], "ContextKeyType": "string"}]
    listing = pages(
        session.client("iam").simulate_principal_policy,
        mark="Marker",
        PolicySourceArn=role,
        ActionNames=[wanted.action],
        ResourceArns=[wanted.resource],
        **({"ContextEntries": context} if wanted.prefix else {}),
    )
    return all(one["EvalDecision"] == "allowed" for page in listing for one in page["EvaluationResults"])


def _object(uri: str) -> str:
    bucket, key = split_uri(uri)
    return f"s3:::{bucket}/{key}"
