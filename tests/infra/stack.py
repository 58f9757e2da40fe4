"""The stack of infra/batchcast.yaml in the account, what its policies allow, and what a call needs to be allowed."""

from __future__ import annotations

import ast
import fnmatch
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from scripted_run import PREFIX
from team import ACCOUNT, BUCKET, REGION

from batchcast.session.service_errors import action

__all__ = [
    "LEAST",
    "STACK",
    "TEMPLATE",
    "allows",
    "create",
    "needed",
    "statements_of_policy",
    "statements_of_role",
    "texts",
]

TEMPLATE = Path(__file__).resolve().parents[2] / "infra" / "batchcast.yaml"
STACK = "forecasts"
LEAST = {"ModelName": "demand-*", "BucketName": BUCKET}
# Resources that moto passes over.
NOT_IN_MOTO = {
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
}


def create(parameters: Mapping[str, str]) -> dict[str, str]:
    """Create the stack; its outputs."""
    boto3.client("s3", region_name=REGION).delete_bucket(Bucket=BUCKET)
    cloudformation = boto3.client("cloudformation", region_name=REGION)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        cloudformation.create_stack(
            StackName=STACK,
            TemplateBody=TEMPLATE.read_text(),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )
    left_out = {word for one in said for word in str(one.message).split() if word.startswith("AWS::")}
    assert left_out <= NOT_IN_MOTO
    (stack,) = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}


def statements_of_role(arn: str) -> list[dict[str, Any]]:
    """The statements of the policies in a role."""
    iam, name = boto3.client("iam"), arn.rsplit("/", 1)[-1]
    names = iam.list_role_policies(RoleName=name)["PolicyNames"]
    documents = [iam.get_role_policy(RoleName=name, PolicyName=one)["PolicyDocument"] for one in names]
    return [statement for document in documents for statement in read(document)["Statement"]]


def statements_of_policy(arn: str) -> list[dict[str, Any]]:
    """The statements of a managed policy."""
    found = boto3.client("iam").get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"]
    return list(read(found)["Statement"])


def read(document: str | dict[str, Any]) -> dict[str, Any]:
    """A policy document, which moto gives as JSON or as Python's text where a template made it."""
    return dict(ast.literal_eval(document) if isinstance(document, str) else document)


def texts(value: str | list[str]) -> list[str]:
    """One or several."""
    return [value] if isinstance(value, str) else value


def allows(statements: list[dict[str, Any]], wanted: str, resource: str) -> bool:
    """Whether a statement allows the action on the resource; conditions are not looked at."""
    return any(
        wanted in texts(one["Action"]) and any(fnmatch.fnmatchcase(resource, each) for each in texts(one["Resource"]))
        for one in statements
        if one["Effect"] == "Allow"
    )


def needed(service: str, operation: str, request: Mapping[str, Any]) -> tuple[str, str]:
    """The action and the ARN that a call needs to be allowed."""
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")
    name = _ACTIONS.get(operation) or action(service, snake)
    if service == "s3":
        key = request.get("Key")
        return name, f"arn:aws:s3:::{request['Bucket']}" + (f"/{key}" if key and name != "s3:ListBucket" else "")
    if service == "application-autoscaling":
        target = f"arn:aws:application-autoscaling:{REGION}:{ACCOUNT}:scalable-target/0a1b2c"
        return name, "*" if operation.startswith("Describe") else target
    if operation in ("DeleteAlarms", "DescribeAlarms"):
        return name, _RESOURCES["AlarmName"].format(*request["AlarmNames"])
    for member, pattern in _RESOURCES.items():
        if member in request:
            return name, pattern.format(request[member])
    return name, "*"


_ACTIONS = {
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "ListObjectsV2": "s3:ListBucket",
}
_RESOURCES = {
    "StackName": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{{}}/0a1b2c",
    "PipelineExecutionArn": "{}",
    "PipelineName": f"{PREFIX}:pipeline/{{}}",
    "ResourceArn": "{}",
    "ProcessingJobName": f"{PREFIX}:processing-job/{{}}",
    "TransformJobName": f"{PREFIX}:transform-job/{{}}",
    "AlarmName": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{{}}",
    "EndpointName": f"{PREFIX}:endpoint/{{}}",
    "EndpointConfigName": f"{PREFIX}:endpoint-config/{{}}",
    "ModelName": f"{PREFIX}:model/{{}}",
    "PolicySourceArn": "{}",
    "logGroupName": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{{}}:*",
    "Name": f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{{}}",
}
