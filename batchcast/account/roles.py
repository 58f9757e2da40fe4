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
    def on(cls, action: str, uri: str) -> Self:
        """An action of S3 on the objects under a prefix, or on one object."""
        bucket, key = split_uri(uri)
        if action == "s3:ListBucket":
            return cls(action=action, resource=f"s3:::{bucket}", prefix=key)
        return cls(action=action, resource=f"s3:::{bucket}/{key}")


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
