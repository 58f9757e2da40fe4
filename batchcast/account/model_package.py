"""The model of a run from the model registry: the newest approved package of a group, made a model of the account.

A model cannot be changed. Its name has the group, the version and a digest of role, environment and network, so that
another version or another setting is another model, and the same again is the model that is there.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from batchcast.pipelines.settings import given_members
from batchcast.session.service_errors import answer_or_none
from batchcast.session.session import Session
from batchcast.steps.errors import ConfigError, Problem

# Of the 63 characters of a model's name the version and the digest take the rest.
_GROUP_LENGTH = 40
_ABSENT = ("ValidationException", "ResourceNotFound")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPackageGroup:
    """Which group a pipeline follows, and with what its packages become models; `vpc` as CreateModel takes it."""

    name: str
    role_arn: str
    environment: Mapping[str, str] = field(default_factory=dict)
    vpc: Mapping[str, Any] = field(default_factory=dict)


def newest_approved(session: Session, group: str) -> Mapping[str, Any] | None:
    """The summary of the group's newest package whose status is Approved; None without one. Raises ConfigError when
    there is no such group."""
    wanted = {"ModelApprovalStatus": "Approved", "SortBy": "CreationTime", "SortOrder": "Descending", "MaxResults": 1}
    listing = session.client("sagemaker").list_model_packages
    found = answer_or_none(listing, *_ABSENT, ModelPackageGroupName=group, **wanted)
    if found is None:
        what = f"there is no model package group {group!r} in {session.region}."
        raise ConfigError(Problem("model_package", what, "--model-package-group"))
    return next(iter(found["ModelPackageSummaryList"]), None)


def model_request(session: Session, group: ModelPackageGroup, tags: list[dict[str, str]]) -> dict[str, Any]:
    """CreateModel's request for the newest approved package. Raises ConfigError when none is approved."""
    package = newest_approved(session, group.name)
    if package is None:
        what = f"no package of {group.name!r} is approved."
        remedy = "Approve one: `aws sagemaker update-model-package --model-approval-status Approved`."
        raise ConfigError(Problem("model_package", what, "--model-package-group", remedy))
    container = {"ModelPackageName": package["ModelPackageArn"]}
    container |= given_members(Environment=dict(group.environment))
    request = {"PrimaryContainer": container, "ExecutionRoleArn": group.role_arn}
    request |= given_members(VpcConfig=dict(group.vpc))
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:8]
    name = f"{group.name[:_GROUP_LENGTH].rstrip('-')}-v{package['ModelPackageVersion']}-{digest}"
    return {"ModelName": name, **request, **given_members(Tags=tags)}


def described_model(session: Session, name: str) -> dict[str, Any] | None:
    """DescribeModel's answer; None when there is no such model."""
    return answer_or_none(session.client("sagemaker").describe_model, *_ABSENT, ModelName=name)


def packages_of(session: Session, model: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """DescribeModelPackage's answer for each container of the model that is one of the registry."""
    for one in model.get("Containers") or [model.get("PrimaryContainer", {})]:
        if "ModelPackageName" in one:
            yield session.client("sagemaker").describe_model_package(ModelPackageName=one["ModelPackageName"])
